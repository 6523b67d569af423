"""Where model calls go that are recorded, or answered by a recording.

A tape stands below the SDKs: it gets each HTTP request as it would be sent. Which tape is running,
and which agent's turn asks, is known by context, for clients are shared by agents.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "NOBODY",
    "Caller",
    "Tape",
    "asking",
    "caller",
    "context_without_tape",
    "current_tape",
    "off_tape",
    "rolling",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a call: the paths of an agent and of its turn, from the outermost team inwards."""

    agent: str
    turn: str

    @property
    def is_within(self) -> bool:
        """Whether the agent is one of a team that is itself an agent."""
        return "/" in self.agent

    def within(self, agent_id: str, turn_id: str) -> Caller:
        """An agent and its turn, within the team that is this agent."""
        if self is NOBODY:
            return Caller(agent=agent_id, turn=turn_id)
        return Caller(agent=f"{self.agent}/{agent_id}", turn=f"{self.turn}/{turn_id}")


NOBODY = Caller(agent="", turn="")
"""No agent: the call comes from outside of any turn."""


class Tape(Protocol):
    """Takes the place of the network, or stands before it."""

    def wire(self, http: Any, settings: Mapping[str, Any], base_url: str) -> object:
        """What an HTTP client sends its requests by, in both of its forms.

        Args:
            http: The HTTP library: `httpx`, or its successor.
            settings: What a client that really sends is made with.
            base_url: The endpoint that the requests are for.
        """


_TAPE: ContextVar[Tape | None] = ContextVar("massgen_bridge_tape", default=None)
_CALLER: ContextVar[Caller] = ContextVar("massgen_bridge_caller", default=NOBODY)


def current_tape() -> Tape | None:
    """The tape that is running here, if any."""
    return _TAPE.get()


def caller() -> Caller:
    """Whose turn it is here."""
    return _CALLER.get()


@contextmanager
def rolling(tape: Tape | None) -> Iterator[None]:
    """Let a tape run; with None, the one that runs already goes on."""
    token = _TAPE.set(tape or _TAPE.get())
    try:
        yield
    finally:
        _TAPE.reset(token)


@contextmanager
def asking(who: Caller) -> Iterator[None]:
    """Let calls be those of a turn."""
    token = _CALLER.set(who)
    try:
        yield
    finally:
        _CALLER.reset(token)


@contextmanager
def off_tape() -> Iterator[None]:
    """Let calls go to the network alone."""
    token = _TAPE.set(None)
    try:
        yield
    finally:
        _TAPE.reset(token)


def context_without_tape() -> Context:
    """The context here, but outside of any turn, and with the network alone."""
    context = copy_context()
    context.run(_TAPE.set, None)
    context.run(_CALLER.set, NOBODY)
    return context
