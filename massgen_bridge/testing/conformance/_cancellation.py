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
from massgen_bridge.runtime.executor import TurnOutcome
from massgen_bridge.testing.agents import collect, turn
from massgen_bridge.testing.conformance._checks import GRACE_S, cancelled
from massgen_bridge.testing.conformance._cut_off import (
    ENDLESS,
    MOMENTS,
    CutOffTests,
    assert_quiet,
)
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Hang, HttpError, Reply, Text

__all__ = ["CancellationTests"]

_SETTLED_S = 0.1


class CancellationTests(CutOffTests):
    """A turn that waits, is cancelled twice or beside another, or has used up its time, stops."""

    @pytest.mark.parametrize("reply", MOMENTS.values(), ids=MOMENTS)
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
                if reply is ENDLESS:
                    await server.await_tokens(3)
                with anyio.fail_after(GRACE_S):
                    while not outcomes:
                        agent.cancel(asked.turn_id, "again and again")
                        await anyio.lowlevel.checkpoint()
            await server.await_close(1, timeout_s=GRACE_S)
            await assert_quiet(server, calls=1)
        assert outcomes == [TurnCancelled(reason="again and again")]

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
            pytest.param(ENDLESS, Limits(wall_s=0.4), id="wall"),
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
        server = serve([Text("First."), reply])
        async with self.hosted(self.connect(server)) as agent:
            # What a framework does once, in its first turn, may take longer on a busy machine.
            await agent.run(turn("Begin.", turn_id="first"), collect())
            outcome = await agent.run(turn("Speak.", limits=limits), collect())
            await server.await_close(1, timeout_s=GRACE_S)
            await assert_quiet(server, calls=2)
        assert isinstance(outcome, TurnFailed), f"{outcome}"
        assert outcome.kind == "timeout", f"{outcome}"
