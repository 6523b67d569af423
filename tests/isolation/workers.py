"""Agents in worker processes, made by hand: what the tests of workers share."""

# ruff: noqa: ASYNC110 - other processes set no event of this one

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from massgen_bridge.isolation.agent import WorkerAgent, WorkerSetup
from massgen_bridge.isolation.process import Launch
from massgen_bridge.isolation.surroundings import worker_variables
from massgen_bridge.isolation.wire import AgentParams

HERE = Path(__file__).parent


def launch(variables: Mapping[str, str]) -> Launch:
    return Launch(
        paths=(str(HERE), *sys.path),
        kind="unruly",
        variables={**worker_variables(os.environ), **variables},
    )


def worker_agent(workspace: Path, **given: Any) -> WorkerAgent:
    """An agent of tests/isolation/unruly.py; `given` is the setup's, or crosses the wire."""
    params = {
        "module": "unruly",
        "kind": "unruly",
        "agent_id": "agent",
        "options": {},
        "base_dir": str(HERE),
        "workspace": str(workspace),
    }
    for name in AgentParams.model_fields:
        if name in given:
            params[name] = given.pop(name)
    given.setdefault("launch", launch)
    return WorkerAgent(WorkerSetup(params=AgentParams.model_validate(params), **given))


@asynccontextmanager
async def unruly(workspace: Path, **given: Any) -> AsyncIterator[WorkerAgent]:
    """`worker_agent`, closed in the end."""
    agent = worker_agent(workspace, **given)
    try:
        yield agent
    finally:
        with anyio.CancelScope(shield=True):
            await agent.aclose()


def is_there(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def gone(*pids: int, within_s: float = 5.0) -> list[int]:
    """The processes that are still there after some time; none, as soon as none is."""
    with anyio.move_on_after(within_s):
        while any(is_there(pid) for pid in pids):
            await anyio.sleep(0.01)
    return [pid for pid in pids if is_there(pid)]
