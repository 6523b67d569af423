"""`massgen-bridge runs`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA
from runtime.records import RUN_ID, run_result, run_started

from massgen_bridge.events import Cost
from massgen_bridge.runtime.index import RunIndex

if TYPE_CHECKING:
    from cli.conftest import Commands, Shell


def new_run(commands: Commands, question: str) -> str:
    """The id of a new run."""
    arguments = ("--output", "json", "--display", "none")
    done = commands("run", DATA / "two.yaml", question, *arguments)
    return str(json.loads(done.stdout)["run_id"])


def listed(commands: Commands) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(commands("runs", "list", "--json").stdout)
    return found


def test_runs_are_listed_the_newest_first(commands: Commands) -> None:
    first, second = new_run(commands, "First?"), new_run(commands, "Second?")
    done = commands("runs", "list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ID", second, first]
    newest = json.loads(commands("runs", "list", "--json", "--limit", "1").stdout)
    assert [row["run_id"] for row in newest] == [second]


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        (Cost(usd=0.0123), "$0.01"),
        (Cost(usd=0.0), "free"),
        (Cost(unpriced_calls=2, unpriced=("house-model",)), "unknown"),
        (Cost(usd=0.0, unpriced_calls=1, unpriced=("house-model",)), "unknown"),
        (Cost(usd=1.5, unpriced_calls=1, unpriced=("house-model",)), "at least $1.50"),
        (None, "-"),
    ],
)
def test_the_list_says_what_a_run_cost(
    commands: Commands, shell: Shell, cost: Cost | None, shown: str
) -> None:
    index = RunIndex(shell.home / "data")
    index.start(RUN_ID, run_started())
    if cost is not None:
        index.finish(RUN_ID, run_result().model_copy(update={"cost": cost}))
    head, line = commands("runs", "list").stdout.splitlines()
    assert line[head.index("COST") : head.index("TIME")].strip() == shown
    (row,) = listed(commands)
    assert row["cost"] == (None if cost is None else json.loads(cost.model_dump_json()))


def test_without_runs_the_list_is_empty(commands: Commands) -> None:
    done = commands("runs", "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "There are no runs.\n")
    assert listed(commands) == []


def test_a_run_is_shown_by_the_beginning_of_its_id(commands: Commands) -> None:
    run_id = new_run(commands, "Capital?")
    shown = commands("runs", "show", run_id[:-4]).stdout
    assert "Question: Capital?" in shown
    assert "Paris is the capital." in shown


def test_the_last_run_needs_no_id(commands: Commands) -> None:
    new_run(commands, "First?")
    new_run(commands, "Second?")
    assert "Question: Second?" in commands("runs", "show", "last").stdout
    assert "Second?" in commands("runs", "export", "last").stdout
    replayed = commands("runs", "replay", "last", "--no-wait", "--display", "plain")
    assert "Second?" in replayed.stderr
    assert "has ended (answered)" in commands("runs", "resume", "last").stderr


def test_a_run_is_shown_as_the_object_that_it_printed(commands: Commands) -> None:
    arguments = ("--output", "json", "--display", "none")
    printed = commands("run", DATA / "two.yaml", "q", *arguments).stdout
    run_id = json.loads(printed)["run_id"]
    assert commands("runs", "show", run_id, "--output", "json").stdout == printed


def test_a_run_is_shown_as_its_records(commands: Commands) -> None:
    run_id = new_run(commands, "Capital?")
    shown = commands("runs", "show", run_id, "--output", "jsonl").stdout
    records = [json.loads(line) for line in shown.splitlines()]
    assert {record["run_id"] for record in records} == {run_id}
    assert records[-1]["event"]["type"] == "run_finished"


def test_an_id_that_is_none_is_an_error(commands: Commands) -> None:
    done = commands("runs", "show", "2000")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: no run's id begins with '2000'")


def test_a_question_cannot_act_on_the_terminal(commands: Commands) -> None:
    new_run(commands, "Clear\x1b[2J the\x1b]0;title\x07 screen?")
    assert "\x1b" not in commands("runs", "list").stdout


def test_pruning_keeps_the_newest(commands: Commands) -> None:
    first, second = new_run(commands, "First?"), new_run(commands, "Second?")
    done = commands("runs", "prune", "--keep", "1", "--dry-run")
    assert done.stderr == "1 run would be deleted.\n"
    assert first in done.stdout
    assert len(listed(commands)) == 2
    assert commands("runs", "prune", "--keep", "1", "--yes").stderr == "1 run deleted.\n"
    assert [row["run_id"] for row in listed(commands)] == [second]


@pytest.mark.parametrize(
    ("typed", "said", "left"),
    [("n\n", "Nothing was deleted.\n", 1), ("y\n", "1 run deleted.\n", 0), ("", "Aborted.\n", 1)],
)
def test_pruning_asks_first(
    commands: Commands, shell: Shell, *, typed: str, said: str, left: int
) -> None:
    new_run(commands, "First?")
    done = shell("runs", "prune", "--keep", "0", stdin=typed)
    assert "Delete 1 run?" in done.stderr
    assert done.stderr.endswith(said)
    assert len(listed(commands)) == left


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say which runs to delete"),
        (("--older-than", "3 years"), "expected a number with s, m, h, d or w"),
        (("--older-than", "999999999999w"), "too long ago"),
    ],
)
def test_pruning_needs_a_bound_that_it_understands(
    commands: Commands, arguments: tuple[str, ...], said: str
) -> None:
    done = commands("runs", "prune", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(("age", "left"), [("1h", 1), ("0s", 0), ("0.5 d", 1)])
def test_pruning_by_age(commands: Commands, age: str, left: int) -> None:
    new_run(commands, "First?")
    commands("runs", "prune", "--older-than", age, "--yes")
    assert len(listed(commands)) == left
