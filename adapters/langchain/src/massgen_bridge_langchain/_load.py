"""From what an import path leads to, to a graph or another Runnable."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import anyio
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableBinding, RunnableSequence
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from massgen_bridge import AgentCrashed, ConfigError

__all__ = ["GraphSource", "has_messages", "takes_messages"]

# What a factory can ask for, by parameter name.
_OFFERED = {"config": "config", "connection": "connection", "llm": "model", "model": "model"}


class GraphSource:
    """A graph at an import path: there at once, or made by an async factory when first used.

    Args:
        found: What the import path leads to.
        path: The import path, for errors.
        offers: Makes what a factory may ask for: `connection`, `model` and `config`.

    Raises:
        ConfigError: It is no graph and makes none, or needs something that is not offered.
    """

    def __init__(
        self, found: object, *, path: str, offers: Mapping[str, Callable[[], Any]]
    ) -> None:
        self._path = path
        self._lock = anyio.Lock()
        self._runnable = self._as_runnable(found)
        self._factory: Callable[..., Any] | None = None
        self._arguments: dict[str, Any] = {}
        if self._runnable is not None:
            return
        if not callable(found):
            raise ConfigError(
                f"`graph: {path}` is a {type(found).__name__!r}; expected a LangGraph graph, a "
                "LangChain Runnable, or a function that makes one"
            )
        self._arguments = self._asked_for(found, offers)
        if _is_async(found):
            self._factory = found
            return
        try:
            made = found(**self._arguments)
        except Exception as error:  # the user's own code may raise anything
            raise ConfigError(f"`graph: {path}` raised {type(error).__name__}: {error}") from error
        self._runnable = self._made(made)

    async def get(self) -> Runnable[Any, Any]:
        """The graph.

        Raises:
            AgentCrashed: The factory failed.
        """
        if self._runnable is None:
            async with self._lock:
                if self._runnable is None:
                    self._runnable = await self._call_async()
        return self._runnable

    async def _call_async(self) -> Runnable[Any, Any]:
        assert self._factory is not None  # noqa: S101 - narrows: there is no graph yet
        try:
            return self._made(await self._factory(**self._arguments))
        except ConfigError as error:
            raise AgentCrashed(str(error)) from error
        except Exception as error:  # the user's own code may raise anything
            raise AgentCrashed(
                f"`graph: {self._path}` raised {type(error).__name__}: {error}"
            ) from error

    def _made(self, made: object) -> Runnable[Any, Any]:
        runnable = self._as_runnable(made)
        if runnable is None:
            raise ConfigError(
                f"`graph: {self._path}` returned {made!r}; expected a LangGraph graph or a "
                "LangChain Runnable"
            )
        return runnable

    @staticmethod
    def _as_runnable(found: object) -> Runnable[Any, Any] | None:
        return found.compile() if isinstance(found, StateGraph) else _if_runnable(found)

    def _asked_for(
        self, factory: Callable[..., Any], offers: Mapping[str, Callable[[], Any]]
    ) -> dict[str, Any]:
        try:
            parameters = inspect.signature(factory).parameters.values()
        except (TypeError, ValueError) as error:
            raise ConfigError(f"`graph: {self._path}` cannot be called: {error}") from error
        arguments: dict[str, Any] = {}
        for parameter in parameters:
            offered = _OFFERED.get(parameter.name, "")
            if offered in offers and parameter.kind is not parameter.POSITIONAL_ONLY:
                arguments[parameter.name] = offers[offered]()
            elif _is_needed(parameter):
                raise ConfigError(
                    f"`graph: {self._path}` needs {parameter.name!r}; "
                    + (
                        "give the agent a model by `model`"
                        if offered
                        else f"a function that makes a graph can take {', '.join(_OFFERED)}"
                    )
                )
        return arguments


def _if_runnable(found: object) -> Runnable[Any, Any] | None:
    return found if isinstance(found, Runnable) else None


def _is_needed(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variadic


def _is_async(factory: Callable[..., Any]) -> bool:
    call = getattr(type(factory), "__call__", None)  # noqa: B004 - an object with such a method
    return inspect.iscoroutinefunction(factory) or inspect.iscoroutinefunction(call)


def has_messages(runnable: Runnable[Any, Any]) -> bool:
    """Whether it is a graph whose state holds a conversation."""
    return isinstance(runnable, Pregel) and "messages" in runnable.channels


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
