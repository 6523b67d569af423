"""A worker that is forked from a warm process is, to its host, one that was started."""

# ruff: noqa: ASYNC240 - a test may look at the disk

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from isolation.workers import HERE, gone, is_there, unruly

from massgen_bridge import AdapterSpec, EnvironmentFailed, LogLine, TextDelta, WorkerCrashed
from massgen_bridge.isolation.launching import launch_of
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.testing.agents import collect, turn
from massgen_bridge.testing.warm import warm_launching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.isolation.process import Launch

pytestmark = pytest.mark.anyio

PLACE = Placement(mode="process", module="unruly")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where workers find the adapter."""
    monkeypatch.syspath_prepend(str(HERE))


def spec_in(file: Path) -> AdapterSpec:
    """What a file registers, as the module of its name."""
    spec: AdapterSpec = runpy.run_path(str(file), run_name=file.stem)["bridge_adapters"]()[0]
    return spec


def launch_warm(variables: Mapping[str, str]) -> Launch:
    return warm_launching(spec_in(HERE / "unruly.py"))(PLACE, "unruly", variables)


warm = partial(unruly, launch=launch_warm)
cold = partial(unruly, launch=partial(launch_of, PLACE, "unruly"))


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("exit 3", "its worker process ended: exit code 3: the last words"),
        ("die", "its worker process ended: killed by SIGKILL"),
    ],
)
async def test_its_end_is_told_as_it_was(tmp_path: Path, deed: str, words: str) -> None:
    async with warm(tmp_path) as agent:
        with pytest.raises(WorkerCrashed, match=words):
            await agent.run(turn(deed), collect())
        assert (await agent.run(turn("say on"), collect())).text == "on"


async def _seen(make: Any, workspace: Path) -> dict[str, Any]:
    """What an agent in a worker sees of its surroundings, but for what is the worker's own."""
    events = collect()
    async with make(workspace) as agent:
        variables = json.loads((await agent.run(turn("environment"), collect())).text)
        links = json.loads((await agent.run(turn("descriptors"), collect())).text)
        await agent.run(turn("print it"), events)
    home = Path(variables["HOME"])
    assert not home.exists()
    own = str(home.parent)
    return {
        "variables": {name: value.replace(own, "") for name, value in variables.items()},
        "descriptors": Counter(link.partition(":")[0] for link in links.values()),
        "printed": Counter((event.stream, event.text) for event in events.of(LogLine)),
    }


async def test_it_sees_and_says_what_one_does_that_was_started(tmp_path: Path) -> None:
    assert await _seen(warm, tmp_path) == await _seen(cold, tmp_path)


async def test_it_ends_in_time_with_all_that_it_started(tmp_path: Path) -> None:
    pids: list[int] = []
    begun = anyio.Event()

    async def take(event: object, /) -> None:
        if isinstance(event, TextDelta):
            pids.extend(json.loads(event.text))
            begun.set()

    async with warm(tmp_path, alone=True) as agent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.run, turn("children"), take)
            await begun.wait()
            assert all(is_there(pid) for pid in pids)
            began = time.monotonic()
            tasks.cancel_scope.cancel()
        assert time.monotonic() - began < 20
        assert await gone(*pids, within_s=0) == []


async def test_a_host_that_kills_what_it_has_started_ends_it(tmp_path: Path) -> None:
    async with warm(tmp_path) as agent:
        pid = int((await agent.run(turn("pid"), collect())).text)
        (front,) = _children(os.getpid(), "/interpreter -IS")
        os.kill(front, signal.SIGKILL)
        assert await gone(pid, front) == []


def _children(pid: int, word: str) -> list[int]:
    """The processes of one that were started with a word."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(one)
        for one in children
        if word in Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ")
    ]


def _adapter(folder: Path, name: str, code: str) -> AdapterSpec:
    path = folder / f"{name}.py"
    path.write_text(f"{(HERE / 'unruly.py').read_text()}\n{code}\n")
    return spec_in(path)


def test_what_starts_a_thread_with_its_import_starts_cold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    code = "import threading\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    spec = _adapter(tmp_path, "threaded_adapter", code)
    place = Placement(mode="process", module="threaded_adapter")
    assert warm_launching(spec)(place, spec.kind, {}).python == sys.executable


def test_an_import_that_fails_is_told_of(tmp_path: Path) -> None:
    spec = _adapter(tmp_path, "elsewhere_adapter", "")  # not found by a worker
    with pytest.raises(EnvironmentFailed, match="the adapter 'elsewhere_adapter'"):
        warm_launching(spec)
