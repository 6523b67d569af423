"""What there is to see of a run: a view, reduced from its records, that knows no terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from massgen_bridge.agent import AnswerRef
from massgen_bridge.display.agent_view import AgentView, Ballot
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerInfo,
    AnswerListed,
    AnswerRejected,
    BallotSpoiled,
    BudgetReached,
    DeadlinePassed,
    ImprovementPromised,
    InnerRunFinished,
    InnerRunStarted,
    LogLine,
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
    ToolCallJudged,
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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.display.agent_view import CallEvent, InnerRun, TurnFrame
    from massgen_bridge.events import Record, RunResult

__all__ = ["RunView"]


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
        self, event: CallEvent | TurnFrame | TurnHappening | InnerRun, record: Record
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
