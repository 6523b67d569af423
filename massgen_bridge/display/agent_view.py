"""What there is to see of one agent of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, assert_never

from massgen_bridge.agent import AnswerRef
from massgen_bridge.display.voices import Voices
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerRejected,
    BallotSpoiled,
    BudgetReached,
    ErrorInfo,
    HostedToolCall,
    ImprovementPromised,
    InnerRunFinished,
    InnerRunStarted,
    LogLine,
    ModelCallFinished,
    ModelCallStarted,
    ModelRetried,
    ModelWaiting,
    PersonAsked,
    PersonReplied,
    Ranked,
    ReasoningDelta,
    Seat,
    SpeakerChosen,
    TextDelta,
    ToolCallFinished,
    ToolCallJudged,
    ToolCallStarted,
    TurnCancelled,
    TurnDone,
    TurnFailed,
    TurnHappening,
    TurnIdle,
    TurnLost,
    TurnStarted,
    Voted,
)
from massgen_bridge.runtime.recorder import Ledger

if TYPE_CHECKING:
    from massgen_bridge.events import Purpose

__all__ = [
    "AgentEvent",
    "AgentView",
    "Ballot",
    "CallEvent",
    "Delta",
    "InnerRun",
    "Phase",
    "TurnFrame",
]

Phase = Literal[
    "waiting",
    "answering",
    "evaluating",
    "improving",
    "repairing",
    "continuing",
    "debating",
    "judging",
    "reducing",
    "speaking",
    "chairing",
    "concluding",
    "ranking",
    "presenting",
    "answered",
    "improved",
    "spoke",
    "presented",
    "voted",
    "ranked",
    "chaired",
    "abstained",
    "spoiled",
    "rejected",
    "failed",
    "stopped",
    "out of budget",
]

_WORKING: dict[Purpose, Phase] = {
    "answer": "answering",
    "evaluate": "evaluating",
    "improve": "improving",
    "repair": "repairing",
    "continue": "continuing",
    "debate": "debating",
    "judge": "judging",
    "reduce": "reducing",
    "speak": "speaking",
    "chair": "chairing",
    "conclude": "concluding",
    "rank": "ranking",
    "break_tie": "judging",
    "present": "presenting",
}

_CHOSE: dict[str, Phase] = {"voted": "voted", "ranked": "ranked", "speaker_chosen": "chaired"}

Delta = TextDelta | ReasoningDelta
"""What the model writes, or thinks."""
CallEvent = (
    ModelCallStarted
    | ModelCallFinished
    | ModelRetried
    | ModelWaiting
    | ToolCallStarted
    | ToolCallFinished
    | HostedToolCall
    | PersonAsked
    | PersonReplied
)
"""What happens around the model's writing."""
TurnFrame = TurnStarted | TurnDone | TurnFailed | TurnCancelled
"""The beginning or the end of a turn."""
InnerRun = InnerRunStarted | InnerRunFinished
"""The beginning or the end of a run within the turn."""

AgentEvent = (
    Delta | LogLine | CallEvent | TurnFrame | ToolCallJudged | TurnIdle | TurnHappening | InnerRun
)
"""Everything that happens to one agent."""


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """An agent's vote; `authors` are the agent ids behind the label."""

    choice: AnswerRef
    authors: tuple[str, ...]
    reason: str = ""


@dataclass(kw_only=True)
class AgentView:
    """One agent.

    Attributes:
        text: What the model has written in the running or last turn, voided deltas aside.
        reasoning: Its reasoning in that turn.
        activity: What it does beside writing: a tool call, the wait before a retry.
        log: The last line that the framework printed.
        problem: Why its last ballot or answer did not count.
        answer: Its newest answer.
        same_as: The author that an equal answer of this agent was merged with.
        stood_in: The calls that a fallback answered, by its connection and model.
        started_at: Unix time at which the running turn began; None between turns.
        busy_s: Seconds spent in the turns that have ended.
        spent: The budget that lets it make no further model call, its own or that of the run.
    """

    seat: Seat
    phase: Phase = "waiting"
    purpose: Purpose = "answer"
    round: int = 0
    turn_id: str | None = None
    text: Voices = field(default_factory=Voices)
    reasoning: Voices = field(default_factory=Voices)
    activity: str | None = None
    log: str | None = None
    ballot: Ballot | None = None
    problem: str | None = None
    error: ErrorInfo | None = None
    answer: str | None = None
    same_as: str | None = None
    ledger: Ledger = field(default_factory=Ledger)
    stood_in: Counter[tuple[str, str]] = field(default_factory=Counter)
    started_at: float | None = None
    busy_s: float = 0.0
    spent: BudgetReached | None = None
    _asked: Purpose = "answer"  # of the last turn that is no repair
    _tool_call: str | None = None
    _is_hosted: bool = False  # what `activity` says

    @property
    def id(self) -> str:
        """The agent's id."""
        return self.seat.agent_id

    def elapsed_s(self, now: float) -> float:
        """Seconds of work, the running turn included; `now` is Unix time."""
        running = 0.0 if self.started_at is None else max(0.0, now - self.started_at)
        return self.busy_s + running

    # --- taking in ------------------------------------------------------------------------------

    def hear(self, event: Delta) -> None:
        """Take in a delta; inner members of a group are told apart by a line with their name."""
        if self._is_hosted:
            self.activity, self._is_hosted = None, False
        log = self.text if isinstance(event, TextDelta) else self.reasoning
        log.add(event.text, event.source)

    def call(self, event: CallEvent) -> None:
        """Take in what happens around the model's writing."""
        match event:
            case ModelCallStarted():
                self._begin(event.source)
            case ModelRetried():
                self.text.void(event.source)
                self.reasoning.void(event.source)
                self.activity = _retrying(event)
            case ToolCallStarted(call=call):
                self.activity = f"{_whose(event)}calls {call.name}"
                self._tool_call = call.call_id
            case ToolCallFinished(result=result):
                if result.call_id == self._tool_call:
                    self.activity = None
            case HostedToolCall(name=name):
                self.activity = f"{_whose(event)}has the provider call {name}"
                self._is_hosted = True
            case PersonAsked() | ModelWaiting():
                self.activity = _waiting(event)
            case PersonReplied():
                self.activity = None
            case ModelCallFinished():
                self._end(event)
            case _:
                assert_never(event)

    def _begin(self, source: str | None) -> None:
        self.text.begin(source)
        self.reasoning.begin(source)
        self.activity = None

    def _end(self, event: ModelCallFinished) -> None:
        self.text.end(event.source)
        self.reasoning.end(event.source)
        if event.fallback is not None:
            self.stood_in[event.fallback, event.model] += 1

    def turn(self, event: TurnFrame, turn_id: str | None, at: float) -> None:
        """Take in the beginning or the end of a turn."""
        if isinstance(event, TurnStarted):
            self.phase, self.purpose = _WORKING[event.purpose], event.purpose
            self.round, self.turn_id, self.started_at = event.round, turn_id, at
            self.text, self.reasoning = Voices(), Voices()
            self.activity = self._tool_call = None
            if event.purpose != "repair":
                self.problem, self._asked = None, event.purpose
            return
        if turn_id != self.turn_id:
            return
        if self.started_at is not None:
            self.busy_s = self.elapsed_s(at)
        self.started_at = self.activity = None
        match event:
            case TurnDone():
                pass
            case TurnFailed():
                self._fail(event, turn_id or "")
            case TurnCancelled():
                self.phase = "stopped"
            case _:
                assert_never(event)

    def is_refusal(self, message: str) -> bool:
        """Whether that is no failure of the agent: it was not let any further by a budget."""
        return self.spent is not None and self.spent.message == message

    def _fail(self, event: TurnFailed | TurnLost, turn_id: str) -> None:
        if self.is_refusal(event.message):
            self.phase = "out of budget"
            return
        self.phase = "failed"
        self.error = ErrorInfo(
            agent_id=self.id, turn_id=turn_id, kind=event.kind, message=event.message
        )

    def _given(self, text: str) -> Phase:
        if self._asked == "speak":
            return "spoke"
        if self._asked == "present":
            return "presented"
        better = self.answer is not None and self.answer.strip() != text.strip()
        return "improved" if better else "answered"

    def happened(self, event: TurnHappening) -> None:
        """Take in what came of a turn."""
        if self.started_at is not None and event.turn_id != self.turn_id:
            return  # late news of an earlier turn
        match event:
            case Answered():
                self.phase = self._given(event.text)
                self.answer, self.same_as, self.problem = event.text, None, None
            case Voted() | Ranked() | SpeakerChosen():
                self.phase, self.problem = _CHOSE[event.type], None
            case ImprovementPromised():
                self.phase = "improving"
            case Abstained(reason=reason):
                self.phase, self.problem = "abstained", reason or None
            case AnswerRejected(reason=problem):
                self.phase, self.problem = "rejected", problem
            case BallotSpoiled(problem=problem):
                self.phase, self.problem = "spoiled", problem
            case TurnLost():
                self._fail(event, event.turn_id)
            case _:
                assert_never(event)


def _retrying(event: ModelRetried) -> str:
    after = f"next in {event.delay_s:.1f} s"
    if event.fallback is not None:
        after = f"{event.fallback} is asked instead"
    why = f"{event.kind}: {event.message}"
    return f"{_whose(event)}attempt {event.attempt} failed, {after} ({why})"


def _waiting(event: PersonAsked | ModelWaiting) -> str:
    if isinstance(event, PersonAsked):
        return "waits for the person"
    return f"{_whose(event)}{event.message}"


def _whose(event: CallEvent) -> str:
    return "" if event.source is None else f"{event.source}: "
