"""The interface of a strategy: how agents come to one answer, as a pure function.

A strategy gets happenings and gives commands. It does no I/O, reads no clock and holds nothing
outside its state, which is a frozen value that survives a JSON round trip. Replaying the same
happenings gives the same state, on one machine or on many.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import Field

from massgen_bridge.agent import AnswerRef, ShownAnswer
from massgen_bridge.events import (
    AnswerInfo,
    AnswerListed,
    Happening,
    Purpose,
    RunStatus,
    Seat,
    VoteInfo,
)
from massgen_bridge.messages import Frozen

__all__ = [
    "Announce",
    "BreakTie",
    "CancelTurn",
    "Command",
    "Finish",
    "StartTurn",
    "Strategy",
]


class StartTurn(Frozen):
    """Give an agent a turn.

    `shown` lists the answers in the order in which this agent gets to see them. `may_improve`
    allows a better answer instead of a vote. `problem` says what was wrong with the turn that
    this one repairs.
    """

    type: Literal["start_turn"] = "start_turn"
    turn_id: str
    agent_id: str
    purpose: Purpose
    round: int = 0
    shown: tuple[ShownAnswer, ...] = ()
    may_improve: bool = False
    problem: str | None = None


class CancelTurn(Frozen):
    """Stop a running turn; no happening comes back from it."""

    type: Literal["cancel_turn"] = "cancel_turn"
    turn_id: str
    reason: str


class BreakTie(Frozen):
    """Ask who wins among equals (in the order of the configuration); `TieBroken` answers."""

    type: Literal["break_tie"] = "break_tie"
    candidates: tuple[AnswerInfo, ...]


class Announce(Frozen):
    """Record something that follows from the state, for displays and readers of the journal."""

    type: Literal["announce"] = "announce"
    event: AnswerListed


class Finish(Frozen):
    """End the run. What is still running is cancelled."""

    type: Literal["finish"] = "finish"
    status: RunStatus
    winner: AnswerRef | None = None
    votes: tuple[VoteInfo, ...] = ()
    answers: tuple[AnswerInfo, ...] = ()
    tie_broken_by: str | None = None
    message: str | None = None


Command = Annotated[
    StartTurn | CancelTurn | BreakTie | Announce | Finish, Field(discriminator="type")
]

StateT = TypeVar("StateT", bound=Frozen)


class Strategy(Protocol[StateT]):
    """A pure reducer. `step` is total: it has an answer to every happening, also after the end."""

    def begin(self, seats: tuple[Seat, ...]) -> tuple[StateT, tuple[Command, ...]]:
        """The first state and what to do first; `seats` is in the order of the configuration."""

    def step(self, state: StateT, happening: Happening) -> tuple[StateT, tuple[Command, ...]]:
        """The next state and what to do now."""
