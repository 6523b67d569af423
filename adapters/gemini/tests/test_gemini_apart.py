"""Gemini in a process of its own, which reaches the model past a gateway."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from massgen_bridge_gemini import bridge_adapters

from massgen_bridge import RetryPolicy
from massgen_bridge.testing.agents import ScriptedTools, collect, connection_to, turn
from massgen_bridge.testing.apart import AgentApart
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import EndsEarly, ModelServer, Text, ToolCalls

pytestmark = pytest.mark.anyio

CALL = ("lookup", {"query": "tea", "limit": 1})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _apart(server: ModelServer) -> AgentApart:
    (spec,) = bridge_adapters()
    retry = RetryPolicy(attempts=2, base_s=0.01)
    connection = connection_to(server, protocol="gemini", retry=retry)
    return AgentApart(spec, {}, connection, Path.cwd())


async def test_tools_and_model_are_reached_from_a_process_of_its_own() -> None:
    """So are its retries, and its turns that go on at the same time."""
    tools, events, again = ScriptedTools("green"), collect(), collect()
    half = EndsEarly(after=3, answer=Text("Half of it."))
    texts: list[str] = []
    with ModelServer(
        [ToolCalls(CALL), Text("It is green."), half, Text("All.")],
        default=Text.of_tokens(20, tokens_per_second=40),
    ) as server:
        agent = _apart(server)

        async def ask(number: int) -> None:
            texts.append((await agent.run(turn(f"{number}?"), collect())).text)

        try:
            result = await agent.run(turn("Look.", tools=[LOOKUP], call_tool=tools), events)
            whole = await agent.run(turn("Speak."), again)
            async with anyio.create_task_group() as tasks:
                for number in range(3):
                    tasks.start_soon(ask, number)
        finally:
            await agent.aclose()
        assert server.calls == 7
    assert (result.text, events.text) == ("It is green.", "It is green.")
    assert result.usage is not None
    assert [call.name for call in tools.calls] == ["lookup"]
    assert (whole.text, again.text) == ("All.", "All.")
    assert texts == [Text.of_tokens(20).text] * 3
