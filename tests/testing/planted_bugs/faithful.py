"""An agent that hands everything on, for wrong ones to be derived from."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from massgen_bridge import TextDelta, ToolCallFinished
from massgen_bridge.events import ModelCallStarted
from massgen_bridge.models.retry import ModelCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from massgen_bridge import (
        Agent,
        AgentContext,
        Connection,
        Emit,
        ToolCall,
        ToolResult,
        Turn,
        TurnEvent,
        TurnResult,
    )

__all__ = ["Faithful", "LeavesWorkBehind", "Speech"]


class Faithful:
    """An agent of a real adapter, with nothing changed.

    A wrong agent overrides one step of it. `caught_by` names the tests that have to find it, with
    their parameter as pytest writes it.

    Args:
        context: What the factory gets.
        factory: The real adapter's.
    """

    caught_by: ClassVar[tuple[str, ...]] = ()

    def __init__(self, context: AgentContext, factory: Callable[[AgentContext], Agent]) -> None:
        if context.connection is not None:
            connection = self.connection(context.connection)
            calls = ModelCalls(connection)
            context = replace(context, connection=connection, call_model=calls)
        self.inner = factory(context)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do the turn."""
        asked = self.asked(turn).bind(lambda call: self.call_tool(turn, call))

        async def hand_on(event: TurnEvent, /) -> None:
            await self.tell(event, emit)

        return self.answered(await self.inner.run(asked, hand_on))

    async def aclose(self) -> None:
        """Close the real agent."""
        await self.inner.aclose()

    # --- the steps to get wrong -------------------------------------------------------------------

    def connection(self, connection: Connection) -> Connection:
        """The connection that the real agent gets."""
        return connection

    def asked(self, turn: Turn) -> Turn:
        """The turn that the real agent gets."""
        return turn

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        """The result that the real agent gets for a tool call."""
        return await turn.call_tool(call)

    async def tell(self, event: TurnEvent, emit: Emit) -> None:
        """What the host hears of an event."""
        await emit(event)

    def answered(self, result: TurnResult) -> TurnResult:
        """The result that the host gets."""
        return result


class Speech:
    """The text of all deltas, those of failed attempts included."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.attempts = 0

    def hear(self, event: TurnEvent) -> None:
        """Take an event."""
        if isinstance(event, ToolCallFinished):
            self.said.clear()
        elif isinstance(event, ModelCallStarted):
            self.attempts += 1
        elif isinstance(event, TextDelta):
            self.said.append(event.text)


class LeavesWorkBehind(Faithful):
    """Something that goes on after its turn; ended with the agent, so that tests stay apart."""

    def __init__(self, context: AgentContext, factory: Callable[[AgentContext], Agent]) -> None:
        super().__init__(context, factory)
        self._work: list[asyncio.Task[Any]] = []

    def behind(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start something that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.append(task)
        return task

    async def aclose(self) -> None:
        """End what goes on."""
        for task in self._work:
            task.cancel()
        with anyio.CancelScope(shield=True):
            for task in self._work:
                with suppress(BaseException):
                    await task
        await super().aclose()
