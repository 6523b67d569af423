"""Cancellation of model calls and tool calls: the framework stops, at once and for good."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from massgen_bridge.agent import Limits
from massgen_bridge.connection import RetryPolicy
from massgen_bridge.events import TurnCancelled, TurnFailed
from massgen_bridge.messages import ToolCall
from massgen_bridge.runtime.executor import TurnOutcome
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._checks import GRACE_S, assert_refused, cancelled
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._stopping import StoppingTests
from massgen_bridge.testing.conformance._turns import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Hang, HttpError, ModelServer, Reply, Text, ToolCalls

__all__ = ["CancellationTests", "assert_quiet"]

_QUIET_S = 0.3
_SETTLED_S = 0.1
_ENDLESS = Text.of_tokens(2000, tokens_per_second=100)
_MOMENTS: dict[str, Reply] = {"first-byte": Hang(), "midway": _ENDLESS}


class CancellationTests(StoppingTests, ModelConformanceBase):
    """After a cancellation: no new request, no new tool call, and open streams are closed."""

    @pytest.mark.parametrize("reply", _MOMENTS.values(), ids=_MOMENTS)
    async def test_a_cancelled_model_call_is_given_up(
        self, serve: StartModelServer, reply: Any
    ) -> None:
        """Cancelled while it waits for the first byte, or in the middle of the text, a turn ends
        within 2 seconds. The server sees the connection go, and no further request.
        """
        self.needs_a_process()
        server = serve(reply)

        async def under_way() -> None:
            await server.await_calls(1)
            if reply is _ENDLESS:
                await server.await_tokens(3)

        async with self.agent_at(server) as agent:
            await cancelled(agent, turn("Speak."), under_way)
            await server.await_close(1, timeout_s=GRACE_S)
            await assert_quiet(server, calls=1)

    @pytest.mark.parametrize("reply", _MOMENTS.values(), ids=_MOMENTS)
    async def test_a_model_call_that_is_cancelled_twice_is_given_up(
        self, serve: StartModelServer, reply: Any
    ) -> None:
        """The host may cancel again while a turn still stops: it ends once, as `TurnCancelled`,
        and its connection is closed.
        """
        self.needs_a_process()
        server = serve(reply)
        outcomes: list[TurnOutcome] = []
        asked = turn("Speak.")
        async with self.hosted(self.connect(server)) as agent:

            async def run() -> None:
                outcomes.append(await agent.run(asked, collect()))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await server.await_calls(1)
                if reply is _ENDLESS:
                    await server.await_tokens(3)
                with anyio.fail_after(GRACE_S):
                    while not outcomes:
                        agent.cancel(asked.turn_id, "again and again")
                        await anyio.lowlevel.checkpoint()
            await server.await_close(1, timeout_s=GRACE_S)
            await assert_quiet(server, calls=1)
        assert outcomes == [TurnCancelled(reason="again and again")]

    async def test_a_cancelled_tool_call_is_given_up(self, serve: StartModelServer) -> None:
        """A cancellation in the middle of a tool call reaches the tool. The tool is not called
        again, no other tool is, and the model is not asked again.
        """
        self.needs_a_process()
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
        asked = turn("Look it up.", tools=[LOOKUP], call_tool=tools)
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, asked)
                return
            await cancelled(agent, asked, inside.wait)
            assert outside.is_set(), "the tool was left running"
            begun = len(tools.calls)
            await assert_quiet(server, calls=1)
            assert len(tools.calls) == begun

    async def test_a_cancelled_wait_makes_no_further_call(self, serve: StartModelServer) -> None:
        """Cancelled while it waits to make a failed model call again, a turn ends within 2
        seconds, however long the provider asked to wait, and the call is not made again.
        """
        self.needs_a_process()
        server = serve([HttpError(status=429, retry_after=30), Text("This must not be asked for.")])

        async def waiting() -> None:
            await server.await_calls(1)
            await server.await_idle()
            await anyio.sleep(_SETTLED_S)

        async with self.agent_at(server, retry=RetryPolicy(attempts=2)) as agent:
            await cancelled(agent, turn("Speak."), waiting)
            await assert_quiet(server, calls=1)

    async def test_only_the_cancelled_turn_ends(self, serve: StartModelServer) -> None:
        """Another turn of the same agent goes on to its whole answer, and the agent can do more."""
        self.needs_a_process()
        server = serve(default=Text.of_tokens(10, tokens_per_second=20))
        results: list[str] = []

        async with self.agent_at(server) as agent:

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

    @pytest.mark.parametrize(
        ("reply", "limits"),
        [
            pytest.param(Hang(after=2), Limits(idle_s=0.4), id="idle"),
            pytest.param(_ENDLESS, Limits(wall_s=0.4), id="wall"),
        ],
    )
    async def test_the_time_limits_of_a_turn_hold(
        self, serve: StartModelServer, reply: Reply, limits: Limits
    ) -> None:
        """A turn in which nothing happens for `idle_s` seconds, or that is not done after
        `wall_s`, fails with kind `timeout`; the server sees the connection go within 2 seconds,
        and no further request.
        """
        self.needs_a_process()
        server = serve(reply)
        async with self.hosted(self.connect(server)) as agent:
            outcome = await agent.run(turn("Speak.", limits=limits), collect())
            await server.await_close(1, timeout_s=GRACE_S)
            await assert_quiet(server, calls=1)
        assert isinstance(outcome, TurnFailed), f"{outcome}"
        assert outcome.kind == "timeout", f"{outcome}"


async def assert_quiet(server: ModelServer, *, calls: int) -> None:
    """No model is called for a while, and no answer is being sent."""
    await anyio.sleep(_QUIET_S)
    assert server.calls == calls, "a model was called after the turn had ended"
    assert server.running_calls == 0
