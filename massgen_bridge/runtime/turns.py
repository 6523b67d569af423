"""One turn: from a strategy's command to the happening that it leads to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, assert_never

import anyio
from anyio.lowlevel import checkpoint

from massgen_bridge import ballots
from massgen_bridge.agent import Turn
from massgen_bridge.errors import LimitReached
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerRejected,
    BallotSpoiled,
    Happening,
    ImprovementPromised,
    LogLine,
    ModelCallStarted,
    Ranked,
    SpeakerChosen,
    ToolCallJudged,
    TurnCancelled,
    TurnDone,
    TurnFailed,
    TurnLost,
    TurnStarted,
    Voted,
)
from massgen_bridge.messages import with_media
from massgen_bridge.runtime.spending import Meter
from massgen_bridge.tools.desk import ToolDesk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from massgen_bridge.agent import Limits, TurnResult
    from massgen_bridge.events import BudgetReached, TurnEvent
    from massgen_bridge.messages import MediaPart, Message, ToolCall, ToolResult
    from massgen_bridge.runtime.budgets import Budgets
    from massgen_bridge.runtime.course import Attempt
    from massgen_bridge.runtime.decisions import Decisions
    from massgen_bridge.runtime.executor import Executor, TurnOutcome
    from massgen_bridge.runtime.gallery import Gallery
    from massgen_bridge.runtime.plan import PlannedAgent
    from massgen_bridge.runtime.recorder import Recorder
    from massgen_bridge.runtime.spending import Price
    from massgen_bridge.strategy import StartTurn
    from massgen_bridge.verdicts import ToolVerdict

_SHORTEST_S = 0.001

__all__ = ["Stage", "TurnTask", "concluding", "prepare"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What all turns of a run share.

    Attributes:
        question: What the user asks now.
        secret: Makes the marks on ballots unguessable.
        earlier: What each agent is shown of the conversation before; nothing by default.
        attached: What single agents get with every task.
        gallery: Takes care of the pictures of answers.
        price: What model calls cost; nothing is said of it where it is None.
        ends_at: When the time of the run is up, on the monotonic clock; None if it never is.
    """

    question: Message
    secret: str
    executor: Executor
    decisions: Decisions
    recorder: Recorder
    budgets: Budgets
    gallery: Gallery
    earlier: Mapping[str, ballots.Earlier] = field(default_factory=dict)
    attached: Mapping[str, tuple[MediaPart, ...]] = field(default_factory=dict)
    price: Price | None = None
    ends_at: float | None = None

    def task_of(self, agent_id: str) -> Message:
        """What the user asks now, with what this agent gets beside it."""
        return with_media(self.question, self.attached.get(agent_id, ()))

    def limits_of(self, agent: PlannedAgent) -> Limits:
        """What one of its turns may use: a team has to end in time, with its best so far."""
        if not agent.seat.members:
            return agent.limits
        own, budget = agent.limits.wall_s, self.budgets.time_up(agent.seat.agent_id)
        ends = [] if own is None else [own]
        if self.ends_at is not None:
            ends.append(max(_SHORTEST_S, round(self.ends_at - time.monotonic(), 3)))
        if budget is not None:
            left = budget.limit - self.budgets.turns_s(agent.seat.agent_id)
            ends.append(max(_SHORTEST_S, round(left, 3)))
        return agent.limits.model_copy(update={"wall_s": min(ends, default=None)})


async def prepare(
    command: StartTurn, agent: PlannedAgent, stage: Stage, *, attempt: int = 1
) -> TurnTask:
    """Make the turn of a command and record its start; the caller commits before it runs.

    Args:
        command: What the strategy wants.
        agent: Whose turn it is.
        stage: What all turns share.
        attempt: How often the turn is started, this time included.

    Raises:
        HookFailed: A `bridge_turn_prepare` hook raised.
        AgentError: One refused the turn.
    """
    earlier = stage.earlier.get(command.agent_id, ballots.Earlier())
    task = stage.task_of(command.agent_id)
    draft = ballots.compose(
        command,
        task,
        system=agent.system_message,
        way=agent.way,
        mark=ballots.mark_of(stage.secret, command.turn_id),
        earlier=earlier,
        follow=_follow(command, agent, stage),
    )
    own = tuple(tool.definition for tool in agent.tools) if agent.capabilities.tools else ()
    turn = await stage.decisions.prepare_turn(
        Turn(
            run_id=stage.recorder.run_id,
            turn_id=command.turn_id,
            agent_id=command.agent_id,
            messages=draft.messages,
            tools=(*draft.tools, *own),
            output_schema=draft.output_schema,
            limits=stage.limits_of(agent),
            task=task,
            shown=command.shown,
            earlier=len(earlier.before),
        )
    )
    paper = draft.paper
    stage.recorder.record(
        TurnStarted(
            purpose=command.purpose,
            round=command.round,
            turn=turn,
            shown=paper.choices if paper else (),
            ballot=paper.way if paper else None,
            mark=paper.mark if paper else None,
            follows=command.follows,
            attempt=attempt,
        ),
        agent_id=turn.agent_id,
        turn_id=turn.turn_id,
    )
    return TurnTask(turn=turn, agent=agent, paper=paper, stage=stage)


def _follow(command: StartTurn, agent: PlannedAgent, stage: Stage) -> ballots.Follow | None:
    """What the turn goes on from, as far as the agent can carry it."""
    if command.follows is None:
        return None
    follow = stage.recorder.histories.of(command.follows)
    if follow is None or agent.capabilities.history:
        return follow
    return follow.model_copy(update={"messages": ()})


def concluding(
    command: StartTurn, attempt: Attempt, agent: PlannedAgent, stage: Stage
) -> TurnTask | None:
    """A turn that ended in an earlier process, which did not come to say what came of it.

    Returns:
        None where that can no longer be told.
    """
    started = attempt.started
    way, mark = started.ballot or agent.way, started.mark or ""
    paper = ballots.compose(command, stage.question, system="", way=way, mark=mark).paper
    if paper is not None and paper.way == "text" and not mark:
        return None
    task = TurnTask(turn=started.turn, agent=agent, paper=paper, stage=stage)
    for call in attempt.calls:
        task.recall(call)
    return task


@dataclass(kw_only=True)
class TurnTask:
    """A turn ready to run, with its tool desk and its ballot paper."""

    turn: Turn
    agent: PlannedAgent
    paper: ballots.Paper | None
    stage: Stage
    _vote: ballots.Choice | None = field(default=None, init=False)
    _spent: BudgetReached | None = field(default=None, init=False)
    _desk: ToolDesk = field(init=False)
    _meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self._meter = Meter(self.turn.agent_id, self.stage.price)
        self._desk = ToolDesk(
            self.turn,
            {tool.definition.name: tool for tool in self.agent.tools},
            judge=self._judge if self.stage.decisions.judges_tools else None,
        )

    async def run(self, tell: Callable[[Happening], None]) -> None:
        """Do the turn and tell what came of it; nothing, if the strategy itself stopped it."""
        turn, recorder = self.turn, self.stage.recorder
        try:
            outcome = await self._within_time(tell)
            if isinstance(outcome, TurnDone):
                outcome = await self._meter.done(outcome)
        except anyio.get_cancelled_exc_class():
            cancelled = TurnCancelled(reason="the run ended")
            recorder.record(cancelled, agent_id=turn.agent_id, turn_id=turn.turn_id)
            raise
        if self._spent is not None and not isinstance(outcome, TurnDone):
            # Whatever the agent made of being stopped, this is why.
            outcome = TurnFailed(kind="limit", message=self._spent.message)
        recorder.record(outcome, agent_id=turn.agent_id, turn_id=turn.turn_id)
        await self.conclude(outcome, tell)

    async def _within_time(self, tell: Callable[[Happening], None]) -> TurnOutcome:
        """Let the agent do its turn, as long as its budget of time lasts."""
        turn = self.turn

        async def emit(event: TurnEvent, /) -> None:
            if isinstance(event, ModelCallStarted):
                refused = self.stage.budgets.refusal(turn.agent_id)
                if refused is not None:
                    await self._refuse(refused, tell)
            event = await self._meter.priced(event)
            self.stage.recorder.record(event, agent_id=turn.agent_id, turn_id=turn.turn_id)
            if self.stage.recorder.is_crowded or self.stage.budgets.count(event, turn.agent_id):
                await self.stage.recorder.commit()

        run_turn = partial(
            self.stage.executor.run_turn, self.agent.setup, turn.bind(self._call_tool), emit
        )
        time_up = self.stage.budgets.time_up(turn.agent_id)
        if time_up is None:
            return await run_turn()

        async def watch(left_s: float) -> None:
            await anyio.sleep(max(0.0, left_s))
            await self._stop(time_up, tell)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch, time_up.limit - self.stage.budgets.turns_s(turn.agent_id))
            outcome = await run_turn()
            tasks.cancel_scope.cancel()
        return outcome

    async def _refuse(self, spent: BudgetReached, tell: Callable[[Happening], None]) -> NoReturn:
        """Let a model call not begin."""
        if self.agent.seat.members:
            # That of one member: the team comes to an end by itself, with what it has.
            self._spent = spent
            await self.stage.budgets.tell(spent, tell)
        else:
            await self._stop(spent, tell)
            # An agent that runs under the executor's scope does not get beyond this.
            await checkpoint()
        raise LimitReached(spent.message)

    async def _stop(self, spent: BudgetReached, tell: Callable[[Happening], None]) -> None:
        """Stop the turn because a budget is reached, once that is durable."""
        self._spent = spent
        await self.stage.budgets.tell(spent, tell)
        self.stage.executor.cancel(self.turn.turn_id, spent.message)

    async def conclude(self, outcome: TurnOutcome, tell: Callable[[Happening], None]) -> None:
        """Tell what came of a turn that has ended, in this process or in an earlier one."""
        match outcome:
            case TurnDone(result=result):
                tell(await self._happening(result))
            case TurnFailed():
                tell(self._failure(outcome))
            case TurnCancelled():
                pass
            case _:
                assert_never(outcome)

    async def _call_tool(self, call: ToolCall) -> ToolResult:
        return self.recall(call) or await self._desk.call(call)

    def recall(self, call: ToolCall) -> ToolResult | None:
        """Take a vote; None where the call is none. The first valid one counts."""
        if self.paper is None or self.paper.way != "tools" or call.name != ballots.VOTE_TOOL:
            return None
        vote, result = ballots.take_vote(self.paper, call)
        if vote is not None and self._vote is None:
            self._vote = vote
        return result

    async def _judge(self, turn: Turn, call: ToolCall) -> ToolVerdict:
        verdict = await self.stage.decisions.tool_verdict(turn, call)
        if verdict.by is not None:
            judged = ToolCallJudged(
                call_id=call.call_id,
                action=verdict.action,
                by=verdict.by,
                reason=verdict.reason,
                arguments=verdict.arguments,
            )
            self.stage.recorder.record(judged, agent_id=turn.agent_id, turn_id=turn.turn_id)
        return verdict

    @property
    def _who(self) -> dict[str, str]:
        return {"agent_id": self.turn.agent_id, "turn_id": self.turn.turn_id}

    def _failure(self, failed: TurnFailed) -> Happening:
        if self._vote is not None:
            # It voted before it failed: that is paid for, and valid.
            return self._choice(self._vote)
        if self.paper is not None and failed.kind == "protocol":
            return BallotSpoiled(**self._who, problem=failed.message)
        return TurnLost(**self._who, kind=failed.kind, message=failed.message)

    def _choice(self, cast: ballots.Choice) -> Happening:
        if isinstance(cast, ballots.RankingCast):
            return Ranked(**self._who, ranking=cast.ranking, reason=cast.reason)
        if isinstance(cast, ballots.NextSpeaker):
            return SpeakerChosen(**self._who, label=cast.label, reason=cast.reason)
        return Voted(**self._who, choice=cast.choice, reason=cast.reason)

    async def _happening(self, result: TurnResult) -> Happening:
        who = self._who
        cast = ballots.read(self.paper, result, self._vote)
        match cast:
            case ballots.VoteCast() | ballots.RankingCast() | ballots.NextSpeaker():
                return self._choice(cast)
            case ballots.Abstention():
                return Abstained(**who, reason=cast.reason)
            case ballots.Promise():
                return ImprovementPromised(**who)
            case ballots.Spoiled():
                return BallotSpoiled(**who, problem=cast.problem)
            case ballots.Improvement():
                refusal = await self.stage.decisions.answer_verdict(self.turn, cast.text)
                if refusal is not None:
                    return AnswerRejected(**who, reason=refusal.reason)
                media = await self._brought(cast)
                more: Any = {"sources": result.sources, "stop_reason": result.stop_reason}
                return Answered(**who, text=cast.text, media=media, **more)
            case _:
                assert_never(cast)

    async def _brought(self, answer: ballots.Improvement) -> tuple[MediaPart, ...]:
        """What belongs to an answer; it is saved before the answer counts."""
        brought = await self.stage.gallery.brought(
            self.turn, self.agent.seat.label, answer.text, answer.media
        )
        for note in brought.notes:
            self.stage.recorder.record(LogLine(stream="log", text=note), **self._who)
        return brought.media
