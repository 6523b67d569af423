"""A run whose agents are in processes of their own."""

# ruff: noqa: ASYNC110 - other processes set no event of this one

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from isolation import unruly
from isolation.workers import gone
from runtime.plans import NoModels, new_host, of_type, plan_for, play

from massgen_bridge.agent import Agent
from massgen_bridge.events import Record, RunResult, TurnFailed
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.plugins import load_object
from massgen_bridge.runtime.crew import AgentSetup, Crew
from massgen_bridge.runtime.workspaces import Workspaces
from massgen_bridge.testing.agents import collect, turn

pytestmark = pytest.mark.anyio

OWN = Placement(mode="process", module="massgen_bridge.kinds.scripted")
MOMENTS = 20


async def test_agents_in_processes_answer_and_vote() -> None:
    host = new_host()
    records: list[Record] = []
    scripts = [{}, {"votes": ["agent2"]}, {}]
    here = await play(plan_for(host, *scripts), host)
    apart = plan_for(host, *({"place": OWN, **script} for script in scripts))
    result = await play(apart, host, records)
    assert (result.status, result.winner) == (here.status, here.winner) == ("answered", "a1")
    assert (result.usage, set(result.votes)) == (here.usage, set(here.votes))
    assert not of_type(records, TurnFailed)


async def test_an_agent_in_a_process_knows_what_it_did_before_the_run_was_resumed() -> None:
    host = new_host()
    first = AgentSetup(agent_id="a", kind="scripted", options={"answers": ["one", "two"]})
    asked = turn("Which?")
    async with Crew(host, NoModels(), load=load_object) as crew:
        result = await (await crew.agent(first)).run(asked, collect())
    finished = ({"turn": asked, "result": result},)
    again = AgentSetup.model_validate({**first.model_dump(), "place": OWN, "finished": finished})
    async with Crew(host, NoModels(), load=load_object) as crew:
        assert (await (await crew.agent(again)).run(asked, collect())).text == "two"


async def test_the_workspace_is_the_agents_own_within_the_runs(tmp_path: Path) -> None:
    place = Placement(mode="process", module="isolation.unruly")
    setup = AgentSetup(agent_id="a", kind="unruly", options={}, place=place)
    host = new_host(unruly)
    async with Crew(host, NoModels(), load=load_object, workspaces=Workspaces(tmp_path)) as crew:
        agent: Agent = await crew.agent(setup)
        await agent.run(turn("write words"), collect())
    assert (tmp_path / "a" / "file.txt").read_text() == "words"


def _workers() -> list[int]:
    """The workers of this process and what watches them, the youngest last."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if b"isolation/child.py" in stat.with_name("cmdline").read_bytes():
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    own = {pid for pid, parent in parents.items() if parent == os.getpid()}
    return sorted(pid for pid, parent in parents.items() if pid in own or parent in own)


@pytest.mark.parametrize("seed", range(MOMENTS))
async def test_a_run_outlives_a_worker_that_is_killed_at_any_moment(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - spreads the moments, keeps no secret
    slow = {"tokens_per_second": 30, "answers": ["an answer of eight words that takes time"]}
    host = new_host()
    plan = plan_for(
        host, {"place": OWN, **slow}, {"votes": ["agent2"]}, {"votes": ["agent2"], **slow}
    )
    records: list[Record] = []
    results: list[RunResult] = []
    killed: list[int] = []

    async def run() -> None:
        results.append(await play(plan, host, records))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        while not (found := _workers()) and not results:
            await anyio.sleep(0.01)
        await anyio.sleep(chance.uniform(0, 1.2))
        for pid in chance.sample(found, k=min(1, len(found))):
            killed.append(pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    (result,) = results
    assert killed
    assert (result.status, result.winner) == ("answered", "a2")
    kinds = {failed.kind for failed in of_type(records, TurnFailed)}
    assert kinds <= {"worker_crashed", "crash"}
    assert await gone(*found, within_s=0) == []
