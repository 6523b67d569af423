"""Runs whose agents reach their models from processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import massgen_bridge
from massgen_bridge import ModelCallFinished, ModelCallStarted, Record, TextDelta, TurnFailed
from massgen_bridge.testing.servers import HttpError, ModelServer, Reply, Text

pytestmark = pytest.mark.anyio

KEY = "sk-canary-92ab71"


async def _run(
    server: ModelServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[massgen_bridge.RunResult, list[Record]]:
    monkeypatch.setenv("TEAM_KEY", KEY)
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(folder))
    records: list[Record] = []
    config = {
        "version": 1,
        "strategy": "single",
        "models": {
            "ours": {
                "provider": "openai",
                "model": "any",
                "base_url": server.base_url("chat"),
                "api_key": "${TEAM_KEY}",
                "retry": {"attempts": 2, "base_s": 0.01},
            }
        },
        "agents": [
            {"id": "a", "backend": {"type": "openai", "model": "ours", "isolation": "process"}}
        ],
    }
    result = await massgen_bridge.arun(config, "Which?", on_record=records.append)
    return result, records


async def test_the_key_stays_with_the_host_and_each_call_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer(Text("So it is.")) as server:
        result, records = await _run(server, tmp_path, monkeypatch)
        (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert (result.answer, result.calls) == ("So it is.", 1)
    assert result.usage.calls == 1
    told = [type(record.event) for record in records]
    assert (told.count(ModelCallStarted), told.count(ModelCallFinished)) == (1, 1)
    assert told.index(ModelCallStarted) < told.index(TextDelta)


@pytest.mark.parametrize(("replies", "calls"), [([HttpError(status=503), Text("So.")], 2)])
async def test_a_failed_call_is_made_again_by_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replies: list[Reply], calls: int
) -> None:
    with ModelServer(replies) as server:
        result, records = await _run(server, tmp_path, monkeypatch)
        assert server.calls == calls
    assert result.answer == "So."
    assert not [record for record in records if isinstance(record.event, TurnFailed)]


async def test_what_a_provider_refuses_fails_the_turn_with_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer(default=HttpError(status=401)) as server:
        _, records = await _run(server, tmp_path, monkeypatch)
    failed = [record.event for record in records if isinstance(record.event, TurnFailed)]
    assert [one.kind for one in failed] == ["auth"]
    assert KEY not in failed[0].message
