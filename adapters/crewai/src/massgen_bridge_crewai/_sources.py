"""From what an import path leads to, to a crew or a flow."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from crewai import Crew, Flow

from massgen_bridge import AgentCrashed, ConfigError

__all__ = ["Source"]


# What a function can ask for, by parameter name.
_OF_MODEL = ("llm", "model")


class Source:
    """A crew or flow at an import path.

    Args:
        found: What the import path leads to.
        path: The import path, for errors.
        kind: What it has to lead to.

    Attributes:
        is_shared: Whether there is but one object.
        takes_model: Whether what makes it asks for the agent's model.

    Raises:
        ConfigError: It is neither one nor makes one.
    """

    def __init__(self, found: Any, *, path: str, kind: type[Crew | Flow[Any]]) -> None:
        self._found = found
        self._where = f"`{kind.__name__.lower()}: {path}`"
        self._kind = kind
        self.is_shared = isinstance(found, kind)
        if not self.is_shared and not callable(found):
            raise ConfigError(
                f"{self._where} is a {type(found).__name__!r}; expected a {kind.__name__}, a class "
                "that has one, or a function that makes one"
            )
        self._asks = None if self.is_shared else self._asked()
        self.takes_model = self._asks is not None

    def get(self, model: Callable[[], object]) -> Any:
        """The crew or flow, a new one where it is made; to be called in a thread.

        Args:
            model: Makes what goes to a function that asks for the model.

        Raises:
            AgentCrashed: What makes it raised, or made something else.
        """
        if self.is_shared:
            return self._found
        asked = {} if self._asks is None else {self._asks: model()}
        try:
            made = self._found(**asked)
            if not isinstance(made, self._kind) and callable(maker := getattr(made, "crew", None)):
                made = maker()  # an instance of a class made with @CrewBase
        except Exception as error:  # the user's own code may raise anything
            raise AgentCrashed(f"{self._where} raised {type(error).__name__}: {error}") from error
        if not isinstance(made, self._kind):
            raise AgentCrashed(f"{self._where} made {made!r}; expected a {self._kind.__name__}")
        return made

    def _asked(self) -> str | None:
        """The name of the parameter by which the model is asked for."""
        try:
            parameters = inspect.signature(self._found).parameters.values()
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self._where} cannot be called: {error}") from error
        needed = [one.name for one in parameters if _is_needed(one)]
        if others := [name for name in needed if name not in _OF_MODEL]:
            raise ConfigError(
                f"{self._where} needs {', '.join(map(repr, others))}; a function that makes a "
                f"{self._kind.__name__} can take {' or '.join(map(repr, _OF_MODEL))} alone"
            )
        return needed[0] if needed else None


def _is_needed(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variadic
