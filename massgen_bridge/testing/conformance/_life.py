"""The life of an agent: many turns at once, and nothing left in the end."""

# ruff: noqa: S101, PLR2004 - tests assert, and count

from __future__ import annotations

import threading

import anyio
import anyio.to_thread
import pytest

from massgen_bridge.agent import Agent
from massgen_bridge.errors import ServerFailed
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._base import LOOKUP, ConformanceBase
from massgen_bridge.testing.conformance._cancellation import cancelled
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

__all__ = ["LifeTests"]

_RUNS = 50
_SETTLE_ROUNDS = 200


class LifeTests(ConformanceBase):
    """An agent serves many turns and gives everything back."""

    async def test_it_is_an_agent(self, serve: StartModelServer) -> None:
        """It has the methods of the interface, and can be closed unused and twice."""
        agent = self.make(serve())
        assert isinstance(agent, Agent)
        await agent.aclose()
        await agent.aclose()

    async def test_turns_at_the_same_time_do_not_mix(self, serve: StartModelServer) -> None:
        """Fifty questions to one agent get fifty answers, each its own."""
        server = serve(latency_s=0.2)
        answers: dict[str, tuple[str, str]] = {}

        async with self.agent(server) as agent:

            async def ask(question: str) -> None:
                events = collect()
                asked = turn(question, turn_id=question)
                answers[question] = ((await agent.run(asked, events)).text, events.text)

            async with anyio.create_task_group() as tasks:
                for number in range(_RUNS):
                    tasks.start_soon(ask, f"Question {number}?")
        assert len(answers) == _RUNS
        for question, (answer, streamed) in answers.items():
            assert answer == question
            assert streamed == question or not self.capabilities().streaming
        assert server.most_running_calls > _RUNS // 2, "the turns waited for each other"

    async def test_tools_of_turns_at_the_same_time_do_not_mix(
        self, serve: StartModelServer
    ) -> None:
        """Each call comes to the turn in which the model made it."""
        if not self.capabilities().tools:
            return

        def script(request: ModelRequest) -> Reply | None:
            if request.ends_with_tool_result:
                return None  # echoes the result
            return ToolCalls(("lookup", {"query": request.last_text, "limit": 1}))

        server, answers = serve(script), {}
        async with self.agent(server) as agent:

            async def ask(question: str) -> None:
                tools = ScriptedTools(f"found by {question}")
                asked = turn(question, tools=[LOOKUP], call_tool=tools, turn_id=question)
                text = (await agent.run(asked, collect())).text
                answers[question] = ([call.arguments["query"] for call in tools.calls], text)

            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(ask, f"turn {number}")
        assert answers == {question: ([question], f"found by {question}") for question in answers}
        assert len(answers) == 10

    async def test_the_proxy_of_the_environment_is_used(
        self, serve: StartModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A provider that can be reached through a proxy alone is reached through it."""
        server = serve(Text("Through the proxy."))
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, server.url.removesuffix("/v1"))
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with self.agent("http://provider.invalid/v1") as agent:
            result = await agent.run(turn("Hello."), collect())
        assert result.text == "Through the proxy."
        assert server.requests[0].headers["host"] == "provider.invalid"

    async def test_nothing_is_left_of_a_closed_agent(self, serve: StartModelServer) -> None:
        """No connection, task or thread, after a good, a failed and a cancelled turn."""
        server = serve()
        await self._live(server)  # what is made once in a process is made here
        tasks, threads = _tasks(), _threads()
        for _ in range(3):
            await self._live(server)
        await anyio.to_thread.run_sync(
            lambda: server.wait_until(
                lambda: server.open_connections == 0, what="closed connections"
            )
        )
        for _ in range(_SETTLE_ROUNDS):
            if _tasks() <= tasks and _threads() <= threads:
                break
            await anyio.sleep(0.01)
        assert _tasks() - tasks == set()
        assert _threads() - threads == set()

    async def _live(self, server: ModelServer) -> None:
        async with self.agent(server) as agent:
            if self.capabilities().cancellation == "cooperative":
                calls = server.calls
                server.enqueue(Hang(after=1))
                await cancelled(agent, turn("Hang."), lambda: server.await_calls(calls + 1))
            server.enqueue(HttpError(status=500), Text("Good."))
            with pytest.raises(ServerFailed):
                await agent.run(turn("Fail."), collect())
            await agent.run(turn("Speak."), collect())


def _tasks() -> set[tuple[int, str | None]]:
    return {(task.id, task.name) for task in anyio.get_running_tasks()}


def _threads() -> set[str]:
    """Threads, but for those that anyio keeps for the next blocking call."""
    names = (thread.name for thread in threading.enumerate())
    return {name for name in names if not name.startswith("AnyIO worker")}
