"""Configurations with teams in them, and runs of those: what the tests of inner runs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

import massgen_bridge
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run

if TYPE_CHECKING:
    from massgen_bridge import RunResult
    from massgen_bridge.events import Record


def scripted(agent_id: str, **script: Any) -> dict[str, Any]:
    """A scripted agent; `ballot`, `roles`, `weight`, `system_message` are no options of it."""
    own = {"ballot", "roles", "weight", "system_message"}
    given = {name: script.pop(name) for name in own & script.keys()}
    backend = {"type": "scripted", "answers": [f"of {agent_id}"], **script}
    return {"id": agent_id, **given, "backend": backend}


def team(agent_id: str, *members: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"id": agent_id, "backend": {"type": "team", "agents": [*members], **keys}}


def config(*agents: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"version": 1, "agents": [*agents], **keys}


async def play(given: Any, question: Any = "Which?", **how: Any) -> tuple[RunResult, list[Record]]:
    records: list[Record] = []
    result = await massgen_bridge.arun(given, question, on_record=records.append, **how)
    return result, records


def of(records: list[Record], *kinds: Any) -> list[Any]:
    return [record.event for record in records if isinstance(record.event, kinds)]


async def kept(run_id: str) -> list[Record]:
    return await anyio.to_thread.run_sync(lambda: list(read_run(RunIndex().path(run_id))))


TWO_TEAMS = config(
    team("reds", scripted("r1", votes=["agent1"]), scripted("r2", votes=["agent1"])),
    scripted("solo", votes=["agent1"]),
    team(
        "blues",
        scripted("b1", answers=["draft"], votes=["agent1"]),
        scripted("b2", answers=["from a draft"], votes=["agent1"]),
        strategy="sequential",
    ),
)
