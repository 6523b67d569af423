"""Agents in a process of their own: their models past a gateway, and a turn's end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from massgen_bridge_ag2_classic import bridge_adapters

from massgen_bridge import TextDelta, TurnCancelled, TurnDone
from massgen_bridge.testing.agents import ScriptedTools, collect, connection_to, turn
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.hosting import hosted
from massgen_bridge.testing.servers import Structured, Text, ToolCalls
from massgen_bridge.testing.warm import warm_launching

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.hosting import HostedAgent
    from massgen_bridge.testing.servers import ModelServer

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
FILE = Path(__file__).with_name("ag2_classic_chats.py")
GROUP = {"members": [{"name": "ann"}, {"name": "bob"}], "max_turns": 2}


@pytest.fixture(autouse=True)
def _warm() -> None:
    """Import AG2 outside the event loop."""
    warm_launching(SPEC)


def apart(server: ModelServer, **options: Any) -> AbstractAsyncContextManager[HostedAgent]:
    warm, connection = warm_launching(SPEC), connection_to(server)
    return hosted(SPEC, options, connection, isolation="process", launching=warm)


async def test_a_group_uses_tools_and_is_held_to_a_schema(model_server: StartModelServer) -> None:
    server = model_server(
        [ToolCalls(("lookup", {"query": "x", "limit": 1})), Text("I looked."), Structured({"a": 1})]
    )
    tools, events = ScriptedTools("found"), collect()
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    async with apart(server, group=GROUP) as agent:
        asked = turn("Go.", tools=[LOOKUP], output_schema=schema)
        outcome = await agent.run(asked, events, call_tool=tools)
    assert isinstance(outcome, TurnDone), f"{outcome}"
    assert outcome.result.structured == {"a": 1}
    assert [call.name for call in tools.calls] == ["lookup"]
    assert {one.source for one in events.of(TextDelta)} == {"ann", "bob"}
    assert server.calls == 3


async def test_models_of_ones_own_are_ended_with_the_process(
    model_server: StartModelServer,
) -> None:
    """AG2's own client cannot be stopped: its process ends, and so does the call."""
    server = model_server(default=Text("At last.", latency_s=30))
    asked = turn("Go.")
    outcomes = []
    async with apart(server, chat=f"{FILE}:from_model") as agent:

        async def run() -> None:
            outcomes.append(await agent.run(asked, collect()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await server.await_calls(1)
            agent.cancel(asked.turn_id, "enough")
            await server.await_close(1, timeout_s=2)
    assert outcomes == [TurnCancelled(reason="enough")]
    assert server.calls == 1
