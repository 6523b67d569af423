"""The run as plain lines, one for each thing that happens: for pipes, logs and simple terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from massgen_bridge.display.base import BaseDisplay, fitting
from massgen_bridge.display.summary import outcome, totals
from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import (
    ADVICE,
    count,
    listing,
    medium_words,
    name_of,
    names_of,
    question_of,
    stage_words,
)
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerListed,
    AnswerRejected,
    BallotSpoiled,
    BudgetReached,
    DeadlinePassed,
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
    SpeakerChosen,
    StageClosed,
    TextDelta,
    TieBroken,
    ToolCallFinished,
    ToolCallJudged,
    ToolCallStarted,
    TurnCancelled,
    TurnDone,
    TurnFailed,
    TurnIdle,
    TurnLost,
    TurnStarted,
    Voted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.display.agent_view import AgentEvent, Phase
    from massgen_bridge.display.base import Meter
    from massgen_bridge.display.state import RunView
    from massgen_bridge.display.summary import Line
    from massgen_bridge.events import Event, Purpose, Record
    from massgen_bridge.messages import ToolResult

__all__ = ["PlainDisplay", "plain_line"]

_LONG = 160
_STEPS = 10
_PURPOSES: dict[Purpose, str] = {
    "answer": "begins its answer",
    "evaluate": "weighs the answers, round {}",
    "improve": "improves its answer",
    "repair": "tries again",
    "continue": "goes on from what there is",
    "debate": "takes its position anew, round {}",
    "judge": "judges the positions",
    "reduce": "makes one answer of all",
    "speak": "begins to speak",
    "chair": "decides who speaks next",
    "conclude": "writes the answer that follows",
    "rank": "puts answers in order, stage {}",
    "break_tie": "decides between equals",
    "present": "presents the answer that won",
}
_GAVE: dict[Phase, str] = {
    "improved": "gave a better answer",
    "spoke": "has spoken",
    "presented": "has presented its answer",
}
_Unsaid = (
    TurnDone
    | TurnFailed
    | ModelCallStarted
    | ModelCallFinished
    | TextDelta
    | ReasoningDelta
    | LogLine
)
_VERDICTS = {"deny": "denied", "ask": "left to a person", "edit": "changed"}


class PlainDisplay(BaseDisplay):
    """Writes a line to stderr for each thing that happens; never an escape sequence."""

    def _look(self) -> None:
        lines = [plain_line(record, self.view) for record in self._arrived()]
        self._write([*(_step(meter) for meter in self._meters), *lines])

    def _before_answer(self) -> None:
        gap = [""] if self._stdout.isatty() else []
        self._write([*map(_indented, outcome(self.view)), *gap])

    def _after_answer(self) -> None:
        gap = [""] if self._stdout.isatty() else []
        self._write([*gap, _indented(totals(self.view))])

    def _write(self, lines: Iterable[str | None]) -> None:
        text = "".join(f"{line}\n" for line in lines if line is not None)
        if text:
            self._stderr.write(fitting(text, self._stderr))
            self._stderr.flush()


def plain_line(record: Record, view: RunView) -> str | None:
    """A record as a line, None for one that says nothing new.

    Args:
        record: What happened.
        view: The run, with this record already taken in.
    """
    said = _said(record.event, record.agent_id, view)
    return None if said is None else f"[{record.at - view.started_at:6.1f}s] {said}"


def _said(event: Event, agent_id: str | None, view: RunView) -> str | None:
    match event:
        case RunStarted(question=question, strategy=strategy):
            agents = count(len(view.agents), "agent")
            about = question_of(question, _LONG)
            return f"run {one_line(view.run_id)}: {agents}, strategy {one_line(strategy)}: {about}"
        case RunResumed():
            return "resumed"
        case AnswerListed() | StageClosed():
            return _announced(event, view)
        case TieBroken(winner=winner, by=by):
            authors = view.authors_of(winner) or (winner.label,)
            return f"tie: {names_of(view, authors)} wins by {one_line(by)}"
        case DeadlinePassed(after_s=after_s):
            return f"deadline: the {after_s:g} s of this run are over"
        case BudgetReached():
            return _spent(event, view)
        case RunFinished():
            return None  # told by the summary
        case _:
            said = _said_of_agent(event, view)
            who = name_of(view, getattr(event, "agent_id", agent_id) or "?")
            member = getattr(event, "source", None)
            if member is not None:
                who = f"{who}, {one_line(member)}"
            return None if said is None else f"{who}: {said}"


def _announced(event: AnswerListed | StageClosed, view: RunView) -> str:
    if isinstance(event, StageClosed):
        return stage_words(view, event.stage)
    if len(event.authors) == 1:
        return f"{name_of(view, event.authors[0])}: its answer is up for the vote"
    return f"{names_of(view, event.authors)}: gave the same answer, it is up for the vote"


def _said_of_agent(event: AgentEvent, view: RunView) -> str | None:
    match event:
        case TurnStarted(purpose=purpose, round=number):
            return _PURPOSES[purpose].format(number)
        case TurnCancelled() | TurnIdle() | TurnLost():
            return _ended(event, view)
        case ModelRetried() | ModelWaiting():
            return _said_of_call(event)
        case ToolCallStarted() | ToolCallJudged() | ToolCallFinished() | HostedToolCall():
            return _said_of_tool(event)
        case Voted() | Ranked() | SpeakerChosen():
            return _chose(event, view)
        case Answered() | AnswerRejected() | BallotSpoiled() | ImprovementPromised() | Abstained():
            return _came_of_it(event, view)
        case InnerRunStarted() | InnerRunFinished():
            return _said_of_team(event)
        case PersonAsked() | PersonReplied():
            return _said_of_person(event)
        case _:
            _unsaid(event)
            return None


def _said_of_call(event: ModelRetried | ModelWaiting) -> str:
    if isinstance(event, ModelWaiting):
        return event.message
    why = f"{event.kind}: {clip(one_line(event.message), _LONG)}"
    if event.fallback is not None:
        return f"model call failed, {one_line(event.fallback)} is asked instead: {why}"
    return f"model call {event.attempt} failed, next try in {event.delay_s:.1f} s: {why}"


def _is_refusal(view: RunView, agent_id: str, message: str) -> bool:
    agent = view.agents.get(agent_id)
    return agent is not None and agent.is_refusal(message)


def _ended(event: TurnCancelled | TurnIdle | TurnLost, view: RunView) -> str:
    match event:
        case TurnCancelled(reason=reason):
            return f"stopped: {clip(one_line(reason), _LONG)}"
        case TurnIdle(idle_s=idle_s):
            return f"silent for {idle_s:g} s: the others do not wait any longer"
        case TurnLost(agent_id=agent_id, message=message) if _is_refusal(view, agent_id, message):
            return "stopped, it is out of budget"
        case TurnLost(kind=kind, message=message):
            return f"failed: {kind}: {one_line(message)} (what to do: {ADVICE[kind]})"
        case _:
            assert_never(event)


def _unsaid(event: _Unsaid) -> None:
    """Nothing is said of what other lines tell, or what is too much for lines."""
    del event


def _said_of_team(event: InnerRunStarted | InnerRunFinished) -> str | None:
    if isinstance(event, InnerRunStarted):
        team = listing(one_line(seat.agent_id) for seat in event.seats)
        if event.purpose == "vote":
            return f"asks its members to vote: {team}"
        return f"works as a team: {team}, strategy {one_line(event.strategy)}"
    result = event.result
    if event.purpose == "vote" or result.winner is None or result.answer is None:
        return None  # told by what comes of it
    votes = sum(vote.author == result.winner for vote in result.votes)
    by = f" with {count(votes, 'vote')}" if votes else ""
    return f"its team took the answer of {one_line(result.winner)}{by}"


def _said_of_tool(
    event: ToolCallStarted | ToolCallJudged | ToolCallFinished | HostedToolCall,
) -> str | None:
    match event:
        case HostedToolCall(name=name):
            return f"has the provider call its tool {one_line(name)}"
        case ToolCallStarted(call=call):
            return f"calls the tool {one_line(call.name)}"
        case ToolCallJudged(action="allow"):
            return None
        case ToolCallJudged(action=action, by=by, reason=reason):
            why = f": {clip(one_line(reason), _LONG)}" if reason else ""
            return f"the call is {_VERDICTS[action]} by {one_line(by)}{why}"
        case ToolCallFinished(result=result):
            return _tool_gave(result)
        case _:
            assert_never(event)


def _tool_gave(result: ToolResult) -> str | None:
    if result.is_error:
        return f"the tool {one_line(result.name)} failed"
    if not result.media:
        return None
    return f"the tool {one_line(result.name)} gave {' '.join(map(medium_words, result.media))}"


def _said_of_person(event: PersonAsked | PersonReplied) -> str | None:
    match event:
        case PersonAsked(time_limit_s=None):
            return "the person is asked"
        case PersonAsked(time_limit_s=limit_s):
            return f"the person is asked, with {limit_s:g} s to reply"
        case PersonReplied(by_default=True, reason=reason):
            return f"{one_line(reason)}: the default applies"
        case PersonReplied():
            return None
        case _:
            assert_never(event)


def _spent(event: BudgetReached, view: RunView) -> str:
    if event.agent_id is None:
        return f"budget: {event.message}; no further model call begins"
    return f"{name_of(view, event.agent_id)}: {event.message}"


def _chose(event: Voted | Ranked | SpeakerChosen, view: RunView) -> str:
    why = f": {clip(one_line(event.reason), _LONG)}" if event.reason else ""
    if isinstance(event, Voted):
        authors = view.authors_of(event.choice) or (event.choice.label,)
        return f"voted for {names_of(view, authors)}{why}"
    if isinstance(event, Ranked):
        order = ", ".join(
            names_of(view, view.authors_of(one) or (one.label,)) for one in event.ranking
        )
        return f"ranks {order}{why}"
    if event.label is None:
        return f"ends the conversation{why}"
    called = [agent.id for agent in view.agents.values() if agent.seat.label == event.label]
    return f"gives the floor to {names_of(view, called or [event.label])}{why}"


def _came_of_it(
    event: Answered | AnswerRejected | BallotSpoiled | ImprovementPromised | Abstained,
    view: RunView,
) -> str:
    match event:
        case Answered(agent_id=agent_id, media=media):
            gave = _GAVE.get(view.agents[agent_id].phase, "gave its answer")
            return " ".join((gave, *map(medium_words, media)))
        case AnswerRejected(reason=reason):
            return f"its answer was refused: {clip(one_line(reason), _LONG)}"
        case BallotSpoiled(problem=problem):
            return f"its ballot does not count: {clip(one_line(problem), _LONG)}"
        case ImprovementPromised():
            return "promises a better answer"
        case Abstained(reason=reason):
            return f"abstains: {clip(one_line(reason), _LONG)}" if reason else "abstains"
        case _:
            assert_never(event)


def _step(meter: Meter) -> str | None:
    step = int(meter.share * _STEPS)
    if step == meter.step:
        return None
    meter.step = step
    return f"{one_line(meter.title)}: {step * 100 // _STEPS} %"


def _indented(line: Line) -> str:
    return f"{' ' * line.indent}{line.text}"
