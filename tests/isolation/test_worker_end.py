"""However a worker ends, its turns fail, nothing is left of it, and the next turn gets another.

What has to be stopped here would go on for longer than a test may take: no clock is looked at.
"""

# ruff: noqa: ASYNC110, ASYNC240 - a test may wait in small steps, and look at /proc

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from isolation.workers import HERE, gone, is_there, launch, unruly

from massgen_bridge import AgentCrashed, EnvironmentFailed, TextDelta, TurnEvent, WorkerCrashed
from massgen_bridge.isolation.agent import WorkerAgent
from massgen_bridge.isolation.process import Launch
from massgen_bridge.testing.agents import collect, turn

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("exit 3", r"its worker process ended: exit code 3: the last words"),
        ("die", r"its worker process ended: killed by SIGKILL"),
        ("nonsense {}", r"its worker said what is (a frame|not a message)"),
    ],
)
async def test_a_worker_that_ends_fails_its_turn_alone(
    tmp_path: Path, deed: str, words: str
) -> None:
    async with unruly(tmp_path) as agent:
        with pytest.raises(WorkerCrashed, match=words) as raised:
            await agent.run(turn(deed), collect())
        assert raised.value.retryable
        assert raised.value.agent_id == "agent"
        assert (await agent.run(turn("say on"), collect())).text == "on"


async def test_a_worker_that_is_killed_fails_all_turns_in_it(tmp_path: Path) -> None:
    failed: list[str] = []
    async with unruly(tmp_path) as agent:
        pid = int((await agent.run(turn("pid"), collect())).text)

        async def wait() -> None:
            with pytest.raises(WorkerCrashed) as raised:
                await agent.run(turn("wait 60"), collect())
            failed.append(str(raised.value))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(wait)
            await anyio.sleep(0.2)
            os.kill(pid, signal.SIGKILL)
    assert failed == ["its worker process ended: killed by SIGKILL"] * 3


async def _start_children(agent: WorkerAgent, events: list[int]) -> None:
    async def take(event: TurnEvent, /) -> None:
        if isinstance(event, TextDelta):
            events.extend(json.loads(event.text))

    await agent.run(turn("children"), take)


async def _family(agent: WorkerAgent, tasks: anyio.abc.TaskGroup) -> list[int]:
    """The worker, the process that watches it, and four that it has started."""
    pids: list[int] = []
    tasks.start_soon(_start_children, agent, pids)
    with anyio.fail_after(20):
        while len(pids) < 6:
            await anyio.sleep(0.01)
    return pids


async def test_a_cancelled_turn_ends_in_time_with_all_that_it_started(tmp_path: Path) -> None:
    async with unruly(tmp_path, alone=True) as agent:
        async with anyio.create_task_group() as tasks:
            pids = await _family(agent, tasks)
            assert all(is_there(pid) for pid in pids)
            tasks.cancel_scope.cancel()
        assert await gone(*pids, within_s=0) == []
        assert (await agent.run(turn("say on"), collect())).text == "on"


async def test_a_turn_that_cannot_be_stopped_ends_with_its_process(tmp_path: Path) -> None:
    async with unruly(tmp_path) as agent:
        pid = int((await agent.run(turn("pid"), collect())).text)
        events = collect()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.run, turn("block 600"), events)
            while not events.events:
                await anyio.sleep(0.01)
            await anyio.sleep(0.1)
            tasks.cancel_scope.cancel()
        assert not is_there(pid)
        assert (await agent.run(turn("say on"), collect())).text == "on"


async def test_the_children_of_a_killed_worker_end_with_it(tmp_path: Path) -> None:
    async with unruly(tmp_path) as agent, anyio.create_task_group() as tasks:

        async def crash() -> None:
            with pytest.raises(WorkerCrashed):
                await _start_children(agent, pids)

        pids: list[int] = []
        tasks.start_soon(crash)
        while len(pids) < 6:
            await anyio.sleep(0.01)
        os.kill(pids[0], signal.SIGKILL)
        assert await gone(*pids) == []


async def test_the_worker_ends_with_the_process_that_watches_it(tmp_path: Path) -> None:
    async with unruly(tmp_path) as agent:
        pid = int((await agent.run(turn("pid"), collect())).text)
        watcher = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(watcher, signal.SIGKILL)
        assert await gone(pid, watcher) == []
        # A turn that comes before the host has seen the end of the worker may still fail with it.
        with suppress(WorkerCrashed):
            await agent.run(turn("say on"), collect())
        assert (await agent.run(turn("say on"), collect())).text == "on"


async def test_nothing_is_left_of_a_worker_whose_host_is_killed(tmp_path: Path) -> None:
    host = await anyio.to_thread.run_sync(
        lambda: subprocess.Popen(
            [sys.executable, "-P", str(HERE / "a_host.py"), str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    )
    assert host.stdout is not None
    pids = json.loads(await anyio.to_thread.run_sync(host.stdout.readline))
    assert all(is_there(pid) for pid in pids)
    assert list(tmp_path.glob("massgen-bridge-*"))
    host.kill()
    await anyio.to_thread.run_sync(host.wait)
    host.stdout.close()
    assert await gone(*pids) == []
    assert list(tmp_path.glob("massgen-bridge-*")) == []


async def test_a_stubborn_agent_is_killed_when_it_is_closed(tmp_path: Path) -> None:
    async with unruly(tmp_path, agent_id="stubborn") as agent:
        pid = int((await agent.run(turn("pid"), collect())).text)
    assert not is_there(pid)


async def test_nothing_is_left_of_an_agent_that_is_closed(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    async with unruly(tmp_path) as agent:
        pid = int((await agent.run(turn("pid"), collect())).text)
        watcher = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert await gone(pid, watcher) == []
    assert set(Path("/proc/self/fd").iterdir()) <= before


async def test_a_python_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    def missing(variables: Mapping[str, str]) -> Launch:
        return Launch(python="/no/such/python", kind="unruly", variables=variables)

    async with unruly(tmp_path, launch=missing) as agent:
        with pytest.raises(EnvironmentFailed, match=r"'/no/such/python' \(No such file"):
            await agent.run(turn("say on"), collect())


async def test_a_worker_that_does_not_find_its_code_is_an_error(tmp_path: Path) -> None:
    def empty(variables: Mapping[str, str]) -> Launch:
        standard = tuple(path for path in sys.path if "site-packages" not in path)
        return Launch(paths=standard[1:], kind="unruly", variables=variables)

    async with unruly(tmp_path, launch=empty) as agent:
        with pytest.raises(EnvironmentFailed, match="no worker starts for agent 'agent': exit"):
            await agent.run(turn("say on"), collect())


async def test_a_worker_of_another_version_is_an_error(tmp_path: Path) -> None:
    """Its first words are all that has to be understood."""
    other = tmp_path / "massgen_bridge" / "isolation"
    other.mkdir(parents=True)
    (other.parent / "__init__.py").touch()
    (other / "__init__.py").touch()
    (other / "worker.py").write_text(
        "import json, os, socket, time\n"
        "def serve(link):\n"
        "    hello = {'jsonrpc': '2.0', 'method': 'hello', 'params': {'protocol': 99,\n"
        "        'version': '9.9', 'python': '3.99', 'pid': os.getpid()}}\n"
        "    words = json.dumps(hello, separators=(',', ':')).encode()\n"
        "    os.write(link, len(words).to_bytes(4, 'big') + words)\n"
        "    time.sleep(60)\n"
    )

    def changed(variables: Mapping[str, str]) -> Launch:
        usual = launch(variables)
        return replace(usual, paths=(str(tmp_path), *usual.paths))

    async with unruly(tmp_path, launch=changed) as agent:
        with pytest.raises(EnvironmentFailed, match=r"9\.9, which speaks version 99 of the wire"):
            await agent.run(turn("say on"), collect())


async def test_an_adapter_without_the_kind_is_an_error(tmp_path: Path) -> None:
    async with unruly(tmp_path, kind="other") as agent:
        with pytest.raises(AgentCrashed, match="'unruly' has no agents of kind 'other'"):
            await agent.run(turn("say on"), collect())
