"""Crews in a process of their own, where they run by default: past a gateway, and to the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from massgen_bridge_crewai import bridge_adapters

from massgen_bridge import TextDelta, TurnCancelled, TurnDone
from massgen_bridge.testing.agents import collect, connection_to, turn
from massgen_bridge.testing.hosting import hosted
from massgen_bridge.testing.servers import Text
from massgen_bridge.testing.warm import warm_launching

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
FILE = Path(__file__).with_name("crewai_crews.py")
GRACE_S = 2.0


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


@pytest.fixture
def _warm() -> None:
    """Import CrewAI outside the event loop."""
    warm_launching(SPEC)


@pytest.mark.usefixtures("_warm")
async def test_what_nothing_else_stops_ends_with_the_process() -> None:
    options, warm = {"crew": f"{FILE}:make_sleeper"}, warm_launching(SPEC)
    outcomes: list[object] = []
    async with hosted(SPEC, options, None, isolation="process", launching=warm) as agent:
        done = await agent.run(turn("first", turn_id="first"), collect())
        assert isinstance(done, TurnDone), f"{done}"

        async def run() -> None:
            outcomes.append(await agent.run(turn("Go on.", turn_id="cancelled"), collect()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await anyio.sleep(0.5)
            began = time.monotonic()
            agent.cancel("cancelled", "enough")
    assert outcomes == [TurnCancelled(reason="enough")]
    assert time.monotonic() - began < GRACE_S
