"""The life of an agent that uses a model: many calls at once, the proxy, its connections."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from massgen_bridge.errors import ServerFailed
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._checks import assert_refused, cancelled
from massgen_bridge.testing.conformance._life import (
    RUNS,
    LifeTests,
    assert_loop_goes_on,
    assert_nothing_left,
)
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._turns import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import (
    Hang,
    HttpError,
    ModelRequest,
    ModelServer,
    Reply,
    Text,
    ToolCalls,
)

__all__ = ["ModelLifeTests"]

_TOOL_TURNS = 10
_THINKS_S = 1.5
_LATENCIES_S = (0.2, 1.0)


class ModelLifeTests(LifeTests, ModelConformanceBase):
    """Model calls of one agent run side by side, and its connections end with it."""

    async def test_model_calls_run_at_the_same_time(self, serve: StartModelServer) -> None:
        """Fifty questions to one agent are fifty model calls, more than half of them at the same
        time, and each gets the answer and the deltas that belong to it.
        """
        most = 0
        for latency_s in _LATENCIES_S:  # a busy machine may need the longer one
            server = serve(latency_s=latency_s)
            await self._ask_at_once(server)
            most = max(most, server.most_running_calls)
            if most > RUNS // 2:
                break
        assert most > RUNS // 2, "the turns waited for each other"

    async def _ask_at_once(self, server: ModelServer) -> None:
        answers: dict[str, tuple[str, str]] = {}

        async with self.agent_at(server) as agent:

            async def ask(question: str) -> None:
                events = collect()
                asked = turn(question, turn_id=question)
                answers[question] = ((await agent.run(asked, events)).text, events.text)

            async with anyio.create_task_group() as tasks:
                for number in range(RUNS):
                    tasks.start_soon(ask, f"Question {number}?")
        assert len(answers) == RUNS
        for question, (answer, streamed) in answers.items():
            assert answer == question
            assert streamed == question or not self.capabilities().streaming

    async def test_tools_of_turns_at_the_same_time_do_not_mix(
        self, serve: StartModelServer
    ) -> None:
        """In ten turns at the same time, each tool call comes to the turn in which the model made
        it, and its result goes back to that model call.
        """

        def script(request: ModelRequest) -> Reply | None:
            if request.ends_with_tool_result:
                return None  # echoes the result
            return ToolCalls(("lookup", {"query": request.last_text, "limit": 1}))

        server, answers = serve(script), {}
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, turn("Look.", tools=[LOOKUP]))
                return

            async def ask(question: str) -> None:
                tools = ScriptedTools(f"found by {question}")
                asked = turn(question, tools=[LOOKUP], call_tool=tools, turn_id=question)
                text = (await agent.run(asked, collect())).text
                answers[question] = ([call.arguments["query"] for call in tools.calls], text)

            async with anyio.create_task_group() as tasks:
                for number in range(_TOOL_TURNS):
                    tasks.start_soon(ask, f"turn {number}")
        assert answers == {question: ([question], f"found by {question}") for question in answers}
        assert len(answers) == _TOOL_TURNS

    async def test_the_event_loop_goes_on_while_a_model_thinks(
        self, serve: StartModelServer
    ) -> None:
        """While a model is silent for 1.5 seconds before its first word, the event loop never
        stands still for one.
        """
        server = serve(Text("At last.", latency_s=_THINKS_S))
        async with self.agent_at(server) as agent:
            await assert_loop_goes_on(lambda: agent.run(turn("Think."), collect()))

    async def test_the_proxy_of_the_environment_is_used(
        self, serve: StartModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A provider that can be reached through a proxy alone is reached through the one that
        `HTTP_PROXY` names.
        """
        server = serve(Text("Through the proxy."))
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, server.url.removesuffix("/v1"))
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with self.agent_at(self.address("http://provider.invalid")) as agent:
            result = await agent.run(turn("Hello."), collect())
        assert result.text == "Through the proxy."
        assert server.requests[0].headers["host"] == "provider.invalid"

    async def test_no_connection_is_left_of_a_closed_agent(self, serve: StartModelServer) -> None:
        """After a turn that went well, one that failed and one that was cancelled, a closed agent
        has closed all its connections, and leaves no task, thread, file or child process.
        """
        server = serve()

        async def live() -> None:
            await self._live(server)
            await anyio.to_thread.run_sync(
                lambda: server.wait_until(
                    lambda: server.open_connections == 0, what="closed connections"
                )
            )

        await assert_nothing_left(live)

    async def _live(self, server: ModelServer) -> None:
        async with self.agent_at(server) as agent:
            if self.capabilities().cancellation == "cooperative":
                calls = server.calls
                server.enqueue(Hang(after=1))
                await cancelled(agent, turn("Hang."), lambda: server.await_calls(calls + 1))
            server.enqueue(HttpError(status=500), Text("Good."))
            with pytest.raises(ServerFailed):
                await agent.run(turn("Fail."), collect())
            await agent.run(turn("Speak."), collect())
