"""What there is to see of a run: a view, reduced from its records, that knows no terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, assert_never

from massgen_bridge.agent import AnswerRef
from massgen_bridge.display.voices import Voices
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerInfo,
    AnswerListed,
    AnswerRejected,
    BallotSpoiled,
    BudgetReached,
    DeadlinePassed,
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
    RunFinished,
    RunResumed,
    RunStarted,
    Seat,
    SpeakerChosen,
    StageClosed,
    StageInfo,
    TextDelta,
    TieBroken,
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
    Use,
    Voted,
)
from massgen_bridge.runtime.recorder import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.events import Purpose, Record, RunResult

__all__ = ["AgentEvent", "AgentView", "Ballot", "Phase", "RunView"]

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

_Delta = TextDelta | ReasoningDelta
_Call = (
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
_Frame = TurnStarted | TurnDone | TurnFailed | TurnCancelled

_Inner = InnerRunStarted | InnerRunFinished

AgentEvent = _Delta | LogLine | _Call | _Frame | ToolCallJudged | TurnIdle | TurnHappening | _Inner
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

    def hear(self, event: _Delta) -> None:
        """Take in a delta; inner members of a group are told apart by a line with their name."""
        if self._is_hosted:
            self.activity, self._is_hosted = None, False
        log = self.text if isinstance(event, TextDelta) else self.reasoning
        log.add(event.text, event.source)

    def call(self, event: _Call) -> None:
        """Take in what happens around the model's writing."""
        match event:
            case ModelCallStarted():
                self._begin(event.source)
            case ModelRetried():
                self.text.void(event.source)
                self.reasoning.void(event.source)
                self.activity = (
                    f"{_whose(event)}attempt {event.attempt} failed, next in {event.delay_s:.1f} s "
                    f"({event.kind}: {event.message})"
                )
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
            case ModelCallFinished(source=source):
                self.text.end(source)
                self.reasoning.end(source)
            case _:
                assert_never(event)

    def _begin(self, source: str | None) -> None:
        self.text.begin(source)
        self.reasoning.begin(source)
        self.activity = None

    def turn(self, event: _Frame, turn_id: str | None, at: float) -> None:
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


def _waiting(event: PersonAsked | ModelWaiting) -> str:
    if isinstance(event, PersonAsked):
        return "waits for the person"
    return f"{_whose(event)}{event.message}"


def _whose(event: _Call) -> str:
    return "" if event.source is None else f"{event.source}: "


class RunView:
    """A run as far as its records have come; `version` changes with every record.

    Attributes:
        run_id: Empty before the first record.
        started: The first record's event; None when it has not been seen.
        started_at: Unix time of the first record.
        last_at: Unix time of the newest record.
        agents: By id, in the order of the configuration.
        round: The newest round of evaluation; 0 while the first answers are given.
        stages: Of a vote by rankings, those that are counted.
        result: What the run gave; None before its end.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.version = 0
        self._reset()
        for record in records:
            self.apply(record)

    def _reset(self) -> None:
        self.run_id = ""
        self.started: RunStarted | None = None
        self.started_at = self.last_at = 0.0
        self.agents: dict[str, AgentView] = {}
        self.round = 0
        self.listed: dict[AnswerRef, AnswerListed] = {}
        self.stages: list[StageInfo] = []
        self.result: RunResult | None = None
        self._ballots: dict[str, Ballot | None] = {}

    def apply(self, record: Record) -> None:
        """Take in one record. A `RunStarted` begins a new view."""
        self.version += 1
        event = record.event
        if isinstance(event, RunStarted) or not self.run_id:
            self._reset()
            self.run_id, self.started_at = record.run_id, record.at
        before, self.last_at = self.last_at, max(self.last_at, record.at)
        match event:
            case TextDelta() | ReasoningDelta():
                agent = self._agent(record)
                if agent.turn_id == record.turn_id:
                    agent.hear(event)
            case LogLine(text=text):
                self._agent(record).log = text
            case RunStarted(seats=seats):
                self.started = event
                self.agents = {seat.agent_id: AgentView(seat=seat) for seat in seats}
            case RunFinished(result=result):
                self.finish(result)
            case RunResumed():
                self._resume(before)
            case AnswerListed() | StageClosed() | BudgetReached():
                self._announced(event)
            case TieBroken() | DeadlinePassed() | TurnIdle() | ToolCallJudged():
                pass
            case _:
                self._apply_to_agent(event, record)

    def finish(self, result: RunResult) -> None:
        """Take in the end: only the votes that counted remain."""
        self.version += 1
        self.result = result
        self.run_id = self.run_id or result.run_id
        self._ballots = {agent.id: agent.ballot for agent in self.agents.values()}
        for agent in self.agents.values():
            agent.ballot = None
        for vote in result.votes:
            if vote.voter in self.agents:
                choice = AnswerRef(label=vote.label, version=vote.version)
                authors = self.authors_of(choice) or (vote.author,)
                ballot = Ballot(choice=choice, authors=authors, reason=vote.reason)
                self.agents[vote.voter].ballot = ballot

    # --- asking ---------------------------------------------------------------------------------

    @property
    def winning(self) -> AnswerInfo | None:
        """The answer that won, with its authors and votes."""
        if self.result is None or self.result.winning is None:
            return None
        label, version = self.result.winning.label, self.result.winning.version
        return next(
            (a for a in self.result.answers if (a.label, a.version) == (label, version)), None
        )

    def authors_of(self, choice: AnswerRef) -> tuple[str, ...]:
        """The agents behind an answer that was given or voted for."""
        listed = self.listed.get(choice)
        if listed is not None:
            return listed.authors
        return tuple(a.id for a in self.agents.values() if a.seat.label == choice.label)

    def votes(self) -> Counter[str]:
        """Votes received so far, by agent id; co-authors share those of their answer."""
        return Counter(
            author
            for agent in self.agents.values()
            if agent.ballot is not None
            for author in agent.ballot.authors
        )

    def used(self) -> Use:
        """What all agents have used so far."""
        return sum((agent.ledger.used for agent in self.agents.values()), Use())

    # --- taking in ------------------------------------------------------------------------------

    def _agent(self, record: Record) -> AgentView:
        agent_id = record.agent_id or getattr(record.event, "agent_id", "") or "?"
        agent = self.agents.get(agent_id)
        if agent is None:  # the first record is missing
            seat = Seat(agent_id=agent_id, label=agent_id, kind="?")
            agent = self.agents[agent_id] = AgentView(seat=seat)
        return agent

    def _apply_to_agent(
        self, event: _Call | _Frame | TurnHappening | _Inner, record: Record
    ) -> None:
        agent = self._agent(record)
        agent.ledger.add(record)
        match event:
            case TurnStarted() | TurnDone() | TurnFailed() | TurnCancelled():
                if isinstance(event, TurnStarted) and event.round > self.round:
                    self._open_round(event.round)
                agent.turn(event, record.turn_id, record.at)
            case Voted(choice=choice, reason=reason):
                agent.happened(event)
                authors = self.authors_of(choice)
                agent.ballot = Ballot(choice=choice, authors=authors, reason=reason)
            case Ranked(ranking=ranking, reason=reason):
                agent.happened(event)
                for best in ranking[:1]:
                    authors = self.authors_of(best)
                    agent.ballot = Ballot(choice=best, authors=authors, reason=reason)
            case (
                Answered()
                | AnswerRejected()
                | Ranked()
                | SpeakerChosen()
                | ImprovementPromised()
                | Abstained()
                | BallotSpoiled()
                | TurnLost()
            ):
                agent.happened(event)
            case InnerRunStarted() | InnerRunFinished():
                pass
            case _:
                agent.call(event)

    def _open_round(self, number: int) -> None:
        self.round = number
        for agent in self.agents.values():
            agent.ballot = None

    def _resume(self, stopped_at: float) -> None:
        """What had been cancelled goes on; what was under way begins anew."""
        if self.result is not None:
            for agent_id, ballot in self._ballots.items():
                self.agents[agent_id].ballot = ballot
        self.result = None
        for agent in self.agents.values():
            if agent.started_at is not None:
                agent.turn(TurnCancelled(reason="the process ended"), agent.turn_id, stopped_at)

    def _announced(self, event: AnswerListed | StageClosed | BudgetReached) -> None:
        if isinstance(event, BudgetReached):
            for agent in self.agents.values():
                if event.agent_id in {None, agent.id}:
                    agent.spent = event
            return
        if isinstance(event, StageClosed):
            self.stages.append(event.stage)
            return
        self.listed[event.answer] = event
        for author in event.authors:
            if author in self.agents:
                first = event.authors[0]
                self.agents[author].same_as = None if author == first else first
