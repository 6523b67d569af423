"""The sink in a run. No model is needed: the agents follow a script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from massgen_bridge import Record, run

EXAMPLE = Path(__file__).parents[1] / "example.yaml"


def test_every_record_becomes_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the example's path is relative to it
    records: list[Record] = []
    result = run(EXAMPLE, "Why learn Python?", keep=False, on_record=records.append)
    assert result.status == "answered"
    lines = [json.loads(line) for line in Path("records.jsonl").read_text().splitlines()]
    assert [line["event"]["type"] for line in lines] == [one.event.type for one in records]
    assert lines[-1]["event"]["type"] == "run_finished"


def test_another_run_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = {run(EXAMPLE, "Why?", keep=False).run_id for _ in range(2)}
    lines = Path("records.jsonl").read_text().splitlines()
    assert {json.loads(line)["run_id"] for line in lines} == runs
