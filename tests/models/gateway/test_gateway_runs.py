"""Whole runs whose agents are in processes of their own, and reach their models by the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from runtime.tapes import KEY, QUESTION, calls_of, gist, one_by_one, recorded, replayed, team

from massgen_bridge import run
from massgen_bridge.events import ModelCallFinished, ModelCallStarted, ModelRetried
from massgen_bridge.testing.servers import Disconnect, HttpError, ModelServer, Text

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.events import Record
    from massgen_bridge.testing.servers import Reply

ALONE: dict[str, Any] = {"strategy": {"type": "single"}}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CANARY_KEY", KEY)


def _apart(kind: str = "openai") -> dict[str, Any]:
    backend = {"type": kind, "model": "one", "isolation": "process"}
    return {"id": "ada", "system_message": "ada", "backend": backend}


def test_a_run_through_the_gateway_is_recorded_and_replayed_without_a_server_or_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = tmp_path / "run.jsonl"
    replies: list[Reply] = [HttpError(status=429, retry_after=1), Disconnect(), Text("At last.")]
    then, told = recorded(tape, one_by_one(*replies), _apart(), **ALONE)
    assert then.answer == "At last."
    assert [one["turn"] for one in calls_of(tape)] == ["ada.1"] * 3
    assert KEY not in tape.read_text(encoding="utf-8")
    monkeypatch.delenv("CANARY_KEY")
    now, again = replayed(tape, _apart(), **ALONE)
    assert gist(now) == gist(then)
    assert _calls(again) == _calls(told)
    assert [kind for kind, *_ in _calls(told)] == [
        "model_call_started",
        "model_retried",
        "model_call_started",
        "model_retried",
        "model_call_started",
        "model_call_finished",
    ]


def _calls(records: list[Record]) -> list[tuple[Any, ...]]:
    return [
        (event.type, getattr(event, "usage", None), getattr(event, "kind", None))
        for event in (one.event for one in records)
        if isinstance(event, ModelCallStarted | ModelRetried | ModelCallFinished)
    ]


def test_an_agent_that_speaks_messages_gets_the_answer_and_no_key() -> None:
    seen: list[Record] = []
    with ModelServer(Text("Tea."), api_key=KEY) as server:
        model = {"provider": "anthropic", "base_url": server.base_url("messages")}
        config = {**team(server.url, _apart("anthropic"), model=model), **ALONE}
        result = run(config, QUESTION, on_record=seen.append, keep=False)
    assert result.answer == "Tea."
    assert [kind for kind, *_ in _calls(seen)] == ["model_call_started", "model_call_finished"]
    assert KEY not in "".join(record.model_dump_json() for record in seen)


def test_a_budget_holds_for_agents_of_any_process() -> None:
    with ModelServer(Text("Tea.")) as server:
        lin = {**_apart(), "id": "lin"}
        config = {**team(server.url, _apart(), lin), "budget": {"model_calls": 1}}
        result = run(config, QUESTION, keep=False)
        assert server.calls == 1
    assert result.budget == "model_calls"
