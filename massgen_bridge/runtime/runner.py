"""The runner: does what a strategy commands and tells it what happened. It decides nothing."""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, assert_never

import anyio

from massgen_bridge import __version__
from massgen_bridge.agent import AnswerRef
from massgen_bridge.ballots import Earlier, earlier_of
from massgen_bridge.errors import AgentError, HookFailed, JournalError, ReplayDiverged
from massgen_bridge.events import (
    BudgetReached,
    Conversation,
    DeadlinePassed,
    Happening,
    LogLine,
    RunFinished,
    RunResult,
    RunResumed,
    RunStarted,
    TieBroken,
    TurnIdle,
    TurnLost,
)
from massgen_bridge.messages import with_media
from massgen_bridge.runtime.budgets import Budgets
from massgen_bridge.runtime.gallery import Gallery
from massgen_bridge.runtime.turns import Stage, TurnTask, concluding, prepare
from massgen_bridge.runtime.workspaces import Workspaces
from massgen_bridge.strategy import (
    Announce,
    BreakTie,
    CancelTurn,
    Command,
    Finish,
    StartTurn,
    WatchIdle,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_bridge.events import AnswerInfo
    from massgen_bridge.messages import MediaPart, Message
    from massgen_bridge.runtime.course import Past
    from massgen_bridge.runtime.decisions import Decisions
    from massgen_bridge.runtime.executor import Executor
    from massgen_bridge.runtime.plan import RunPlan
    from massgen_bridge.runtime.recorder import Recorder
    from massgen_bridge.runtime.spending import Price

__all__ = ["Runner", "opening"]

_NAMED = 5
_logger = logging.getLogger("massgen_bridge.runtime")

# So many turns start together: the first of a thousand need not wait until the last is prepared.
# The first batch holds every kind, for frameworks are imported before any agent runs.
_BATCH = 100


class Runner:
    """One run of a plan on a question.

    Args:
        plan: Who takes part and how they come to an answer.
        question: The user's message; any media parts reach the agents as they are.
        executor: Where the turns happen.
        decisions: The decision hooks.
        recorder: Takes every event.
        past: What the records say of a run that is resumed.
        conversation: What the question goes on from, None where it stands alone.
        marks: What the marks on ballots are made from; a new secret by default.
        attached: What single agents get with every task, by agent id.
        gallery: Takes care of the pictures of answers; in temporary folders by default.
        price: What model calls cost.

    Attributes:
        result: What the run gave, also after a cancellation; None while it runs.
    """

    def __init__(
        self,
        plan: RunPlan,
        question: Message,
        *,
        executor: Executor,
        decisions: Decisions,
        recorder: Recorder,
        past: Past | None = None,
        conversation: Conversation | None = None,
        marks: str | None = None,
        attached: Mapping[str, tuple[MediaPart, ...]] | None = None,
        gallery: Gallery | None = None,
        price: Price | None = None,
    ) -> None:
        self._plan = plan
        self._conversation = conversation
        # Time in which no process worked on the run does not count.
        self._started = time.monotonic() - (past.active_s if past else 0.0)
        self._stage = Stage(
            question=question,
            secret=marks or secrets.token_hex(16),
            executor=executor,
            decisions=decisions,
            recorder=recorder,
            budgets=Budgets(plan, recorder.ledger, past.course.reached if past else ()),
            earlier=_earlier(plan, conversation),
            attached=attached or {},
            gallery=gallery or Gallery(Workspaces()),
            price=price,
            ends_at=min(
                (self._started + s for s in (plan.deadline_s, plan.budget.wall_s) if s is not None),
                default=None,
            ),
        )
        self._recorder = recorder
        self._agents = {agent.seat.agent_id: agent for agent in plan.agents}
        self._unseen_kinds = {agent.setup.kind for agent in plan.agents}
        self._inbox: list[Happening] = []
        self._news = anyio.Event()
        self._finish: Finish | None = None
        self._past = past
        self._attempts = {
            turn_id: one.started.attempt for turn_id, one in (past.attempts if past else {}).items()
        }
        self.result: RunResult | None = None

    async def run(self) -> RunResult:
        """Run to the end. A cancellation is recorded and raised again."""
        if self._past is None:
            stage = self._stage
            start = _beginning(self._plan, stage.question, self._conversation, stage.attached)
            self._recorder.record(start)
            self._note_what_is_left_out()
        else:
            self._recorder.record(RunResumed(bridge_version=__version__))
        try:
            await self._coordinate()
        except anyio.get_cancelled_exc_class():
            await self._close(Finish(status="cancelled", message="the run was cancelled"))
            raise
        except Exception as error:  # noqa: BLE001 - a strategy is foreign code; the record is kept
            cause = _only(error)
            unfit = isinstance(cause, ReplayDiverged)
            text = str(cause) if unfit else f"the run broke: {cause!r}"
            with suppress(JournalError):
                await self._close(Finish(status="failed", message=text))
            raise cause from None
        return await self._close(
            self._finish or Finish(status="failed", message="the strategy came to no end")
        )

    # --- the loop -------------------------------------------------------------------------------

    async def _coordinate(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_time)
            if self._past is None:
                seats = tuple(agent.seat for agent in self._plan.agents)
                state, commands = self._plan.strategy.begin(seats)
                await self._obey(commands, tasks)
            else:
                state = self._past.course.state
                await self._take_up(self._past, tasks)
            while self._finish is None:
                happenings = await self._receive()
                for happening in happenings:
                    self._recorder.record(
                        happening,
                        agent_id=getattr(happening, "agent_id", None),
                        turn_id=getattr(happening, "turn_id", None),
                    )
                await self._recorder.commit()
                for happening in happenings:
                    if isinstance(happening, BudgetReached):
                        self._stage.budgets.acknowledge(happening)
                # One commit for all that arrived together; one step for each.
                for happening in happenings:
                    state, commands = self._plan.strategy.step(state, happening)
                    await self._obey(commands, tasks)
            tasks.cancel_scope.cancel()

    def _note_what_is_left_out(self) -> None:
        """Say which agents are not shown the whole conversation."""
        forgotten = self._conversation.forgotten if self._conversation else 0
        told: dict[int, list[str]] = {}
        for agent_id, earlier in self._stage.earlier.items():
            if left_out := forgotten + earlier.left_out:
                told.setdefault(left_out, []).append(repr(agent_id))
                text = f"the conversation does not fit; older turns left out: {left_out}"
                self._recorder.record(LogLine(stream="log", text=text), agent_id=agent_id)
        for left_out, agents in told.items():
            _logger.warning(
                "the conversation does not fit; older turns left out for %s: %d",
                ", ".join(agents[:_NAMED]) + (", …" if len(agents) > _NAMED else ""),
                left_out,
            )

    def _tell(self, happening: Happening) -> None:
        self._inbox.append(happening)
        self._news.set()

    async def _receive(self) -> list[Happening]:
        await self._news.wait()
        self._news = anyio.Event()
        happenings, self._inbox = self._inbox, []
        return happenings

    async def _watch_time(self) -> None:
        """Tell that the run's time is up, by its budget and by its deadline, the shorter one first.

        The other one is for a strategy that does not heed the first.
        """
        deadline_s, budget_s = self._plan.deadline_s, self._plan.budget.wall_s
        ends: list[tuple[float, Happening]] = []
        if deadline_s is not None:
            ends.append((deadline_s, DeadlinePassed(after_s=deadline_s)))
        if budget_s is not None:
            ends.append((budget_s, BudgetReached(budget="wall_s", limit=budget_s, used=budget_s)))
        for after_s, over in sorted(ends, key=lambda end: end[0]):
            # It may be up already: it runs from before the crew is there, and over a resume.
            await anyio.sleep(max(0.0, self._started + after_s - time.monotonic()))
            self._tell(over)

    async def _take_up(self, past: Past, tasks: anyio.abc.TaskGroup) -> None:
        """Carry out what the strategy had commanded when the run was left."""
        for event in past.unannounced:
            self._recorder.record(event)
        # All that is recorded of the turns that ended is judged first, and none of it again.
        again: list[Command] = []
        for command in past.course.open.values():
            attempt = past.attempts.get(command.turn_id)
            ended = None
            if attempt is not None and attempt.outcome is not None:
                agent = self._agents[command.agent_id]
                ended = concluding(command, attempt, agent, self._stage)
            if ended is None or attempt is None or attempt.outcome is None:
                again.append(command)
            else:
                tasks.start_soon(ended.conclude, attempt.outcome, self._tell)
        # Whoever is watched begins anew, and so does its silence.
        await self._obey((*again, *past.course.watched.values()), tasks)
        if past.course.tie is not None:
            await self._break_tie(past.course.tie)
        self._finish = past.course.finish

    # --- commands -------------------------------------------------------------------------------

    async def _obey(self, commands: Iterable[Command], tasks: anyio.abc.TaskGroup) -> None:
        started: list[TurnTask] = []
        watched: list[WatchIdle] = []
        for command in commands:
            match command:
                case StartTurn():
                    task = await self._prepared(command)
                    if task is not None:
                        started.append(task)
                        self._unseen_kinds.discard(task.agent.setup.kind)
                    if len(started) >= _BATCH and not self._unseen_kinds:
                        await self._start(started, tasks)
                        started = []
                case CancelTurn():
                    self._stage.executor.cancel(command.turn_id, command.reason)
                case WatchIdle():
                    watched.append(command)
                case _:
                    await self._conclude(command)
        if started:
            await self._start(started, tasks)
        # Only now are those turns known to the executor.
        for watch in watched:
            tasks.start_soon(self._watch_idle, watch)

    async def _conclude(self, command: BreakTie | Announce | Finish) -> None:
        match command:
            case BreakTie():
                await self._break_tie(command)
            case Announce():
                self._recorder.record(command.event)
            case Finish():
                self._finish = command
            case _:
                assert_never(command)

    async def _start(self, turns: Sequence[TurnTask], tasks: anyio.abc.TaskGroup) -> None:
        await self._recorder.commit()
        for turn in turns:
            tasks.start_soon(turn.run, self._tell, name=turn.turn.turn_id)

    async def _prepared(self, command: StartTurn) -> TurnTask | None:
        attempt = self._attempts.get(command.turn_id, 0) + 1
        agent = self._agents[command.agent_id]
        try:
            return await prepare(command, agent, self._stage, attempt=attempt)
        except (HookFailed, AgentError) as error:
            lost = TurnLost(
                agent_id=command.agent_id,
                turn_id=command.turn_id,
                kind=error.kind if isinstance(error, AgentError) else "crash",
                message=str(error),
            )
            self._tell(lost)
            return None

    async def _break_tie(self, command: BreakTie) -> None:
        winner, by = await self._stage.decisions.tie_break(
            self._stage.question.text, command.candidates
        )
        ref = AnswerRef(label=winner.label, version=winner.version)
        self._tell(TieBroken(winner=ref, by=by))

    async def _watch_idle(self, command: WatchIdle) -> None:
        agent_id = await self._stage.executor.wait_idle(command.turn_id, command.idle_s)
        if agent_id is not None:
            self._tell(TurnIdle(agent_id=agent_id, turn_id=command.turn_id, idle_s=command.idle_s))

    # --- the last record ------------------------------------------------------------------------

    async def _close(self, finish: Finish) -> RunResult:
        finish = self._stage.budgets.marked(finish)
        winner = next((a for a in finish.answers if _is(a, finish.winner)), None)
        ledger = self._recorder.ledger
        result = self.result = RunResult(
            run_id=self._recorder.run_id,
            status=finish.status,
            answer=_answer_of(finish, winner),
            media=_media_of(finish, winner),
            sources=winner.sources if winner is not None else (),
            presented=finish.presentation is not None,
            budget=finish.budget,
            winner=winner.authors[0] if winner else None,
            winning=finish.winner,
            votes=finish.votes,
            answers=finish.answers,
            stages=finish.stages,
            errors=tuple(ledger.errors),
            tie_broken_by=finish.tie_broken_by,
            usage=ledger.usage,
            calls=ledger.calls,
            cost=ledger.cost,
            agents=tuple(one.used_by(agent_id) for agent_id, one in ledger.agents.items()),
            duration_s=round(time.monotonic() - self._started, 3),
            message=finish.message,
        )
        # What was paid for is kept even while everything is being cancelled.
        with anyio.CancelScope(shield=True):
            self._recorder.record(RunFinished(result=result))
            await self._recorder.commit()
        return result


def opening(
    plan: RunPlan, question: Message, conversation: Conversation | None = None
) -> RunStarted:
    """The first record of a run, its question with the pictures that go along with every task."""
    attached = {agent.seat.agent_id: agent.attached for agent in plan.agents if agent.attached}
    return _beginning(plan, with_media(question, plan.images), conversation, attached)


def _beginning(
    plan: RunPlan,
    question: Message,
    conversation: Conversation | None,
    attached: Mapping[str, tuple[MediaPart, ...]],
) -> RunStarted:
    return RunStarted(
        bridge_version=__version__,
        question=question,
        seats=tuple(agent.seat for agent in plan.agents),
        strategy=plan.strategy_name,
        strategy_options=dict(plan.strategy_options),
        config_file=plan.config_file,
        conversation=conversation,
        within=plan.within,
        replayed_from=plan.replayed_from,
        attached=dict(attached),
    )


def _answer_of(finish: Finish, winner: AnswerInfo | None) -> str | None:
    if winner is None:
        return None
    return winner.text if finish.presentation is None else finish.presentation


def _media_of(finish: Finish, winner: AnswerInfo | None) -> tuple[MediaPart, ...]:
    """What belongs to the answer; a presentation in words alone is of what was chosen."""
    return () if winner is None else finish.presented_media or winner.media


def _earlier(plan: RunPlan, conversation: Conversation | None) -> dict[str, Earlier]:
    """What each agent is shown of the conversation."""
    if conversation is None:
        return {}
    return {
        agent.seat.agent_id: earlier_of(conversation.earlier, agent.capabilities, agent.room)
        for agent in plan.agents
    }


def _only(error: Exception) -> Exception:
    """The one error within the groups that task groups make of it."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _is(answer: Any, ref: AnswerRef | None) -> bool:
    return ref is not None and (answer.label, answer.version) == (ref.label, ref.version)
