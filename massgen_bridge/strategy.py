"""The interface of a strategy: how agents come to one answer, as a pure function.

A strategy gets happenings and gives commands. It does no I/O, reads no clock and holds nothing
outside its state, which is a frozen value that survives a JSON round trip. Replaying the same
happenings gives the same state, on one machine or on many.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import Field

from massgen_bridge.agent import AnswerRef, ShownAnswer
from massgen_bridge.budget import BudgetName
from massgen_bridge.events import (
    AnswerInfo,
    AnswerListed,
    Happening,
    Purpose,
    RunStatus,
    Seat,
    StageClosed,
    StageInfo,
    VoteInfo,
)
from massgen_bridge.messages import Frozen, MediaPart

__all__ = [
    "Announce",
    "BreakTie",
    "CancelTurn",
    "Command",
    "Finish",
    "Speaker",
    "StartTurn",
    "Strategy",
    "WatchIdle",
]


class Speaker(Frozen):
    """Somebody who takes part in a conversation, and what the configuration says of its role."""

    label: str
    role: str = ""


class StartTurn(Frozen):
    """Give an agent a turn.

    Attributes:
        turn_id: Used once in a run.
        purpose: What is asked of the agent.
        round: Counts from 0, for displays.
        shown: The answers, in the order in which this agent gets to see them.
        may_improve: Allows a better answer instead of a vote.
        problem: What was wrong with the turn that this one repairs.
        repairs: The purpose of that turn; None where `shown` tells it: a vote, else an answer.
        label: The agent's own label, where it has to know which of the answers is its own.
        instruction: What the configuration asks of this agent beside the task.
        speakers: Whom a chair may choose from; who takes part, for somebody who speaks.
        may_end: Lets a chair end the conversation.
        stop_phrase: A line by which a speaker may end it.
        follows: An earlier turn of the same agent, which this one goes on from: where the agent
            can carry a history, what it was asked and said then stands before, and of `shown` only
            what is new is shown again. That turn may have been cancelled.
        votes: Those for the answer, in a presentation of it (the first one of `shown`).
    """

    type: Literal["start_turn"] = "start_turn"
    turn_id: str
    agent_id: str
    purpose: Purpose
    round: int = 0
    shown: tuple[ShownAnswer, ...] = ()
    may_improve: bool = False
    problem: str | None = None
    repairs: Purpose | None = None
    label: str | None = None
    instruction: str | None = None
    speakers: tuple[Speaker, ...] = ()
    may_end: bool = False
    stop_phrase: str | None = None
    follows: str | None = None
    votes: tuple[VoteInfo, ...] = ()


class CancelTurn(Frozen):
    """Stop a running turn; no happening comes back from it."""

    type: Literal["cancel_turn"] = "cancel_turn"
    turn_id: str
    reason: str


class WatchIdle(Frozen):
    """Tell `TurnIdle`, once, as soon as a running turn has emitted nothing for `idle_s` seconds.

    Silence from before the command counts. Nothing comes back of a turn that ends before.
    """

    type: Literal["watch_idle"] = "watch_idle"
    turn_id: str
    idle_s: float = Field(gt=0)


class BreakTie(Frozen):
    """Ask who wins among equals (in the order of the configuration); `TieBroken` answers."""

    type: Literal["break_tie"] = "break_tie"
    candidates: tuple[AnswerInfo, ...]


class Announce(Frozen):
    """Record something that follows from the state, for displays and readers of the journal."""

    type: Literal["announce"] = "announce"
    event: AnswerListed | StageClosed = Field(discriminator="type")


class Finish(Frozen):
    """End the run. What is still running is cancelled.

    `presentation` is the winner's text where it presented its answer once more, `presented_media`
    what belongs to that. `budget` names the budget that ended the run.
    """

    type: Literal["finish"] = "finish"
    status: RunStatus
    winner: AnswerRef | None = None
    presentation: str | None = None
    presented_media: tuple[MediaPart, ...] = ()
    budget: BudgetName | None = None
    votes: tuple[VoteInfo, ...] = ()
    answers: tuple[AnswerInfo, ...] = ()
    stages: tuple[StageInfo, ...] = ()
    tie_broken_by: str | None = None
    message: str | None = None


Command = Annotated[
    StartTurn | CancelTurn | WatchIdle | BreakTie | Announce | Finish, Field(discriminator="type")
]

StateT = TypeVar("StateT", bound=Frozen)


class Strategy(Protocol[StateT]):
    """A pure reducer. `step` is total: it has an answer to every happening, also after the end."""

    def begin(self, seats: tuple[Seat, ...]) -> tuple[StateT, tuple[Command, ...]]:
        """The first state and what to do first; `seats` is in the order of the configuration."""

    def step(self, state: StateT, happening: Happening) -> tuple[StateT, tuple[Command, ...]]:
        """The next state and what to do now."""
