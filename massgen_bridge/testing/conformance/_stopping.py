"""Stopping a turn: from outside, from the host, and by its own limits."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import pytest

from massgen_bridge.agent import Agent, Emit, Limits, Turn
from massgen_bridge.connection import Connection
from massgen_bridge.events import TurnCancelled, TurnDone, TurnEvent, TurnFailed
from massgen_bridge.runtime.executor import TurnOutcome
from massgen_bridge.testing.agents import EventLog, collect, turn
from massgen_bridge.testing.conformance._base import ConformanceBase
from massgen_bridge.testing.conformance._checks import GRACE_S, SWALLOWED, assert_whole
from massgen_bridge.testing.hosting import HostedAgent

__all__ = ["StoppingTests"]

_LIMIT_S = 0.2
_AT_ONCE_S = 0.1
_TICK_S = 0.5  # how often the executor looks at its limits, with room for a busy machine


class StoppingTests(ConformanceBase):
    """A turn that is to stop stops within two seconds, and takes nothing else with it."""

    @pytest.mark.parametrize("place", ["first", "middle", "last"])
    async def test_a_turn_cancelled_at_an_event_stops(
        self, connection: Connection | None, place: str
    ) -> None:
        """A cancellation that comes while the agent tells of an event - its first, the one in the
        middle, its last - is raised through within 2 seconds and never swallowed. No event comes
        after it. An agent that streams tells of one event at least.
        """
        self.needs_a_process()
        events = collect()
        async with self.agent(connection) as agent:
            await agent.run(turn(self.long_question()), events)
            count = len(events.events)
            assert count or not self.capabilities().streaming, (
                "it emits no event; `await emit(TextDelta(text=...))` what the agent says, or "
                "claim Capabilities(streaming=False)"
            )
            if count:
                number = {"first": 1, "middle": (count + 1) // 2, "last": count}[place]
                stopped = await _cancelled_at_event(agent, turn(self.long_question()), number)
                stopped.check()

    @pytest.mark.parametrize("share", [0.0, 0.5], ids=["at-once", "halfway"])
    async def test_a_turn_cancelled_while_it_works_stops(
        self, connection: Connection | None, share: float
    ) -> None:
        """A cancellation that comes from outside, when the turn has just begun or in the middle of
        its usual time, is raised through within 2 seconds. Only a turn that is over before it
        could be cancelled may return.
        """
        self.needs_a_process()
        async with self.agent(connection) as agent:
            began = time.monotonic()
            await agent.run(turn(self.long_question()), collect())
            usual = time.monotonic() - began
            stopped = await _cancelled_after(agent, turn(self.long_question()), usual * share)
        stopped.check()

    async def test_a_turn_cancelled_twice_ends_once(self, connection: Connection | None) -> None:
        """Cancelled by the host, and again while it still stops, a turn ends within 2 seconds with
        one `TurnCancelled` that has the host's reason. The agent then does its next turn.
        """
        self.needs_a_process()
        async with self.hosted(connection) as agent:
            outcome, took = await _cancelled_by_host(agent, turn(self.long_question()))
            assert took < GRACE_S, f"the turn took {took:.1f} s to stop"
            if outcome is not None:
                assert isinstance(outcome, TurnCancelled), f"{SWALLOWED}; it ended as {outcome}"
                assert outcome == TurnCancelled(reason="once")
            after = await agent.run(turn(self.question(), turn_id="turn-2"), collect())
        assert isinstance(after, TurnDone), f"{after}"

    async def test_a_cancelled_turn_takes_no_other_with_it(
        self, connection: Connection | None
    ) -> None:
        """Of two turns of one agent, the one that is not cancelled returns its whole result."""
        self.needs_a_process()
        async with self.hosted(connection) as agent:
            outcomes: list[TurnOutcome] = []

            async def go_on() -> None:
                asked = turn(self.long_question(), turn_id="turn-2")
                outcomes.append(await agent.run(asked, collect()))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(go_on)
                await _cancelled_by_host(agent, turn(self.long_question()))
        (outcome,) = outcomes
        assert isinstance(outcome, TurnDone), f"{outcome}"
        assert_whole(outcome.result)

    async def test_a_turn_ends_at_its_time_limit(self, connection: Connection | None) -> None:
        """With a limit of 0.2 seconds a turn is either done or ends as `TurnFailed` of kind
        `timeout`, within 2 seconds of the limit.
        """
        self.needs_a_process()
        asked = turn(self.long_question(), limits=Limits(wall_s=_LIMIT_S))
        async with self.hosted(connection) as agent:
            began = time.monotonic()
            outcome = await agent.run(asked, collect())
            took = time.monotonic() - began
        if not isinstance(outcome, TurnDone):
            assert isinstance(outcome, TurnFailed), f"{outcome}"
            assert outcome.kind == "timeout", f"it failed before its time was over: {outcome}"
        assert took < _LIMIT_S + _TICK_S + GRACE_S, f"the turn took {took:.1f} s"


@dataclass(kw_only=True)
class _Stopped:
    """How a turn that was cancelled ended.

    Attributes:
        how: By its cancellation, or with a result: before it was cancelled, or in spite of it.
        took: Seconds from the cancellation to the end.
        later: Events that came after the end.
        reached: Whether the event loop had brought it the cancellation: a turn that waits for
            nothing any more ends without ever seeing it.
    """

    how: str = "running"
    took: float = 0.0
    later: int = 0
    reached: bool = False

    def check(self) -> None:
        assert self.how in {"cancelled", "over before"}, SWALLOWED
        assert self.took < GRACE_S, f"the turn took {self.took:.1f} s to stop"
        assert self.later == 0, "an event came after the turn had been cancelled"


async def _cancelled_at_event(agent: Agent, asked: Turn, number: int) -> _Stopped:
    """Do a turn and cancel it from within its event of that number, if it comes that far."""
    stopped, log = _Stopped(), EventLog()
    scope, moment = anyio.CancelScope(), 0.0

    async def emit(event: TurnEvent, /) -> None:
        nonlocal moment
        await log(event)
        if len(log.events) == number:
            moment = time.monotonic()
            scope.cancel()
        await anyio.lowlevel.checkpoint()

    await _run(agent, asked, emit, scope, stopped)
    if not moment:
        stopped.how = "over before"
        return stopped
    stopped.took = time.monotonic() - moment
    told = len(log.events)
    await anyio.sleep(0.05)
    stopped.later = len(log.events) - told
    return stopped


async def _cancelled_after(agent: Agent, asked: Turn, delay: float) -> _Stopped:
    """Do a turn and cancel it so many seconds after its begin."""
    stopped, scope = _Stopped(), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_run, agent, asked, collect(), scope, stopped)
        await anyio.lowlevel.checkpoint()
        await anyio.sleep(delay)
        if stopped.how != "running":
            stopped.how = "over before"
        moment = time.monotonic()
        scope.cancel()
    stopped.took = time.monotonic() - moment
    if stopped.how == "returned" and not stopped.reached and stopped.took < _AT_ONCE_S:
        stopped.how = "over before"
    return stopped


async def _run(
    agent: Agent, asked: Turn, emit: Emit, scope: anyio.CancelScope, stopped: _Stopped
) -> None:
    with scope:
        try:
            await agent.run(asked, emit)
        except anyio.get_cancelled_exc_class():
            stopped.how = "cancelled"
            raise
        stopped.how = "returned"
        task = asyncio.current_task()
        stopped.reached = task is not None and task.cancelling() > 0


async def _cancelled_by_host(agent: HostedAgent, asked: Turn) -> tuple[TurnOutcome | None, float]:
    """Do a turn that the host cancels twice.

    Returns:
        Its outcome, None if it was over before it could be cancelled; the seconds it took to stop.
    """
    outcomes: list[TurnOutcome] = []
    begun = anyio.Event()

    async def emit(_event: TurnEvent, /) -> None:
        begun.set()
        await anyio.lowlevel.checkpoint()

    async def run() -> None:
        outcomes.append(await agent.run(asked, emit))
        begun.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.move_on_after(_LIMIT_S):  # it may tell of nothing
            await begun.wait()
        over, moment = bool(outcomes), time.monotonic()
        agent.cancel(asked.turn_id, "once")
        await anyio.lowlevel.checkpoint()
        agent.cancel(asked.turn_id, "once")
    return None if over else outcomes[0], time.monotonic() - moment
