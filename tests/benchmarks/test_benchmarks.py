"""Every benchmark runs, in a tiny form: what it measures then says nothing and is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.bench_core_size import contents
from benchmarks.measuring import figure
from benchmarks.run import BENCHMARKS, ELSEWHERE, render

COMMAND = (sys.executable, str(Path(__file__).with_name("run.py")))
# What an empty environment needs may have to be fetched.
LOCAL = sorted(set(BENCHMARKS) - {"core_size"} - ELSEWHERE.keys())


@pytest.mark.timeout(180)  # many processes on a machine that does other work
@pytest.mark.parametrize("name", LOCAL)
def test_a_benchmark_gives_its_figures(name: str) -> None:
    arguments = ("--json", "--small", "--pairs", "1", "--only", name)
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)

    assert done.returncode in {0, 1}, done.stderr
    figures = json.loads(done.stdout)
    assert figures
    for one in figures:
        assert one["name"]
        assert one["what"]
        assert one["goal"] >= 0
        assert one["min"] <= one["median"] <= one["max"]
        assert one["pairs"]


def test_every_benchmark_is_run() -> None:
    files = Path(__file__).parent.glob("bench_*.py")

    assert {file.stem.removeprefix("bench_") for file in files} == set(BENCHMARKS)


@pytest.mark.parametrize(
    ("sense", "goal", "passed"),
    [
        ("at most", 2.0, True),
        ("at most", 1.9, False),
        ("at least", 2.0, True),
        ("at least", 2.1, False),
        ("exactly", 2.0, False),
    ],
)
def test_the_median_decides_and_a_count_must_always_hold(
    sense: str, goal: float, *, passed: bool
) -> None:
    made = figure("name", "what", [3.0, 2.0, 1.0], goal=goal, sense=sense)  # type: ignore[arg-type]  # from the table above

    assert (made["min"], made["median"], made["max"]) == (1.0, 2.0, 3.0)
    assert made["passed"] is passed


def test_a_missed_goal_is_told_in_every_form() -> None:
    missed = dict(figure("name", "two / one", [2.0], goal=1.5))

    assert json.loads(render([missed], "json")) == [missed]
    assert "| two / one | 2 | 2 - 2 | at most 1.5 | MISSED |" in render([missed], "markdown")
    assert "two / one  2       2 - 2      at most 1.5  MISSED" in render([missed]).splitlines()


def test_the_contents_of_an_environment_are_counted(tmp_path: Path) -> None:
    for name, size in (("one/a.py", 1000), ("one/a.pyc", 50), ("one-1.dist-info/METADATA", 10)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(size))

    assert contents(tmp_path) == (1, 1010, {"one": 0.0, "one-1.dist-info": 0.0})
