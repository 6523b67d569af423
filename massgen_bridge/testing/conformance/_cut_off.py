"""A cancelled turn leaves nothing behind: no request, no tool call, no stream, no process."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest

from massgen_bridge.agent import Agent, Turn
from massgen_bridge.messages import ToolCall
from massgen_bridge.testing.agents import ScriptedTools, turn
from massgen_bridge.testing.conformance._checks import GRACE_S, assert_refused, cancelled
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._processes import Process, processes_below
from massgen_bridge.testing.conformance._turns import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Hang, ModelServer, Reply, Text, ToolCalls

__all__ = ["ENDLESS", "MOMENTS", "CutOffTests", "assert_quiet"]

_QUIET_S = 0.3
_SOME_TOKENS = 3

ENDLESS = Text.of_tokens(2000, tokens_per_second=100)
"""An answer that is never over before a test is."""

MOMENTS: dict[str, Reply] = {"first-byte": Hang(), "midway": ENDLESS}
"""Answers in the middle of which a turn is cancelled."""


class CutOffTests(ModelConformanceBase):
    """After a cancellation: no new request, no new tool call, open streams are closed, and no
    process goes on.
    """

    answers_before: int = 0
    """How many model calls of a turn are answered before the one in which it is cancelled.

    With 1, it is the second member of a group chat that is cut off, or the second task of a crew.
    """

    @pytest.mark.parametrize("reply", MOMENTS.values(), ids=MOMENTS)
    async def test_a_cancelled_model_call_is_given_up(
        self, serve: StartModelServer, reply: Any
    ) -> None:
        """Cancelled while it waits for the first byte, or in the middle of the text, a turn ends
        within 2 seconds. The server sees the connection go, and no further request; no process
        that the agent had started is left when it is closed.
        """
        server = serve([*self._before(), reply])

        async def under_way() -> None:
            await server.await_calls(self.answers_before + 1)
            if reply is ENDLESS:
                await server.await_tokens(_SOME_TOKENS)

        async with self._cut_off(server) as cut_off:
            await cut_off(turn("Speak."), under_way)
            await server.await_close(1, timeout_s=GRACE_S)
            await assert_quiet(server, calls=self.answers_before + 1)

    async def test_a_cancelled_tool_call_is_given_up(self, serve: StartModelServer) -> None:
        """A cancellation in the middle of a tool call reaches the tool. The tool is not called
        again, no other tool is, the model is not asked again, and no process is left.
        """
        call = ("lookup", {"query": "x", "limit": 1})
        server = serve([*self._before(), ToolCalls(call, call), Text("Nobody asks for this.")])
        inside, outside = anyio.Event(), anyio.Event()

        async def wait(_call: ToolCall) -> str:
            inside.set()
            try:
                await anyio.sleep_forever()
            finally:
                outside.set()
            return "never"

        tools = ScriptedTools(wait)
        asked = turn("Look it up.", tools=[LOOKUP], call_tool=tools)
        async with self._cut_off(server) as cut_off:
            if self.lacks("tools"):
                await assert_refused(cut_off.agent, asked)
                return
            await cut_off(asked, inside.wait)
            assert outside.is_set(), "the tool was left running"
            begun = len(tools.calls)
            await assert_quiet(server, calls=self.answers_before + 1)
            assert len(tools.calls) == begun, "a tool was called after the turn had ended"

    def _before(self) -> list[Reply]:
        return [Text(f"Word {number}.") for number in range(1, self.answers_before + 1)]

    @asynccontextmanager
    async def _cut_off(self, server: ModelServer) -> AsyncIterator[_CutOff]:
        """Cancels turns of an agent that is closed in the end, and has left no process then."""
        self.needs_a_process()
        before = processes_below()
        at_once = self.capabilities().cancellation == "process"
        async with self.agent_at(server) as agent:
            cut_off = _CutOff(agent, before, ends_process=at_once)
            yield cut_off
        left = [one for one in cut_off.seen | (processes_below() - before) if one.is_alive]
        assert not left, f"processes are left of a closed agent: {left}"


class _CutOff:
    """Cancels turns, and knows the processes that ran meanwhile."""

    def __init__(self, agent: Agent, before: frozenset[Process], *, ends_process: bool) -> None:
        self.agent = agent
        self.seen: frozenset[Process] = frozenset()
        self._before = before
        self._ends_process = ends_process

    async def __call__(self, asked: Turn, under_way: Callable[[], Awaitable[object]]) -> None:
        async def seen() -> None:
            await under_way()
            self.seen |= processes_below() - self._before

        await cancelled(self.agent, asked, seen)
        if self._ends_process:
            left = [one for one in self.seen if one.is_alive]
            assert not left, f"only its end stops such an agent, and it goes on: {left}"


async def assert_quiet(server: ModelServer, *, calls: int) -> None:
    """No model is called for a while, and no answer is being sent."""
    with suppress(TimeoutError):
        await server.await_calls(calls + 1, timeout_s=_QUIET_S)
    assert server.calls == calls, "a model was called after the turn had ended"
    assert server.running_calls == 0
