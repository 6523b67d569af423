"""Agents in a process of their own, where they run by default: a model past a gateway, and the end.

CrewAI takes seconds to import, so one process does several things here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from massgen_bridge_crewai import bridge_adapters

from massgen_bridge import ModelRetried, RetryPolicy, TextDelta, TurnCancelled, TurnDone
from massgen_bridge.testing.agents import ScriptedTools, collect, connection_to, turn
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.hosting import hosted
from massgen_bridge.testing.servers import HttpError, Structured, Text, ToolCalls

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.hosting import HostedAgent

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
FILE = Path(__file__).with_name("crewai_crews.py")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
GRACE_S = 2.0


async def _cancelled(agent: HostedAgent, *, after_s: float) -> tuple[list[object], float]:
    """Begin a turn and cancel it; its outcome, and the seconds it took to stop."""
    outcomes: list[object] = []
    asked = turn("Go on.", turn_id="cancelled")

    async def run() -> None:
        outcomes.append(await agent.run(asked, collect()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await anyio.sleep(after_s)
        began = time.monotonic()
        agent.cancel(asked.turn_id, "enough")
    return outcomes, time.monotonic() - began


async def test_an_agent_does_there_what_it_does_here(model_server: StartModelServer) -> None:
    limited = HttpError(status=429, retry_after=0.01)
    call = ToolCalls(("lookup", {"query": "x", "limit": 1}))
    endless = Text.of_tokens(1000, tokens_per_second=50)
    server = model_server([limited, call, Structured({"a": 1}), endless, Text("Back.")])
    tools, events = ScriptedTools("found"), collect()
    connection = connection_to(server, retry=RetryPolicy(attempts=2, base_s=0.01))
    async with hosted(SPEC, {}, connection, isolation="process") as agent:
        asked = turn("Go.", tools=[LOOKUP], output_schema=SCHEMA)
        done = await agent.run(asked, events, call_tool=tools)
        assert isinstance(done, TurnDone), f"{done}"
        assert done.result.structured == {"a": 1}
        assert [one.name for one in tools.calls] == ["lookup"]
        assert len(events.of(ModelRetried)) == 1
        assert server.calls == 3

        outcomes, took = await _cancelled(agent, after_s=0.5)
        assert outcomes == [TurnCancelled(reason="enough")]
        assert took < GRACE_S
        await server.await_close(1, timeout_s=GRACE_S)
        await anyio.sleep(0.3)
        assert (server.calls, server.running_calls) == (4, 0)

        back = await agent.run(turn("Again?", turn_id="turn-3"), collect())
    assert isinstance(back, TurnDone), f"{back}"
    assert back.result.text == "Back."


async def test_a_crew_made_with_the_agent_s_model_speaks_past_the_gateway(
    model_server: StartModelServer,
) -> None:
    server, events = model_server(Text("It is here."), strict=False), collect()
    options = {"crew": f"{FILE}:make_crew"}
    async with hosted(SPEC, options, connection_to(server), isolation="process") as agent:
        done = await agent.run(turn("the key"), events)
    assert isinstance(done, TurnDone), f"{done}"
    assert done.result.text == "It is here."
    assert {one.source for one in events.of(TextDelta)} == {"Writer"}


async def test_what_nothing_else_stops_ends_with_the_process() -> None:
    options = {"crew": f"{FILE}:make_sleeper"}
    async with hosted(SPEC, options, None, isolation="process") as agent:
        done = await agent.run(turn("first", turn_id="first"), collect())
        assert isinstance(done, TurnDone), f"{done}"
        outcomes, took = await _cancelled(agent, after_s=0.5)
    assert outcomes == [TurnCancelled(reason="enough")]
    assert took < GRACE_S
