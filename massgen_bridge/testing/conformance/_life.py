"""The life of an agent: many turns at once, and nothing left in the end."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel

from massgen_bridge.agent import TurnResult
from massgen_bridge.connection import Connection
from massgen_bridge.events import TurnEvent
from massgen_bridge.testing.agents import EventLog, collect, turn
from massgen_bridge.testing.conformance._base import ConformanceBase
from massgen_bridge.testing.conformance._checks import assert_events, assert_whole, holdings

__all__ = ["RUNS", "LifeTests", "assert_loop_goes_on", "assert_nothing_left"]

RUNS = 50
_HELD_UP_S = 1.0
_TICK_S = 0.02
_ROUNDS = 3
_GROWN = 3  # times in a row that something has to be left
_TURNS = 10
_SETTLING_S = tuple(0.01 * 1.3**number for number in range(16))  # 2 s in all: looking is dear


class LifeTests(ConformanceBase):
    """One agent serves many turns, also at the same time, and gives everything back."""

    async def test_it_can_be_closed_unused_and_twice(self, connection: Connection | None) -> None:
        """`aclose` may be called on an agent that never ran a turn, and again on a closed one."""
        agent = await self.make(connection)
        await agent.aclose()
        await agent.aclose()

    async def test_turns_at_the_same_time_do_not_mix(self, connection: Connection | None) -> None:
        """Fifty turns of one agent at the same time each get a result of their own and events that
        agree with it. No answer speaks of another turn's question, and what was answered twice in
        the same way alone is answered in that way among fifty.
        """
        questions = [self.question(number) for number in range(1, RUNS + 1)]
        results: dict[int, TurnResult] = {}
        logs = [collect() for _ in questions]
        async with self.agent(connection) as agent:

            async def ask(number: int, events: EventLog) -> TurnResult:
                asked = turn(questions[number], turn_id=f"turn-{number}")
                return await agent.run(asked, events)

            async def keep(number: int) -> None:
                results[number] = await ask(number, logs[number])

            alone = [(await ask(0, collect())).text for _ in range(2)]
            async with anyio.create_task_group() as tasks:
                for number in range(RUNS):
                    tasks.start_soon(keep, number)
        for number, result in results.items():
            assert_whole(result)
            assert_events(logs[number].events, result, streaming=self.capabilities().streaming)
            mixed = [
                question
                for question in set(questions) - {questions[number]}
                if question in result.text and question not in questions[number]
            ]
            assert not mixed, f"the answer to {questions[number]!r} speaks of {mixed}"
        if alone[0] == alone[1]:
            assert results[0].text == alone[0], "it answers differently when it is busy"

    async def test_a_turn_that_is_over_is_let_go(self, connection: Connection | None) -> None:
        """An agent that stays open does not grow with its turns: of ten that are over, it holds on
        to one at the most, be it the turn, its `emit` or its result.
        """
        kept: dict[str, list[weakref.ref[Any]]] = {"turns": [], "emits": [], "results": []}
        async with self.agent(connection) as agent:
            for number in range(_TURNS):
                asked, events = turn(self.question(), turn_id=f"turn-{number}"), collect()
                result = await agent.run(asked, events)
                for one, references in zip((asked, events, result), kept.values(), strict=True):
                    references.append(weakref.ref(one))
                del asked, events, result, one
            await anyio.sleep(0.01)
            gc.collect()
            held = {
                what: sum(reference() is not None for reference in references)
                for what, references in kept.items()
            }
        assert all(count <= 1 for count in held.values()), f"of {_TURNS} it holds {held}"

    async def test_the_event_loop_is_not_held_up(self, connection: Connection | None) -> None:
        """While an agent works, everything else in the event loop goes on: no turn holds it up for
        one second. What blocks belongs into a thread.
        """
        async with self.agent(connection) as agent:
            await assert_loop_goes_on(lambda: agent.run(turn(self.long_question()), collect()))

    async def test_nothing_is_left_of_a_closed_agent(self, connection: Connection | None) -> None:
        """After turns that went well and turns that were cancelled, a closed agent leaves no task,
        thread, open file or socket, and no child process. What a process makes once, such as a
        pool of threads, is made in a first round that does not count. Files and child processes
        are looked at on Linux.
        """

        async def live() -> None:
            async with self.agent(connection) as agent:
                await agent.run(turn(self.question()), collect())
                if self.capabilities().cancellation == "cooperative" or self.isolation != "none":
                    await _begin_and_cancel(agent.run, self.long_question())

        await assert_nothing_left(live)


async def assert_loop_goes_on(work: Callable[[], Awaitable[object]]) -> None:
    """The work does not hold up the event loop; it is done once more where it seems to."""
    held_up = await _longest_pause(work)
    if held_up >= _HELD_UP_S:  # a busy machine may hold it up, too
        held_up = await _longest_pause(work)
    assert held_up < _HELD_UP_S, (
        f"the event loop stood still for {held_up:.1f} s: await what takes long, or run what "
        "blocks in a thread, by anyio.to_thread.run_sync"
    )


async def _longest_pause(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds for which nothing else in the event loop could run while the work was done."""
    longest, last = 0.0, time.monotonic()
    async with anyio.create_task_group() as tasks:

        async def tick() -> None:
            nonlocal longest, last
            while True:
                await anyio.sleep(_TICK_S)
                now = time.monotonic()
                longest, last = max(longest, now - last), now

        tasks.start_soon(tick)
        await anyio.lowlevel.checkpoint()
        await work()
        await anyio.sleep(2 * _TICK_S)  # a pause that ends with the work counts, too
        tasks.cancel_scope.cancel()
    return longest


async def assert_nothing_left(live: Callable[[], Awaitable[object]]) -> None:
    """What an agent's life holds is given back; it is led once before anything is counted.

    A framework's own pool of threads may still grow then. What each life leaves behind is more
    each time that it is counted.
    """
    await live()
    left = await _left_of(live)
    for _ in range(_GROWN - 1):
        left = left and await _left_of(live)
    assert not left, (
        "left behind by closed agents: give back in aclose what the agent holds, and end in run "
        "what a turn starts, also when it is cancelled"
    )


async def _left_of(live: Callable[[], Awaitable[object]]) -> dict[str, object]:
    """What is there, some lives later, that was not before."""
    before = holdings()
    for _ in range(_ROUNDS):
        await live()
    for pause_s in _SETTLING_S:
        if not holdings().beyond(before):
            break
        await anyio.sleep(pause_s)
    return holdings().beyond(before)


async def _begin_and_cancel(run: Callable[..., Awaitable[TurnResult]], question: str) -> None:
    with anyio.CancelScope() as scope:

        async def emit(_event: TurnEvent, /) -> None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

        scope.deadline = anyio.current_time() + 0.2
        await run(turn(question), emit)
