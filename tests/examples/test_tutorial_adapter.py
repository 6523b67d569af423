"""The adapter of the tutorial: short, and held to the suite that every adapter passes.

`nox -s templates` installs it with pip; here it is used from its folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from massgen_bridge import run

FOLDER = Path(__file__).parents[2] / "examples" / "tutorial_adapter"
# What its author writes: package, test and configuration, empty lines included.
MOST_LINES = 60


def test_its_author_writes_few_lines() -> None:
    written = [path for path in FOLDER.iterdir() if path.is_file()]
    lines = {path.name: len(path.read_text().splitlines()) for path in written}
    assert {Path(name).suffix for name in lines} == {".py", ".toml", ".yaml"}
    assert len(lines) == 4
    assert sum(lines.values()) <= MOST_LINES, lines


def test_it_passes_the_suite() -> None:
    options = ("-p", "no:cacheprovider", "-p", "massgen_bridge.testing.guards", "-W", "error")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, FOLDER],
        env={**os.environ, "PYTHONPATH": str(FOLDER), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 12 * 3?", "12 * 3 = 36"),
        ("7-10", "7-10 = -3"),
        ("Why learn Python?", "There is no sum in the question."),
    ],
)
def test_it_answers(question: str, answer: str) -> None:
    plugin = str(FOLDER / "massgen_bridge_calculator.py")
    agents = [{"id": "abacus", "backend": {"type": "calculator"}}]
    team = {"version": 1, "plugins": [plugin], "agents": agents, "strategy": "single"}
    assert run(team, question, keep=False).answer == answer
