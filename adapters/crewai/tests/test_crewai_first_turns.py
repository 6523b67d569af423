"""The first turns of a process, all at the same time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import pytest
from crewai import Flow
from crewai.flow.flow import start
from massgen_bridge_crewai import bridge_adapters

from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn

if TYPE_CHECKING:
    from massgen_bridge import Agent, Connection

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
TURNS = 10


class _TakesTime:
    """What a class has that it works out each time: other threads go on meanwhile."""

    def __get__(self, instance: object, owner: type) -> str:
        time.sleep(0.03)
        return "worked out"


def _flow_class(module: str = __name__) -> Any:
    """A class of flows of which there was none yet."""

    class Echo(Flow[dict[str, Any]]):
        __module__ = module
        __qualname__ = "Echo"
        taken_at_leisure: ClassVar[Any] = _TakesTime()

        @start()
        def begin(self) -> str:
            return f"You asked: {self.state['task']}"

    return Echo


async def _agent(flow: Any, connection: Connection | None = None, /, **options: Any) -> Agent:
    return await anyio.to_thread.run_sync(
        lambda: make_agent(SPEC, options, connection, load=lambda _: flow)
    )


async def test_the_first_turns_of_a_flow_can_come_at_the_same_time() -> None:
    agent, answers = await _agent(_flow_class(), flow="Echo"), set[str]()

    async def ask(question: str) -> None:
        asked = turn(question, turn_id=question)
        answers.add((await agent.run(asked, collect())).text)

    async with anyio.create_task_group() as tasks:
        for number in range(TURNS):
            tasks.start_soon(ask, f"question {number}")
    await agent.aclose()
    assert answers == {f"You asked: question {number}" for number in range(TURNS)}


async def test_an_agent_of_a_model_leaves_no_class_of_flows_to_its_first_turns() -> None:
    # CrewAI's own agents are flows; this one stands for them, since it can be given its time.
    flow = _flow_class("crewai.own")
    agent = await _agent(None, connection_to("http://127.0.0.1:9/v1"))
    await agent.aclose()

    def make_at_once() -> list[object]:
        with ThreadPoolExecutor(TURNS) as threads:
            return list(threads.map(lambda _: flow(), range(TURNS)))

    made = await anyio.to_thread.run_sync(make_at_once)
    assert len(made) == TURNS
