"""The turns of a run, with all that happened in them, gathered record by record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from massgen_bridge.agent import Usage
from massgen_bridge.ballots import VOTE_TOOL
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerRejected,
    BallotSpoiled,
    HostedToolCall,
    ImprovementPromised,
    InnerRunFinished,
    InnerRunStarted,
    ModelCallFinished,
    ModelCallStarted,
    ModelRetried,
    Ranked,
    RunResumed,
    RunStarted,
    SpeakerChosen,
    ToolCallFinished,
    ToolCallJudged,
    ToolCallStarted,
    TurnCancelled,
    TurnDone,
    TurnFailed,
    TurnLost,
    TurnStarted,
    Voted,
    VoteInfo,
)
from massgen_bridge.export.model import ModelCall, Refusal, TeamWork, ToolUse, TurnPart, Wait
from massgen_bridge.runtime.spending import TurnSpending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.events import Event, Record
    from massgen_bridge.export.model import Outcome

__all__ = ["TurnLog"]

_Inside = (
    ModelCallStarted
    | ModelCallFinished
    | ModelRetried
    | ToolCallStarted
    | ToolCallJudged
    | ToolCallFinished
    | HostedToolCall
    | InnerRunStarted
    | InnerRunFinished
)


@dataclass(kw_only=True)
class _Open:
    """A turn while it is read; calls, waits and tools are kept until the next record is in."""

    agent_id: str
    turn_id: str
    started: TurnStarted
    start_s: float
    last_s: float
    outcome: Outcome = "unfinished"
    said: str = ""
    text: str = ""
    usage: Usage | None = None
    ended: bool = False
    calls: list[ModelCall] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    tools: list[ToolUse] = field(default_factory=list)
    team: TeamWork | None = None
    spent: TurnSpending = field(default_factory=TurnSpending)

    def part(self) -> TurnPart:
        counted = [call.usage for call in self.calls if call.usage is not None]
        return TurnPart(
            turn_id=self.turn_id,
            agent_id=self.agent_id,
            purpose=self.started.purpose,
            round=self.started.round,
            start_s=self.start_s,
            end_s=self.last_s,
            outcome=self.outcome,
            said=self.said,
            calls=tuple(self.calls),
            waits=tuple(self.waits),
            tools=tuple(self.tools),
            usage=self.usage or sum(counted, Usage()),
            cost=self.spent.cost,
            team=self.team,
        )

    def inside(self, event: _Inside, at_s: float) -> None:
        """Take in what the agent did."""
        match event:
            case ModelCallStarted() | ModelCallFinished():
                self._call(event, at_s)
            case InnerRunStarted() | InnerRunFinished():
                self._inner(event)
            case ModelRetried():
                wait = Wait(
                    start_s=at_s,
                    end_s=round(at_s + event.delay_s, 3),
                    attempt=event.attempt,
                    kind=event.kind,
                    message=event.message,
                    fallback=event.fallback,
                )
                self.waits.append(wait)
            case ToolCallStarted(call=call):
                arguments = call.arguments
                if call.malformed is not None:
                    arguments = {"malformed": call.malformed}
                tool = ToolUse(
                    call_id=call.call_id,
                    name=call.name,
                    start_s=at_s,
                    arguments=arguments,
                    is_ballot=call.name == VOTE_TOOL
                    and (self.started.ballot == "tools" or event.source is not None),
                )
                self.tools.append(tool)
            case HostedToolCall():
                tool = ToolUse(
                    call_id=event.call_id,
                    name=event.name,
                    start_s=at_s,
                    end_s=at_s,
                    arguments=event.arguments,
                    is_hosted=True,
                )
                self.tools.append(tool)
            case ToolCallJudged():
                judged: dict[str, object] = {
                    "judged": event.action,
                    "judged_by": event.by,
                    "judged_because": event.reason,
                }
                if event.arguments is not None:
                    judged["arguments"] = event.arguments
                self._tool(event.call_id, judged)
            case ToolCallFinished(result=result):
                ended = {"end_s": at_s, "content": result.content, "is_error": result.is_error}
                self._tool(result.call_id, ended)

    def _call(self, event: ModelCallStarted | ModelCallFinished, at_s: float) -> None:
        if isinstance(event, ModelCallStarted):
            self.calls.append(ModelCall(model=event.model, source=event.source, start_s=at_s))
            return
        self.spent.called(event)
        done = event.model_dump(include={"model", "cost_usd"})
        done |= {"end_s": at_s, "usage": event.usage}
        last = [number for number, one in enumerate(self.calls) if one.source == event.source][-1:]
        if last and self.calls[last[0]].end_s is None:
            self.calls[last[0]] = self.calls[last[0]].model_copy(update=done)
        else:
            self.calls.append(ModelCall(start_s=at_s, source=event.source, **done))

    def _inner(self, event: InnerRunStarted | InnerRunFinished) -> None:
        """Take in what a team began or ended; what teams within it do is told by its own run."""
        if event.source is not None:
            return
        if isinstance(event, InnerRunStarted):
            given = event.model_dump(include={"run_id", "purpose", "strategy", "seats"})
            self.team = TeamWork(**given)
        elif self.team is not None:
            self.team = self.team.model_copy(update={"result": event.result})

    def _tool(self, call_id: str, changes: dict[str, object]) -> None:
        for number in reversed(range(len(self.tools))):
            if self.tools[number].call_id == call_id:
                self.tools[number] = self.tools[number].model_copy(update=changes)
                return


class TurnLog:
    """All turns, votes and refusals, in the order in which they came."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._over: list[_Open] = []
        self.votes: list[tuple[VoteInfo, float, int]] = []
        self.refusals: list[Refusal] = []
        self.given: dict[tuple[str, str], tuple[float, int]] = {}
        """When, and in which round, an agent gave an answer, by its id and the text."""
        self._names: dict[str, str] = {}

    def turns(self) -> Iterator[TurnPart]:
        """The turns by their start."""
        everything = [*self._over, *self._open.values()]
        return (turn.part() for turn in sorted(everything, key=lambda turn: turn.start_s))

    def take(self, record: Record, at_s: float) -> None:
        """Take in one record."""
        event, turn_id = record.event, record.turn_id or ""
        if isinstance(event, RunStarted):
            self._names = {seat.label: seat.agent_id for seat in event.seats}
        if isinstance(event, RunResumed):
            self._broken_off()
        if isinstance(event, TurnStarted):
            if turn_id in self._open:  # the same turn once more, after an interruption
                self._over.append(self._open[turn_id])
            self._open[turn_id] = _Open(
                agent_id=record.agent_id or event.turn.agent_id,
                turn_id=turn_id,
                started=event,
                start_s=at_s,
                last_s=at_s,
            )
            return
        turn = self._open.get(turn_id)
        if turn is None:
            return
        if not turn.ended:
            turn.last_s = at_s
        if isinstance(event, _Inside):
            turn.inside(event, at_s)
        else:
            self._end(turn, event, at_s)

    def _broken_off(self) -> None:
        """What was under way when the process ended is started again."""
        for turn in self._open.values():
            if not turn.ended:
                turn.ended, turn.outcome, turn.said = True, "stopped", "the process ended"

    def _end(self, turn: _Open, event: Event, at_s: float) -> None:
        match event:
            case TurnDone(result=result):
                turn.ended, turn.outcome = True, "done"
                turn.spent.done(event, turn.agent_id)
                turn.usage, turn.text = result.usage, result.message.text
            case TurnFailed(kind=kind, message=message) | TurnLost(kind=kind, message=message):
                turn.ended, turn.outcome, turn.said = True, "failed", f"{kind}: {message}"
            case TurnCancelled(reason=reason):
                turn.ended, turn.outcome, turn.said = True, "stopped", reason
            case Answered(text=text):
                turn.outcome, turn.said = "answered", ""
                self.given[event.agent_id, text] = (at_s, turn.started.round)
            case SpeakerChosen(label=label):
                turn.outcome = "chose"
                chosen = self._names.get(label, label) if label else "the end"
                turn.said = f"{chosen}: {event.reason}" if event.reason else chosen
            case ImprovementPromised():
                turn.outcome = "promised"
            case Voted() | Ranked():
                turn.outcome = "voted" if isinstance(event, Voted) else "ranked"
                turn.said = event.reason
                self._vote(turn, event, at_s)
            case Abstained(reason=reason):
                turn.outcome, turn.said = "abstained", reason
            case AnswerRejected(reason=reason) | BallotSpoiled(problem=reason):
                rejected = isinstance(event, AnswerRejected)
                turn.outcome, turn.said = "rejected" if rejected else "spoiled", reason
                self._refuse("answer" if rejected else "ballot", turn, reason, at_s)
            case _:
                pass

    def _vote(self, turn: _Open, event: Voted | Ranked, at_s: float) -> None:
        ranking = event.ranking if isinstance(event, Ranked) else ()
        choice = ranking[0] if isinstance(event, Ranked) else event.choice
        vote = VoteInfo(
            voter=event.agent_id,
            author="",
            label=choice.label,
            version=choice.version,
            reason=event.reason,
            ranking=ranking,
        )
        self.votes.append((vote, at_s, turn.started.round))

    def _refuse(
        self, what: Literal["answer", "ballot"], turn: _Open, reason: str, at_s: float
    ) -> None:
        self.refusals.append(
            Refusal(
                what=what,
                agent_id=turn.agent_id,
                turn_id=turn.turn_id,
                round=turn.started.round,
                at_s=at_s,
                reason=reason,
                text=turn.text,
            )
        )
