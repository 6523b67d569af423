"""Happenings: the only input of a strategy, durable before anything follows from them."""

from __future__ import annotations

from typing import Literal

from massgen_bridge.agent import AnswerRef, Source, StopReason
from massgen_bridge.budget import BudgetName, spending
from massgen_bridge.errors import ErrorKind
from massgen_bridge.messages import Frozen, MediaPart


class Answered(Frozen):
    """An agent gave an answer (its first one, or a better one).

    `media` are the pictures and the like that it made for it, or that the answer cites; `sources`
    is what it rests on.
    """

    type: Literal["answered"] = "answered"
    agent_id: str
    turn_id: str
    text: str
    media: tuple[MediaPart, ...] = ()
    sources: tuple[Source, ...] = ()
    stop_reason: StopReason = "end"


class AnswerRejected(Frozen):
    """A `bridge_answer` hook refused an answer."""

    type: Literal["answer_rejected"] = "answer_rejected"
    agent_id: str
    turn_id: str
    reason: str


class Voted(Frozen):
    """An agent voted for an answer that it has seen."""

    type: Literal["voted"] = "voted"
    agent_id: str
    turn_id: str
    choice: AnswerRef
    reason: str = ""


class Ranked(Frozen):
    """An agent put all the answers that it was shown in order, the best one first."""

    type: Literal["ranked"] = "ranked"
    agent_id: str
    turn_id: str
    ranking: tuple[AnswerRef, ...]
    reason: str = ""


class SpeakerChosen(Frozen):
    """The chair of a conversation named who speaks next; `label` is None where it ends."""

    type: Literal["speaker_chosen"] = "speaker_chosen"
    agent_id: str
    turn_id: str
    label: str | None = None
    reason: str = ""


class ImprovementPromised(Frozen):
    """An agent said by schema that it will write a better answer."""

    type: Literal["improvement_promised"] = "improvement_promised"
    agent_id: str
    turn_id: str


class Abstained(Frozen):
    """An agent gave neither answer nor vote, and says why; that is no failure."""

    type: Literal["abstained"] = "abstained"
    agent_id: str
    turn_id: str
    reason: str = ""


class BallotSpoiled(Frozen):
    """What an agent returned is neither a vote nor an answer."""

    type: Literal["ballot_spoiled"] = "ballot_spoiled"
    agent_id: str
    turn_id: str
    problem: str


class TurnLost(Frozen):
    """A turn failed or was cancelled by something other than the strategy."""

    type: Literal["turn_lost"] = "turn_lost"
    agent_id: str
    turn_id: str
    kind: ErrorKind
    message: str


class TieBroken(Frozen):
    """A tie was decided, by the plugin named in `by` or by the order of the configuration."""

    type: Literal["tie_broken"] = "tie_broken"
    winner: AnswerRef
    by: str


class TurnIdle(Frozen):
    """A running turn has emitted nothing for `idle_s` seconds; the answer to a `WatchIdle`."""

    type: Literal["turn_idle"] = "turn_idle"
    agent_id: str
    turn_id: str
    idle_s: float


class BudgetReached(Frozen):
    """A budget is used up: no further model call of that agent, or of the run, begins.

    It is told once for a budget, when a call beyond it was about to begin; calls that are under way
    go on. `agent_id` is None where it is the budget of the run. `limit` and `used` are in the
    unit of the budget: calls, tokens (input and output), US dollars, or seconds.
    """

    type: Literal["budget_reached"] = "budget_reached"
    agent_id: str | None = None
    budget: BudgetName
    limit: float
    used: float

    @property
    def message(self) -> str:
        """In words: whose budget it is, and how much more was used where it was more."""
        whose = "the run" if self.agent_id is None else self.agent_id
        limit, used = (spending(self.budget, amount) for amount in (self.limit, self.used))
        more = f" ({used} used)" if used != limit else ""
        return f"{whose} has used its budget of {limit}{more}"


class DeadlinePassed(Frozen):
    """The time of the run is up."""

    type: Literal["deadline_passed"] = "deadline_passed"
    after_s: float


TurnHappening = (
    Answered
    | AnswerRejected
    | Voted
    | Ranked
    | SpeakerChosen
    | ImprovementPromised
    | Abstained
    | BallotSpoiled
    | TurnLost
)
"""What ends a turn, for the strategy: the turn is no longer running."""

Happening = TurnHappening | TurnIdle | TieBroken | BudgetReached | DeadlinePassed
