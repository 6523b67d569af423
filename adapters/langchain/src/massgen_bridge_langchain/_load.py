"""From what an import path leads to, to a graph or another Runnable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableBinding, RunnableSequence
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from massgen_bridge import AgentCrashed
from massgen_bridge.adapting import OwnFactory

__all__ = ["GraphSource", "has_messages", "speaks_as_model", "takes_messages"]

_WANTED = "a LangGraph graph, or a LangChain Runnable"
# What a factory can ask for, by parameter name.
_OFFERED = {"config": "config", "connection": "connection", "llm": "model", "model": "model"}


class GraphSource:
    """A graph at an import path: there at once, or made by a function when it is first used.

    Args:
        found: What the import path leads to.
        path: The import path, for errors.
        offers: Makes what a function may ask for: `connection`, `model` and `config`.

    Raises:
        ConfigError: It is no graph and makes none, or needs something that is not offered.
    """

    def __init__(
        self, found: object, *, path: str, offers: Mapping[str, Callable[[], Any]]
    ) -> None:
        self._option = f"graph: {path}"
        self._lock = anyio.Lock()
        self._offers = {name: offers[one] for name, one in _OFFERED.items() if one in offers}
        runnable = _as_runnable(found)
        self._source: Runnable[Any, Any] | OwnFactory = (
            OwnFactory(
                found,
                option=self._option,
                expected=f"{_WANTED}, or a function that makes one",
                makes="a graph",
                takes=_OFFERED,
                offered=self._offers,
            )
            if runnable is None
            else runnable
        )

    async def get(self) -> Runnable[Any, Any]:
        """The graph.

        Raises:
            AgentCrashed: The function that makes it raised, or made something else.
        """
        async with self._lock:
            if isinstance(self._source, OwnFactory):
                made = await self._source.make_in_thread(self._offers)
                runnable = _as_runnable(made)
                if runnable is None:
                    raise AgentCrashed(f"`{self._option}` returned {made!r}; expected {_WANTED}")
                self._source = runnable
            return self._source


def _as_runnable(found: object) -> Runnable[Any, Any] | None:
    if isinstance(found, StateGraph):
        return found.compile()
    return found if isinstance(found, Runnable) else None


def has_messages(runnable: Runnable[Any, Any]) -> bool:
    """Whether it is a graph whose state holds a conversation."""
    return isinstance(runnable, Pregel) and "messages" in runnable.channels


def speaks_as_model(runnable: Runnable[Any, Any]) -> bool:
    """Whether what comes out of a Runnable that is no graph are the words of its last model."""
    while isinstance(runnable, RunnableBinding):
        runnable = runnable.bound
    if isinstance(runnable, RunnableSequence):
        *others, last = runnable.steps
        return speaks_as_model(others[-1] if isinstance(last, StrOutputParser) else last)
    return isinstance(runnable, BaseChatModel)


def takes_messages(runnable: Runnable[Any, Any]) -> bool:
    """Whether a Runnable that is no such graph begins with a chat model."""
    while True:
        match runnable:
            case RunnableSequence():
                runnable = runnable.first
            case RunnableBinding():
                runnable = runnable.bound
            case _:
                return isinstance(runnable, BaseChatModel)
