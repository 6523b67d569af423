"""LangChain in a process of its own, which reaches the model past a gateway."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from massgen_bridge_langchain import bridge_adapters

from massgen_bridge import RetryPolicy
from massgen_bridge.testing.agents import TEST_KEY, ScriptedTools, collect, connection_to, turn
from massgen_bridge.testing.apart import AgentApart
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import EndsEarly, ModelServer, Text, ToolCalls

pytestmark = pytest.mark.anyio

CALL = ("lookup", {"query": "tea", "limit": 1})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _apart(server: ModelServer, *, graph: str | None = None) -> AgentApart:
    (spec,) = bridge_adapters()
    retry = RetryPolicy(attempts=2, base_s=0.01)
    connection = connection_to(server, protocol="chat", retry=retry)
    return AgentApart(spec, {"graph": graph} if graph else {}, connection, Path(__file__).parent)


async def test_tools_and_model_are_reached_from_a_process_of_its_own() -> None:
    tools, events = ScriptedTools("green"), collect()
    with ModelServer([ToolCalls(CALL), Text("It is green.")]) as server:
        agent = _apart(server)
        try:
            result = await agent.run(turn("Look.", tools=[LOOKUP], call_tool=tools), events)
        finally:
            await agent.aclose()
    assert (result.text, events.text) == ("It is green.", "It is green.")
    assert [call.name for call in tools.calls] == ["lookup"]


async def test_a_call_that_breaks_off_is_made_again_there() -> None:
    with ModelServer([EndsEarly(after=3, answer=Text("Half of it.")), Text("All.")]) as server:
        agent = _apart(server)
        try:
            events = collect()
            result = await agent.run(turn("Speak."), events)
        finally:
            await agent.aclose()
        assert server.calls == 2
    assert (result.text, events.text) == ("All.", "All.")


async def test_turns_with_tokens_of_their_own_go_on_at_the_same_time() -> None:
    texts: list[str] = []
    with ModelServer(default=Text.of_tokens(20, tokens_per_second=40)) as server:
        agent = _apart(server)

        async def ask(number: int) -> None:
            texts.append((await agent.run(turn(f"{number}?"), collect())).text)

        try:
            async with anyio.create_task_group() as tasks:
                for number in range(5):
                    tasks.start_soon(ask, number)
        finally:
            await agent.aclose()
    assert texts == [Text.of_tokens(20).text] * 5


async def test_the_model_of_a_users_graph_is_reached_past_the_host() -> None:
    with ModelServer([Text("It is done.")]) as server:
        agent = _apart(server, graph="langchain_graphs.py:make_agent_graph")
        try:
            result = await agent.run(turn("Speak."), collect())
        finally:
            await agent.aclose()
        (request,) = server.requests
    assert result.text == "It is done."
    assert request.headers["authorization"] == f"Bearer {TEST_KEY}"
