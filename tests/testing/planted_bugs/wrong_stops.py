"""Agents that do not stop, wait for each other, mix turns up, or leave something behind."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import anyio
from testing.planted_bugs.faithful import Faithful, LeavesWorkBehind

from massgen_bridge import TurnResult, assistant

if TYPE_CHECKING:
    from massgen_bridge import Emit, ToolCall, ToolResult, Turn, TurnEvent

__all__ = ["WRONG"]

_GIVEN_UP = "test_a_cancelled_model_call_is_given_up"
_LONG_ENOUGH_S = 0.5


class SwallowsCancellation(Faithful):
    """Returns a result when it is cancelled."""

    caught_by = (
        f"{_GIVEN_UP}[first-byte]",
        f"{_GIVEN_UP}[midway]",
        "test_a_turn_cancelled_at_an_event_stops[first]",
        "test_a_model_call_that_is_cancelled_twice_is_given_up[midway]",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except anyio.get_cancelled_exc_class():
            message = assistant("cancelled")
            return TurnResult(message=message, new_messages=(message,))


class CallsAgainWhenCancelled(Faithful):
    """Asks the model once more when it is cancelled. A cancelled `kickoff_async` of CrewAI made 14
    more model calls and 14 more tool calls.
    """

    caught_by = (f"{_GIVEN_UP}[first-byte]", f"{_GIVEN_UP}[midway]")

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(_LONG_ENOUGH_S, shield=True):
                await super().run(turn, emit)
            raise


class LeavesItsCallRunning(LeavesWorkBehind):
    """Raises the cancellation at once, while the model call goes on elsewhere: CrewAI's streamed
    15 to 39 more chunks in a thread, and the server never saw the connection close.
    """

    caught_by = (f"{_GIVEN_UP}[midway]", "test_the_time_limits_of_a_turn_hold[wall]")

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        return await asyncio.shield(self.behind(super().run(turn, emit)))


class StopsSlowly(Faithful):
    """Tidies up for a while before it lets a cancellation through."""

    caught_by = (f"{_GIVEN_UP}[midway]",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2.2)
            raise


class LeavesItsToolsRunning(LeavesWorkBehind):
    """Lets a tool go on when its turn is cancelled, as Pydantic AI once did."""

    caught_by = ("test_a_cancelled_tool_call_is_given_up",)

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        async def run() -> ToolResult:
            return await turn.call_tool(call)

        return await asyncio.shield(self.behind(run()))


class LeavesAProcessRunning(Faithful):
    """Starts a program for each turn, and does not end it with the turn, nor when it is closed."""

    caught_by = (f"{_GIVEN_UP}[midway]",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        os.posix_spawnp("sleep", ["sleep", "5"], os.environ)  # noqa: ASYNC221 - it does not wait
        return await super().run(turn, emit)


class CancelsEverything(Faithful):
    """Stops all turns where one is to stop, for its client is the same."""

    caught_by = ("test_only_the_cancelled_turn_ends",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.scopes: list[anyio.CancelScope] = []

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        with anyio.CancelScope() as scope:
            self.scopes.append(scope)
            try:
                return await super().run(turn, emit)
            except anyio.get_cancelled_exc_class():
                for other in self.scopes:
                    other.cancel()
                raise
            finally:
                self.scopes.remove(scope)
        message = assistant("cancelled")
        return TurnResult(message=message, new_messages=(message,))


class BlocksWhileTheModelThinks(Faithful):
    """Waits for its model in the event loop, and everybody waits with it."""

    caught_by = ("test_the_event_loop_goes_on_while_a_model_thinks",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        time.sleep(1.1)  # noqa: ASYNC251 - a planted bug
        return await super().run(turn, emit)


class WaitsForOthers(Faithful):
    """Does its turns twenty at a time."""

    caught_by = ("test_model_calls_run_at_the_same_time",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.gate = anyio.Semaphore(20)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        async with self.gate:
            return await super().run(turn, emit)


class AnswersAnothersQuestion(Faithful):
    """Keeps the turn in the agent, where the next one overwrites it."""

    caught_by = (
        "test_model_calls_run_at_the_same_time",
        "test_turns_at_the_same_time_do_not_mix",
    )
    last = ""

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.last = turn.question
        result = await super().run(turn, emit)
        message = assistant(self.last)
        return result.model_copy(update={"message": message, "new_messages": (message,)})


class TellsOfAnothersTurn(Faithful):
    """Sends all events to whoever asked last. CrewAI has one event bus for the whole process."""

    caught_by = (
        "test_model_calls_run_at_the_same_time",
        "test_turns_at_the_same_time_do_not_mix",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.listener = emit
        return await super().run(turn, emit)

    async def tell(self, event: TurnEvent, emit: Emit) -> None:
        del emit
        await self.listener(event)


class CallsAnothersTool(Faithful):
    """Calls the tools of whoever asked last."""

    caught_by = ("test_tools_of_turns_at_the_same_time_do_not_mix",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.turn = turn
        return await super().run(turn, emit)

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        del turn
        return await self.turn.call_tool(call)


class KeepsItsConnections(Faithful):
    """Closes nothing. AG2 had 36 idle connections after 35 turns."""

    caught_by = ("test_no_connection_is_left_of_a_closed_agent",)
    open: list[Faithful] = []  # noqa: RUF012 - kept from the garbage collector on purpose

    async def aclose(self) -> None:
        self.open.append(self)


WRONG: tuple[type[Faithful], ...] = (
    SwallowsCancellation,
    CallsAgainWhenCancelled,
    LeavesItsCallRunning,
    StopsSlowly,
    LeavesItsToolsRunning,
    LeavesAProcessRunning,
    CancelsEverything,
    BlocksWhileTheModelThinks,
    WaitsForOthers,
    AnswersAnothersQuestion,
    TellsOfAnothersTurn,
    CallsAnothersTool,
    KeepsItsConnections,
)
