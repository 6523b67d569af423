"""Recorded turns: answered again, event by event, with nobody to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge import run
from massgen_bridge.testing.servers import Disconnect, HttpError, ModelServer, Text

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.testing.servers import Reply

KEY = "sk-canary-0123456789"
REPLIES: list[Reply] = [
    HttpError(status=503),
    Disconnect(after=2),
    Text("Yes.", reasoning="Hm."),
]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))


def _config(url: str, isolation: str) -> dict[str, Any]:
    model = {
        "provider": "gemini",
        "base_url": url,
        "model": "m",
        "api_key": "${CANARY_KEY}",
        "retry": {"base_s": 0.01},
        "seed": 7,
    }
    backend = {"type": "gemini", "model": "one", "isolation": isolation}
    return {
        "version": 1,
        "models": {"one": model},
        "strategy": "single",
        "agents": [{"id": "ada", "backend": backend}],
    }


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_retries_thoughts_and_usage_are_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    tape = tmp_path / "run.jsonl"
    monkeypatch.setenv("CANARY_KEY", KEY)
    told: list[Any] = []
    with ModelServer(REPLIES) as server:
        then = run(
            _config(server.base_url("gemini"), isolation),
            "Is it?",
            record=tape,
            on_record=told.append,
        )
        assert server.requests[-1].body["generationConfig"] == {"seed": 7}
    monkeypatch.delenv("CANARY_KEY")
    again: list[Any] = []
    now = run(
        _config("http://127.0.0.1:9", isolation), "Is it?", replay=tape, on_record=again.append
    )
    assert now.answer == then.answer == "Yes."
    assert now.usage == then.usage
    assert [one.event.type for one in again] == [one.event.type for one in told]
    assert KEY not in tape.read_text()
