"""From what an import path leads to, to a graph or another Runnable."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.to_thread
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableBinding, RunnableSequence
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from massgen_bridge import AgentCrashed, ConfigError

__all__ = ["GraphSource", "has_messages", "speaks_as_model", "takes_messages"]

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
        self._path = path
        self._lock = anyio.Lock()
        self._runnable = _as_runnable(found)
        self._factory: Callable[..., Any] | None = None
        self._asked: dict[str, Callable[[], Any]] = {}
        if self._runnable is not None:
            return
        if not callable(found):
            raise ConfigError(
                f"`graph: {path}` is a {type(found).__name__!r}; expected a LangGraph graph, a "
                "LangChain Runnable, or a function that makes one"
            )
        self._factory = found
        self._asked = self._asked_for(found, offers)

    async def get(self) -> Runnable[Any, Any]:
        """The graph.

        Raises:
            AgentCrashed: The function that makes it raised, or made something else.
        """
        if self._runnable is None:
            async with self._lock:
                if self._runnable is None:
                    self._runnable = await self._make()
        return self._runnable

    async def _make(self) -> Runnable[Any, Any]:
        try:
            # In a thread, as making clients and whatever the function does may block.
            made = await anyio.to_thread.run_sync(self._call)
            if inspect.isawaitable(made):
                made = await made
        except Exception as error:  # the user's own code may raise anything
            raise AgentCrashed(
                f"`graph: {self._path}` raised {type(error).__name__}: {error}"
            ) from error
        runnable = _as_runnable(made)
        if runnable is None:
            raise AgentCrashed(
                f"`graph: {self._path}` returned {made!r}; expected a LangGraph graph or a "
                "LangChain Runnable"
            )
        return runnable

    def _call(self) -> Any:
        assert self._factory is not None  # noqa: S101 - narrows: there is no graph yet
        return self._factory(**{name: make() for name, make in self._asked.items()})

    def _asked_for(
        self, factory: Callable[..., Any], offers: Mapping[str, Callable[[], Any]]
    ) -> dict[str, Callable[[], Any]]:
        try:
            parameters = inspect.signature(factory).parameters.values()
        except (TypeError, ValueError) as error:
            raise ConfigError(f"`graph: {self._path}` cannot be called: {error}") from error
        asked: dict[str, Callable[[], Any]] = {}
        for parameter in parameters:
            offered = _OFFERED.get(parameter.name, "")
            if offered in offers and parameter.kind is not parameter.POSITIONAL_ONLY:
                asked[parameter.name] = offers[offered]
            elif _is_needed(parameter):
                raise ConfigError(
                    f"`graph: {self._path}` needs {parameter.name!r}; "
                    + (
                        "give the agent a model by `model`"
                        if offered
                        else f"a function that makes a graph can take {', '.join(_OFFERED)}"
                    )
                )
        return asked


def _as_runnable(found: object) -> Runnable[Any, Any] | None:
    if isinstance(found, StateGraph):
        return found.compile()
    return found if isinstance(found, Runnable) else None


def _is_needed(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variadic


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
