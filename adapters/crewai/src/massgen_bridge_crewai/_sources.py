"""From what an import path leads to, to a crew or a flow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from crewai import Crew, Flow

from massgen_bridge import AgentCrashed
from massgen_bridge.adapting import OwnFactory, own_code

__all__ = ["Source"]


# What a function can ask for, by parameter name.
_OF_MODEL = ("llm", "model")


class Source:
    """A crew or flow at an import path.

    Args:
        found: What the import path leads to.
        path: The import path, for errors.
        kind: What it has to lead to.
        has_model: Whether the agent has a model, for a function that asks for it.

    Attributes:
        is_shared: Whether there is but one object.

    Raises:
        ConfigError: It is neither one nor makes one, or needs something that there is not.
    """

    def __init__(
        self, found: Any, *, path: str, kind: type[Crew | Flow[Any]], has_model: bool
    ) -> None:
        self._option = f"{kind.__name__.lower()}: {path}"
        self._kind = kind
        self.is_shared = isinstance(found, kind)
        self._source = found
        self._making = threading.Lock()
        self._was_made = False
        if not self.is_shared:
            name = kind.__name__
            self._source = OwnFactory(
                found,
                option=self._option,
                expected=f"a {name}, a class that has one, or a function that makes one",
                makes=f"a {name}",
                takes=_OF_MODEL,
                offered=_OF_MODEL if has_model else (),
            )

    def get(self, model: Callable[[], object]) -> Any:
        """The crew or flow, a new one where it is made; to be called in a thread.

        Args:
            model: Makes what goes to a function that asks for the model.

        Raises:
            AgentCrashed: What makes it raised, or made something else.
        """
        if not isinstance(self._source, OwnFactory):
            return self._source
        # Of the first object, CrewAI writes into its class: no other may be made meanwhile.
        with self._making:
            if not self._was_made:
                made = self._make(self._source, model)
                self._was_made = True
                return made
        return self._make(self._source, model)

    def _make(self, source: OwnFactory, model: Callable[[], object]) -> Any:
        made = source.make(dict.fromkeys(_OF_MODEL, model))
        if not isinstance(made, self._kind) and callable(maker := getattr(made, "crew", None)):
            with own_code(self._option):
                made = maker()  # an instance of a class made with @CrewBase
        if not isinstance(made, self._kind):
            raise AgentCrashed(f"`{self._option}` made {made!r}; expected a {self._kind.__name__}")
        return made
