"""A team as an agent: each of its turns is a run of its own, within that of the team around it.

The inner run has a journal of its own, whose id follows from the outer run and the turn. So a turn
that is started again finds what it had come to: a run that has ended is not repeated, one that was
broken off goes on. What happens within is told to the outer run as events with a `source`.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint

from massgen_bridge import ballots
from massgen_bridge.agent import TurnResult, Usage
from massgen_bridge.errors import LimitReached
from massgen_bridge.events import InnerRunFinished, InnerRunStarted, TurnDone, TurnFailed
from massgen_bridge.messages import Message
from massgen_bridge.plugins import load_object
from massgen_bridge.runtime.crew import Crew, Imports
from massgen_bridge.runtime.inner_past import (
    counted_usage,
    earlier_turns,
    found_run,
    inner_run_id,
    with_finished,
)
from massgen_bridge.runtime.inner_turns import (
    answer_of,
    conversation_of,
    deadline_within,
    for_turn,
    question_of,
    vote_of,
)
from massgen_bridge.runtime.recorded import begin, go_on, here, taken_over
from massgen_bridge.runtime.runner import opening
from massgen_bridge.runtime.stopped import StoppedRun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from massgen_bridge.agent import Capabilities, Emit, Turn
    from massgen_bridge.connection import Connection, ModelCaller
    from massgen_bridge.events import RunResult, TurnEvent
    from massgen_bridge.models.connections import ConnectionPool
    from massgen_bridge.models.gateway import Reservation
    from massgen_bridge.runtime.crew import AgentSetup
    from massgen_bridge.runtime.executor import Executor, TurnOutcome
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.runtime.workspaces import Workspaces

__all__ = ["InnerTeam", "crew_of"]


def crew_of(
    prepared: Prepared,
    *,
    keep: bool,
    workspaces: Workspaces,
    begun: Sequence[str] = (),
    imports: Imports | None = None,
) -> Crew:
    """The agents of a run, those that are teams among them.

    Args:
        prepared: The run.
        keep: Whether what teams do is written to journals of its own.
        workspaces: The agents' folders.
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
            workspaces=workspaces.within(agent.seat.agent_id),
            begun=begun,
            imports=imports,
        )
        for agent in prepared.plan.agents
        if agent.seat.agent_id in prepared.teams
    }
    models = _PoolAccess(
        prepared.pool, frozenset(prepared.connections) | frozenset(prepared.describers)
    )
    return Crew(
        prepared.host,
        models,
        load=load_object,
        teams=teams,
        ask=prepared.ask,
        imports=imports,
        workspaces=workspaces,
    )


class InnerTeam:
    """A team that the host runs as one agent.

    Args:
        agent_id: The agent's id in the team around it.
        prepared: The team.
        able: What its members can do together.
        keep: Whether its runs are written to journals.
        workspaces: The members' folders.
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
        workspaces: Workspaces,
        begun: Sequence[str] = (),
        imports: Imports | None = None,
    ) -> None:
        self._agent_id = agent_id
        self._able = able
        self._prepared = prepared
        self._keep = keep
        self._workspaces = workspaces
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
        prepared = for_turn(self._prepared, turn, asked, time.monotonic() - began)
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
            question = question_of(turn, asked)
            result, usage = await self._result(prepared, turn, question, crew, emit)
        await emit(InnerRunFinished(purpose=purpose, result=result))
        if asked is None:
            return answer_of(turn, result, usage)
        return vote_of(turn, result, usage, frozenset(seat.agent_id for seat in seats))

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
                begun, finished = await to_thread.run_sync(
                    earlier_turns, self._agent_id, self._begun
                )
                plan = self._prepared.plan
                agents = tuple(with_finished(agent, finished) for agent in plan.agents)
                self._prepared = replace(self._prepared, plan=replace(plan, agents=agents))
                self._crew = crew_of(
                    self._prepared,
                    keep=self._keep,
                    workspaces=self._workspaces,
                    begun=begun,
                    imports=self._imports,
                )
        return self._crew

    async def _result(
        self, prepared: Prepared, turn: Turn, question: Message, crew: Crew, emit: Emit
    ) -> tuple[RunResult, Usage]:
        """What came of the inner run, and what is used for it that nobody has counted yet."""

        def told(executor: Executor) -> Executor:
            return _Telling(executor, emit)

        run_id = inner_run_id(turn.run_id, turn.turn_id)
        found = await to_thread.run_sync(found_run, run_id) if self._keep else None
        if found is None:
            started = opening(prepared.plan, question, conversation_of(turn))
            result = await begin(prepared, started, run_id, crew, keep=self._keep, wrap=told)
            return result, result.usage
        counted = await to_thread.run_sync(counted_usage, turn.run_id, turn.turn_id)
        if isinstance(found, StoppedRun):
            past = await taken_over(prepared, found)
            own_s = self._prepared.plan.deadline_s
            deadline_s = deadline_within(own_s, turn.limits.wall_s, past.active_s)
            again = replace(prepared, plan=replace(prepared.plan, deadline_s=deadline_s))
            result = await go_on(again, found, past, crew, wrap=told)
        else:
            result = found
        return result, result.usage - counted


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


class _PoolAccess:
    """The connections of a run as its crew wants them."""

    def __init__(self, pool: ConnectionPool, agents: frozenset[str]) -> None:
        self._pool = pool
        self._agents = agents

    async def open(self, agent_id: str) -> tuple[Connection, ModelCaller] | None:
        if agent_id not in self._agents:
            return None
        return await self._pool.connection(agent_id), self._pool.caller(agent_id)

    def door(self, agent_id: str) -> _PoolDoor | None:
        return _PoolDoor(self._pool, agent_id) if agent_id in self._agents else None


class _PoolDoor:
    """The way of an agent's turns through the run's gateway."""

    def __init__(self, pool: ConnectionPool, agent_id: str) -> None:
        self._pool = pool
        self._agent_id = agent_id

    @asynccontextmanager
    async def admit(
        self, turn: Turn, emit: Emit, reservation: Reservation | None
    ) -> AsyncIterator[Connection]:
        gateway = await self._pool.gateway()
        async with gateway.admit(
            agent_id=self._agent_id,
            turn_id=turn.turn_id,
            # Asked for again: the local model's server may have been replaced.
            connection=await self._pool.connection(self._agent_id),
            call_model=self._pool.caller(self._agent_id),
            emit=emit,
            limits=turn.limits,
            reservation=reservation,
            fallbacks=self._pool.fallbacks(self._agent_id),
        ) as inner:
            yield inner

    async def reserve(self) -> Reservation:
        gateway = await self._pool.gateway()
        return gateway.reserve(self._agent_id)
