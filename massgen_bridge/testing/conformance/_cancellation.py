"""Cancellation: the framework stops, at once and for good."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from massgen_bridge.agent import Agent, Turn
from massgen_bridge.messages import ToolCall
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._base import LOOKUP, ConformanceBase
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Hang, ModelServer, Text, ToolCalls

__all__ = ["CancellationTests", "cancelled"]

_GRACE_S = 2.0
_QUIET_S = 0.3
_ENDLESS = Text.of_tokens(2000, tokens_per_second=100)


class CancellationTests(ConformanceBase):
    """After a cancellation: no new request, no new tool call, and open streams are closed."""

    def _needs_a_process(self) -> bool:
        """Whether such agents are stopped by ending their process, which the host does."""
        return self.capabilities().cancellation == "process"

    @pytest.mark.parametrize("reply", [Hang(), _ENDLESS], ids=["first-byte", "midway"])
    async def test_a_cancelled_model_call_is_given_up(
        self, serve: StartModelServer, reply: Any
    ) -> None:
        """The server sees the connection go, and no further request."""
        if self._needs_a_process():
            return
        server = serve(reply)

        async def under_way() -> None:
            await server.await_calls(1)
            if reply is _ENDLESS:
                await server.await_tokens(3)

        async with self.agent(server) as agent:
            await cancelled(agent, turn("Speak."), under_way)
            await server.await_close(1, timeout_s=_GRACE_S)
            await _assert_quiet(server, calls=1)

    async def test_a_cancelled_tool_call_is_given_up(self, serve: StartModelServer) -> None:
        """The cancellation reaches the tool, and the model is not asked again."""
        if self._needs_a_process() or not self.capabilities().tools:
            return
        call = ("lookup", {"query": "x", "limit": 1})
        server = serve([ToolCalls(call, call), Text("This must not be asked for.")])
        inside, outside = anyio.Event(), anyio.Event()

        async def wait(_call: ToolCall) -> str:
            inside.set()
            try:
                await anyio.sleep_forever()
            finally:
                outside.set()
            return "never"

        tools = ScriptedTools(wait)
        async with self.agent(server) as agent:
            asked = turn("Look it up.", tools=[LOOKUP], call_tool=tools)
            await cancelled(agent, asked, inside.wait)
            assert outside.is_set(), "the tool was left running"
            begun = len(tools.calls)
            await _assert_quiet(server, calls=1)
            assert len(tools.calls) == begun

    async def test_only_the_cancelled_turn_ends(self, serve: StartModelServer) -> None:
        """Other turns of the same agent go on, and it can do more."""
        if self._needs_a_process():
            return
        server = serve(default=Text.of_tokens(10, tokens_per_second=20))
        results: list[str] = []

        async with self.agent(server) as agent:

            async def other() -> None:
                results.append((await agent.run(turn("Go on."), collect())).text)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other)
                await server.await_calls(1)

                async def both() -> None:
                    await server.await_calls(2)

                await cancelled(agent, turn("Stop."), both)
            results.append((await agent.run(turn("Once more."), collect())).text)
        assert results == [Text.of_tokens(10).text] * 2
        assert server.closed_early == 1


async def cancelled(agent: Agent, asked: Turn, under_way: Callable[[], Awaitable[object]]) -> None:
    """Do a turn and cancel it when it is under way; the cancellation has to come out of it."""
    ended: list[str] = []

    async def run() -> None:
        try:
            await agent.run(asked, collect())
        except anyio.get_cancelled_exc_class():
            ended.append("cancelled")
            raise
        ended.append("returned")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await under_way()
        began = time.monotonic()
        tasks.cancel_scope.cancel()
    took = time.monotonic() - began
    assert ended == ["cancelled"], "a cancellation is raised through, never swallowed"
    assert took < _GRACE_S, f"the turn took {took:.1f} s to stop"


async def _assert_quiet(server: ModelServer, *, calls: int) -> None:
    await anyio.sleep(_QUIET_S)
    assert server.calls == calls, "a model was called after the cancellation"
    assert server.running_calls == 0
