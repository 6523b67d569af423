"""What an agent's own process gets of the environment, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import massgen_bridge
from massgen_bridge.api import prepare

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CANARY = "canary-0123456789-abcdefgh"
FUNCTION = """\
import os

def answer(task):
    return f"{os.environ.get('MY_SERVICE_KEY')} {os.environ.get('OTHER_KEY')}"
"""


def test_a_key_that_an_agent_is_given_by_name_stays_out_of_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MY_SERVICE_KEY", CANARY)
    monkeypatch.setenv("OTHER_KEY", "of-nobody")
    (tmp_path / "mine.py").write_text(FUNCTION)
    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\nstrategy: single\nagents:\n  - id: ada\n    backend:\n      type: python\n"
        "      function: mine.py:answer\n      isolation: process\n      env: [MY_SERVICE_KEY]\n"
    )
    result = massgen_bridge.run(file, "What is the key?", trust=True)
    assert result.answer == f"{CANARY} None"
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        assert CANARY.encode() not in path.read_bytes(), path


def test_only_those_with_the_names_of_secrets_are_taken_out_of_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_SERVICE_KEY", CANARY)
    monkeypatch.setenv("MY_CITY", "a city with a long name")
    backend = {"type": "scripted", "isolation": "process", "env": ["MY_SERVICE_KEY", "MY_CITY"]}
    prepared = prepare({"version": 1, "agents": [{"id": "ada", "backend": backend}]})
    assert prepared.pool.secrets() == {CANARY}
