"""In a process of its own an agent does the same, and knows no key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from massgen_bridge_ag2 import bridge_adapters

from massgen_bridge import Record, TextDelta, ToolCallFinished, arun
from massgen_bridge.testing.servers import AutoToolCall, Text

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
AGENTS = Path(__file__).with_name("ag2_agents.py")


async def run_apart(url: str, backend: dict[str, Any]) -> tuple[str | None, list[Record]]:
    """Run one agent in a process of its own, behind the gateway."""
    records: list[Record] = []
    config = {
        "version": 1,
        "models": {
            "ours": {
                "provider": "openai",
                "model": "scripted",
                "base_url": url,
                "api_key": "${OUR_API_KEY}",
            }
        },
        "strategy": {"type": "single"},
        "agents": [{"id": "agent", "backend": {"type": "ag2", "model": "ours", **backend}}],
    }
    result = await arun(config, "Go.", trust=True, keep=False, on_record=records.append)
    return result.answer, records


async def test_a_group_talks_in_a_process_of_its_own(
    model_server: StartModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_API_KEY", "the-real-key")
    server = model_server(Text("Words."))
    group = {"members": [{"name": "ann"}, {"name": "bob"}], "max_turns": 3}
    answer, records = await run_apart(
        server.base_url("chat"), {"isolation": "process", "group": group}
    )
    assert answer == "Words."
    assert {one.api_key for one in server.requests} == {"the-real-key"}
    deltas = [one.event for one in records if isinstance(one.event, TextDelta)]
    assert {delta.source for delta in deltas} == {"ann", "bob"}


async def test_a_redirected_agent_runs_apart_and_knows_no_key(
    model_server: StartModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_API_KEY", "the-real-key")
    server = model_server(AutoToolCall())
    _, records = await run_apart(
        server.base_url("chat"), {"agent": f"{AGENTS}:make_spy", "models": "gateway"}
    )
    assert {one.api_key for one in server.requests} == {"the-real-key"}
    (finished,) = [one.event for one in records if isinstance(one.event, ToolCallFinished)]
    process, _, variables = finished.result.content.partition(" ")
    assert "OUR_API_KEY" not in variables
    assert int(process) != os.getpid()
    assert "the-real-key" not in repr(records)
