"""A team as an agent: each of its turns is a run of its own, within that of the team around it.

The inner run has a journal of its own, whose id follows from the outer run and the turn. So a turn
that is started again finds what it had come to: a run that has ended is not repeated, one that was
broken off goes on. What happens within is told to the outer run as events with a `source`.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint

from massgen_bridge import ballots
from massgen_bridge.agent import FinishedTurn, TurnResult, Usage
from massgen_bridge.errors import (
    AgentCrashed,
    JournalError,
    LimitReached,
    ProtocolFailed,
    error_of_kind,
)
from massgen_bridge.events import (
    Conversation,
    Exchange,
    InnerRunFinished,
    InnerRunStarted,
    ModelCallFinished,
    OuterTurn,
    RunFinished,
    RunStarted,
    TurnDone,
    TurnFailed,
    TurnStarted,
)
from massgen_bridge.messages import Message, TextPart, assistant
from massgen_bridge.plugins import load_object
from massgen_bridge.runtime.crew import Crew, Imports
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal_file import read_ends, read_run
from massgen_bridge.runtime.recorded import begin, go_on, here, taken_over
from massgen_bridge.runtime.runner import opening
from massgen_bridge.runtime.stopped import StoppedRun
from massgen_bridge.strategies.poll import POLL, Poll, majority_of, order_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_bridge.agent import Capabilities, Emit, Turn
    from massgen_bridge.connection import Connection, ModelCaller
    from massgen_bridge.events import RunResult, TurnEvent
    from massgen_bridge.messages import JsonValue
    from massgen_bridge.models.connections import ConnectionPool
    from massgen_bridge.runtime.crew import AgentSetup
    from massgen_bridge.runtime.executor import Executor, TurnOutcome
    from massgen_bridge.runtime.plan import PlannedAgent
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.strategy import StartTurn

__all__ = ["InnerTeam", "crew_of", "inner_run_id"]

# So long before its turn would be cut off, a team has to come to an end by itself: a tenth of the
# turn, within bounds.
_SHARE = 0.1
_SHORTEST_MARGIN_S = 0.25
_LONGEST_MARGIN_S = 1.0
_SHORTEST_S = 0.001


def inner_run_id(run_id: str, turn_id: str) -> str:
    """The id of the run that is the work of a team's turn."""
    return f"{run_id}-{sha256(turn_id.encode()).hexdigest()[:8]}"


def crew_of(
    prepared: Prepared, *, keep: bool, begun: Sequence[str] = (), imports: Imports | None = None
) -> Crew:
    """The agents of a run, those that are teams among them.

    Args:
        prepared: The run.
        keep: Whether what teams do is written to journals of its own.
        begun: The runs that this crew's agents have worked on in earlier processes, by their ids.
        imports: What sees to it that one thing is imported at a time.
    """
    imports = imports or Imports()
    teams = {
        agent.seat.agent_id: InnerTeam(
            agent.seat.agent_id,
            replace(prepared.teams[agent.seat.agent_id], ask=prepared.ask),
            able=agent.capabilities,
            keep=keep,
            begun=begun,
            imports=imports,
        )
        for agent in prepared.plan.agents
        if agent.seat.agent_id in prepared.teams
    }
    models = _PoolAccess(prepared.pool, frozenset(prepared.connections))
    return Crew(
        prepared.host, models, load=load_object, teams=teams, ask=prepared.ask, imports=imports
    )


class InnerTeam:
    """A team that the host runs as one agent.

    Args:
        agent_id: The agent's id in the team around it.
        prepared: The team.
        able: What its members can do together.
        keep: Whether its runs are written to journals.
        begun: The outer runs in which it has had turns before, in earlier processes.
        imports: As for `crew_of`.
    """

    def __init__(
        self,
        agent_id: str,
        prepared: Prepared,
        *,
        able: Capabilities,
        keep: bool,
        begun: Sequence[str] = (),
        imports: Imports | None = None,
    ) -> None:
        self._agent_id = agent_id
        self._able = able
        self._prepared = prepared
        self._keep = keep
        self._begun = begun
        self._imports = imports
        self._crew: Crew | None = None
        self._opening = anyio.Lock()

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Let the team work on a turn, or vote.

        Raises:
            AgentError: It came to nothing; the text says what became of each member.
        """
        self._able.check(turn)
        began = time.monotonic()
        crew = await self._open()
        asked = ballots.relayed(turn)
        prepared = _for_turn(self._prepared, turn, asked, time.monotonic() - began)
        run_id = inner_run_id(turn.run_id, turn.turn_id)
        purpose: Literal["answer", "vote"] = "answer" if asked is None else "vote"
        seats = tuple(agent.seat for agent in prepared.plan.agents)
        await emit(
            InnerRunStarted(
                run_id=run_id,
                purpose=purpose,
                strategy=prepared.plan.strategy_name,
                seats=seats,
            )
        )
        with here(run_id):
            question = _question(turn, asked)
            result, usage = await self._result(prepared, turn, question, crew, emit)
        await emit(InnerRunFinished(purpose=purpose, result=result))
        if asked is None:
            return _answer(turn, result, usage)
        return _vote(turn, result, usage, frozenset(seat.agent_id for seat in seats))

    async def get_ready(self) -> None:
        """Import what the members need, before anybody runs."""
        crew = await self._open()
        await crew.import_kinds(agent.setup for agent in self._prepared.plan.agents)

    async def aclose(self) -> None:
        """Close the members."""
        if self._crew is not None:
            await self._crew.aclose()

    async def _open(self) -> Crew:
        """The members; what they had finished in earlier processes is told to them."""
        async with self._opening:
            if self._crew is None:
                begun, finished = await to_thread.run_sync(_earlier, self._agent_id, self._begun)
                plan = self._prepared.plan
                agents = tuple(_with_finished(agent, finished) for agent in plan.agents)
                self._prepared = replace(self._prepared, plan=replace(plan, agents=agents))
                self._crew = crew_of(
                    self._prepared, keep=self._keep, begun=begun, imports=self._imports
                )
        return self._crew

    async def _result(
        self, prepared: Prepared, turn: Turn, question: Message, crew: Crew, emit: Emit
    ) -> tuple[RunResult, Usage]:
        """What came of the inner run, and what is used for it that nobody has counted yet."""

        def told(executor: Executor) -> Executor:
            return _Telling(executor, emit)

        run_id = inner_run_id(turn.run_id, turn.turn_id)
        found = await to_thread.run_sync(_found, run_id) if self._keep else None
        if found is None:
            started = opening(prepared.plan, question, _conversation(turn))
            result = await begin(prepared, started, run_id, crew, keep=self._keep, wrap=told)
            return result, result.usage
        counted = await to_thread.run_sync(_counted, turn.run_id, turn.turn_id)
        if isinstance(found, StoppedRun):
            past = await taken_over(prepared, found)
            own_s = self._prepared.plan.deadline_s
            deadline_s = _deadline(own_s, turn.limits.wall_s, past.active_s)
            again = replace(prepared, plan=replace(prepared.plan, deadline_s=deadline_s))
            result = await go_on(again, found, past, crew, wrap=told)
        else:
            result = found
        return result, _less(result.usage, counted)


class _Telling:
    """An executor whose turns are told of in the outer turn, too."""

    def __init__(self, executor: Executor, emit: Emit) -> None:
        self._executor = executor
        self._emit = emit

    async def run_turn(self, setup: AgentSetup, turn: Turn, emit: Emit) -> TurnOutcome:
        refused: LimitReached | None = None

        async def both(event: TurnEvent, /) -> None:
            nonlocal refused
            await emit(event)
            source = setup.agent_id
            if event.source is not None:
                source = f"{source}/{event.source}"
            try:
                await self._emit(event.model_copy(update={"source": source}))
            except LimitReached as error:
                # A budget of the outer run stops this member alone: the others bring the turn to
                # its end, with what there is.
                refused = error
                self._executor.cancel(turn.turn_id, str(error))
                await checkpoint()
                raise

        outcome = await self._executor.run_turn(setup, turn, both)
        if refused is None or isinstance(outcome, TurnDone):
            return outcome
        return TurnFailed(kind="limit", message=str(refused))

    def cancel(self, turn_id: str, reason: str) -> None:
        self._executor.cancel(turn_id, reason)

    async def wait_idle(self, turn_id: str, idle_s: float) -> str | None:
        return await self._executor.wait_idle(turn_id, idle_s)


# --- what a team is asked -------------------------------------------------------------------------


def _for_turn(prepared: Prepared, turn: Turn, asked: StartTurn | None, spent_s: float) -> Prepared:
    """What the team does in one turn: its own strategy, or a poll where it is to choose."""
    plan = prepared.plan
    within = OuterTurn(run_id=turn.run_id, agent_id=turn.agent_id, turn_id=turn.turn_id)
    plan = replace(
        plan,
        within=within,
        deadline_s=_deadline(plan.deadline_s, turn.limits.wall_s, -spent_s),
        agents=tuple(_told(agent, turn) for agent in plan.agents),
    )
    if asked is not None:
        about = asked.model_dump(mode="json", include={"purpose", "shown", "speakers"})
        plan = replace(plan, strategy=Poll(asked), strategy_name=POLL, strategy_options=about)
    return replace(prepared, plan=plan)


def _told(agent: PlannedAgent, turn: Turn) -> PlannedAgent:
    """A member, told what the team as a whole is told before every task."""
    system = [message.text for message in turn.messages if message.role == "system"]
    own = [agent.system_message] if agent.system_message else []
    return replace(agent, system_message="\n\n".join((*system, *own)))


def _deadline(own_s: float | None, turn_s: float | None, active_s: float = 0.0) -> float | None:
    """The end of an inner run: its own, or in time before that of its turn.

    Args:
        own_s: How long it may be active in all.
        turn_s: How long its turn may take.
        active_s: How long it was active before the turn began; negative where it begins later.
    """
    if turn_s is None:
        return own_s
    margin_s = max(_SHORTEST_MARGIN_S, min(_LONGEST_MARGIN_S, turn_s * _SHARE))
    left = max(_SHORTEST_S, active_s + turn_s - min(turn_s / 2, margin_s))
    return left if own_s is None else min(own_s, left)


def _question(turn: Turn, asked: StartTurn | None) -> Message:
    """What the team is asked: the last message of the user, and what was said before it."""
    if asked is not None and turn.task is not None:
        return turn.task  # the ballot itself is put together for each member
    said = _said(turn)[turn.earlier :]
    last = max((i for i, one in enumerate(said) if one.role == "user"), default=None)
    parts = said[last].parts if last is not None else ()
    earlier = [f"{one.role}: {one.text}" for one in said[:last] if one.text]
    if earlier:
        before = "What was said before:\n\n" + "\n\n".join(earlier) + "\n\nNow:\n\n"
        parts = (TextPart(text=before), *parts)
    if turn.output_schema is not None:
        wish = "\n\nReply with JSON alone that satisfies this schema:\n"
        parts = (*parts, TextPart(text=wish + json.dumps(turn.output_schema)))
    return Message(role="user", parts=parts)


def _conversation(turn: Turn) -> Conversation | None:
    """The conversation with the user, which the members are shown as any agent is."""
    told = _said(turn)[: turn.earlier]
    earlier = tuple(
        Exchange(run_id=turn.run_id, question=question, answer=answer.text)
        for question, answer in zip(told[::2], told[1::2], strict=False)
    )
    return Conversation(earlier=earlier) if earlier else None


def _said(turn: Turn) -> list[Message]:
    return [message for message in turn.messages if message.role != "system"]


# --- what a team gives ----------------------------------------------------------------------------


def _answer(turn: Turn, result: RunResult, usage: Usage) -> TurnResult:
    """The team's answer as that of an agent.

    Raises:
        AgentError: It has none.
    """
    if result.answer is None:
        raise _failure(result)
    value = None
    if turn.output_schema is not None:
        try:
            value = json.loads(result.answer)
        except (ValueError, RecursionError) as error:
            raise ProtocolFailed(f"the team's answer had to be JSON, but is not: {error}") from None
    won = next(a for a in result.answers if (a.label, a.version) == _ref(result))
    message = assistant(result.answer)
    return TurnResult(
        message=message,
        new_messages=(message,),
        stop_reason=won.stop_reason,
        structured=value,
        usage=usage,
    )


def _ref(result: RunResult) -> tuple[str, int] | None:
    return None if result.winning is None else (result.winning.label, result.winning.version)


def _vote(turn: Turn, result: RunResult, usage: Usage, members: frozenset[str]) -> TurnResult:
    """The vote or the ranking of most members, with their reasons.

    Raises:
        AgentError: Nobody voted.
    """
    most = majority_of(result.votes)
    if most is None:
        if members <= {error.agent_id for error in result.errors}:
            raise _failure(result)
        raise ProtocolFailed(f"the team has no vote: {result.message or 'nobody voted'}")
    schema: Any = turn.output_schema
    choice: dict[str, JsonValue] = {"vote": most.label}
    votes = most.votes
    if ballots.RANKING in schema["properties"]:
        choice, votes = {ballots.RANKING: list(order_of(result.votes))}, result.votes
    reasons = [f"{vote.voter}: {vote.reason}" for vote in votes if vote.reason]
    longest = schema["properties"]["reason"].get("maxLength")
    value = {**choice, "reason": _shortened("; ".join(reasons), longest)}
    message = assistant(json.dumps(value))
    return TurnResult(message=message, new_messages=(message,), structured=value, usage=usage)


def _shortened(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…"


def _failure(result: RunResult) -> Exception:
    """Why the team came to nothing, as the error of its turn; of one kind if all have one."""
    said = "; ".join(f"{one.agent_id}: {one.message}" for one in result.errors)
    text = f"the team came to no answer: {said or result.message or result.status}"
    kinds = {one.kind for one in result.errors}
    return error_of_kind(kinds.pop())(text) if len(kinds) == 1 else AgentCrashed(text)


def _less(usage: Usage, counted: Usage) -> Usage:
    """What is not counted yet."""
    return Usage(
        **{
            name: max(0, getattr(usage, name) - getattr(counted, name))
            for name in Usage.model_fields
        }
    )


# --- what is there of earlier processes -----------------------------------------------------------


def _found(run_id: str) -> RunResult | StoppedRun | None:
    """What there is of an inner run: its result, the run itself, or nothing."""
    index = RunIndex()
    path = index.path(run_id)
    ends = read_ends(path) if path.is_file() else None
    if ends is None or not isinstance(ends[0].event, RunStarted):
        index.discard(run_id)  # it was stopped before its first record
        return None
    last = ends[1].event
    if isinstance(last, RunFinished) and last.result.status != "cancelled":
        return last.result
    # Whoever has taken over the outer run has taken over this one as well.
    return StoppedRun.find(path, elsewhere=True, inner=True)


def _counted(run_id: str, turn_id: str) -> Usage:
    """What the journal of the outer run says that a turn has used."""
    path = RunIndex().path(run_id)
    calls = (
        record.event.usage
        for record in read_run(path)
        if record.turn_id == turn_id and isinstance(record.event, ModelCallFinished)
    )
    return sum((usage for usage in calls if usage is not None), Usage())


def _earlier(
    agent_id: str, begun: Iterable[str]
) -> tuple[list[str], dict[str, list[FinishedTurn]]]:
    """The inner runs that an agent's turns have led to, and what each member finished in them."""
    index = RunIndex()
    runs: list[str] = []
    finished: dict[str, list[FinishedTurn]] = {}
    for outer in begun:
        for record in _records(index.path(outer)):
            if record.agent_id == agent_id and isinstance(record.event, TurnStarted):
                run_id = inner_run_id(outer, record.turn_id or "")
                if run_id not in runs:
                    runs.append(run_id)
    for run_id in runs:
        turns: dict[str | None, Turn] = {}
        for record in _records(index.path(run_id)):
            if isinstance(record.event, TurnStarted):
                turns[record.turn_id] = record.event.turn
            elif isinstance(record.event, TurnDone):
                done = FinishedTurn(turn=turns[record.turn_id], result=record.event.result)
                finished.setdefault(record.agent_id or "", []).append(done)
    return runs, finished


def _records(path: Path) -> Iterable[Any]:
    try:
        return tuple(read_run(path)) if path.is_file() else ()
    except JournalError:
        return ()  # it was stopped before its first record


def _with_finished(
    agent: PlannedAgent, finished: Mapping[str, Sequence[FinishedTurn]]
) -> PlannedAgent:
    done = tuple(finished.get(agent.seat.agent_id, ()))
    return replace(agent, setup=agent.setup.model_copy(update={"finished": done}))


class _PoolAccess:
    """The connections of a run as its crew wants them."""

    def __init__(self, pool: ConnectionPool, agents: frozenset[str]) -> None:
        self._pool = pool
        self._agents = agents

    async def open(self, agent_id: str) -> tuple[Connection, ModelCaller] | None:
        if agent_id not in self._agents:
            return None
        return await self._pool.connection(agent_id), self._pool.caller(agent_id)
