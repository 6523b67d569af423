"""AG2's console, kept off the host's: what it would print is told or dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["TurnStream"]


class TurnStream:
    """Takes the place of AG2's console for one turn: an `IOStreamProtocol`.

    Args:
        told: Takes each event of AG2; None drops them.
        ask: Asks a person for a line of text.
    """

    def __init__(
        self, *, told: Callable[[Any], None] | None = None, ask: Callable[[str], str]
    ) -> None:
        self._told = told
        self._ask = ask

    def print(self, *objects: Any, sep: str = " ", end: str = "\n", flush: bool = False) -> None:
        """Print nothing: the host's output belongs to the host."""

    def send(self, message: Any) -> None:
        """Take an event."""
        if self._told is not None:
            self._told(message)

    def input(self, prompt: str = "", *, password: bool = False) -> str:
        """Ask a person; a password is never asked for."""
        return self._ask("a password" if password else prompt)
