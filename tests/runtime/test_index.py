"""The index of runs: many processes, private files, and never more than a list of what is there."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import pytest
from runtime.records import RUN_ID, answered, record, run_result, run_started

from massgen_bridge.errors import JournalError
from massgen_bridge.events import Cost, RunFinished
from massgen_bridge.runtime.index import RunIndex, data_path, new_run_id
from massgen_bridge.runtime.journal import Journal
from massgen_bridge.runtime.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_bridge.runtime.index import RunRow

DAY = 86400.0
# The tests' own modules, for the processes that they start.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


@pytest.fixture
def index(tmp_path: Path) -> RunIndex:
    return RunIndex(tmp_path)


def _run(index: RunIndex, run_id: str, *, days_ago: float = 0.0, finished: bool = True) -> RunRow:
    """A run with its file, as a runner would leave it."""
    at = time.time() - days_ago * DAY
    started = run_started()
    with closing(Journal.create(index.start(run_id, started, at=at), run_id)) as journal:
        first = record(1, started, turn_id=None, agent_id=None)
        journal.append([first.model_copy(update={"at": at, "run_id": run_id}), answered(2)])
        if finished:
            journal.append([record(3, RunFinished(result=run_result()))])
    if finished:
        index.finish(run_id, run_result())
    return index.find(run_id)


def _orphan(index: RunIndex, run_id: str, *, days_ago: float = 0.0) -> None:
    """A run of a process that was killed."""
    code = (
        "import os, signal, sys\nimport anyio\n"
        "from massgen_bridge.runtime.index import RunIndex\n"
        "from massgen_bridge.runtime.journal import Journal\n"
        "from runtime.records import record, run_started\n"
        "base, run_id, at = sys.argv[1:]\n"
        "path = RunIndex(base).start(run_id, run_started(), at=float(at))\n"
        "journal = Journal.create(path, run_id)\n"
        "first = record(1, run_started()).model_copy(update={'at': float(at)})\n"
        "anyio.run(journal.commit, [first])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    at = str(time.time() - days_ago * DAY)
    done = subprocess.run(
        [sys.executable, "-c", code, str(index.folder.parent), run_id, at],
        env=ENVIRONMENT,
        check=False,
        timeout=30,
    )
    assert done.returncode == -9


def _ids(rows: tuple[RunRow, ...]) -> list[str]:
    return [row.run_id for row in rows]


def test_a_run_that_goes_on_is_running(index: RunIndex) -> None:
    path = index.start(RUN_ID, run_started(), at=1000.0)

    (row,) = index.list()
    assert path == index.folder / f"{RUN_ID}.sqlite"
    assert (row.run_id, row.started_at, row.status) == (RUN_ID, 1000.0, "running")
    assert (row.question, row.strategy, row.agents) == ("What is it?", "consensus", 2)
    assert row.config_file == "team.yaml"
    assert row.owner == Owner.this_process()


def test_a_run_that_ended_says_how(index: RunIndex) -> None:
    index.start(RUN_ID, run_started())

    index.finish(RUN_ID, run_result())

    row = index.find(RUN_ID)
    assert (row.status, row.winner, row.calls) == ("answered", "alice", 4)
    assert (row.tokens, row.duration_s, row.cost) == (120, 12.5, Cost())
    assert row.question == "What is it?"


def test_a_run_whose_process_is_gone_is_interrupted(index: RunIndex) -> None:
    _orphan(index, RUN_ID)

    assert index.find(RUN_ID).status == "interrupted"


def test_only_the_first_200_characters_of_a_question_are_kept(index: RunIndex) -> None:
    index.start(RUN_ID, run_started("ä" * 1000))

    assert index.find(RUN_ID).question == "ä" * 200


def test_no_secret_enters_the_index(index: RunIndex) -> None:
    secret = "sk-proj-A1b2C3d4"  # noqa: S105 - a canary

    index.start(RUN_ID, run_started("a" * 195 + secret), secrets=[secret])

    files = b"".join(path.read_bytes() for path in index.folder.iterdir())
    assert b"sk-pr" not in files
    assert index.find(RUN_ID).question == "a" * 195 + "[secr"


def test_the_newest_runs_come_first(index: RunIndex) -> None:
    for number, age in enumerate([3, 1, 2]):
        _run(index, f"run-{number}", days_ago=age)

    assert _ids(index.list()) == ["run-1", "run-2", "run-0"]
    assert _ids(index.list(2)) == ["run-1", "run-2"]


def test_where_no_run_was_there_is_none_and_nothing_is_made(tmp_path: Path) -> None:
    assert RunIndex(tmp_path / "data").list() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_found_by_the_beginning_of_its_id(index: RunIndex) -> None:
    index.start("20261122-163501-aaaa", run_started())
    index.start("20261122-163501-bbbb", run_started())
    index.start("20261123", run_started())
    index.start("20261123-1", run_started())

    assert index.find("20261122-163501-a").run_id == "20261122-163501-aaaa"
    assert index.find("20261123").run_id == "20261123"


def test_the_newest_run_is_found_as_the_last_one(index: RunIndex) -> None:
    with pytest.raises(JournalError, match="there is no last run: there are no runs in"):
        index.find("last")
    for number, age in enumerate([3, 1, 2]):
        _run(index, f"run-{number}", days_ago=age)

    assert index.find("last").run_id == "run-1"


def test_an_id_that_fits_several_runs_names_them(index: RunIndex) -> None:
    for number in range(7):
        index.start(f"x-{number}", run_started())

    with pytest.raises(
        JournalError, match=r"7 runs' ids begin with 'x-': x-6, x-5, .*x-2, …; give more of it"
    ):
        index.find("x-")


@pytest.mark.parametrize("prefix", ["y", "", "%", "x-00", "_"])
def test_an_id_that_fits_no_run_says_where_to_look(index: RunIndex, prefix: str) -> None:
    index.start("x-0", run_started())

    with pytest.raises(JournalError, match=f"no run's id begins with {prefix!r}; `massgen"):
        index.find(prefix)


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", "a b", "index", ".x", "x" * 101, "a\n"])
def test_what_is_no_run_id_is_refused(index: RunIndex, run_id: str) -> None:
    with pytest.raises(JournalError, match=f"{re.escape(repr(run_id))} is no run id"):
        index.path(run_id)


def test_all_files_are_for_their_user_alone(index: RunIndex) -> None:
    _run(index, RUN_ID)

    assert index.folder.stat().st_mode & 0o777 == 0o700
    files = list(index.folder.iterdir())
    assert {path.name for path in files} == {"index.sqlite", f"{RUN_ID}.sqlite"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_old_runs_are_deleted(index: RunIndex) -> None:
    for number, age in enumerate([1, 5, 9]):
        _run(index, f"run-{number}", days_ago=age)

    gone = index.prune(older_than=timedelta(days=4))

    assert _ids(gone) == ["run-1", "run-2"]
    assert _ids(index.list()) == ["run-0"]
    assert {path.name for path in index.folder.iterdir()} == {"index.sqlite", "run-0.sqlite"}


def test_all_but_the_newest_runs_are_deleted(index: RunIndex) -> None:
    for number in range(4):
        _run(index, f"run-{number}", days_ago=10 - number)

    assert _ids(index.prune(keep=2)) == ["run-1", "run-0"]
    assert _ids(index.list()) == ["run-3", "run-2"]


def test_the_newest_are_kept_however_old(index: RunIndex) -> None:
    for number in range(4):
        _run(index, f"run-{number}", days_ago=10 - number)

    assert _ids(index.prune(older_than=timedelta(days=8.5), keep=3)) == ["run-0"]


def test_a_dry_run_only_says_what_it_would_delete(index: RunIndex) -> None:
    _run(index, RUN_ID)

    assert _ids(index.prune(keep=0, dry_run=True)) == [RUN_ID]
    assert _ids(index.list()) == [RUN_ID]
    assert index.path(RUN_ID).exists()


def test_a_running_run_is_never_deleted_an_interrupted_one_wholly(index: RunIndex) -> None:
    _run(index, "running", finished=False)
    _orphan(index, "killed", days_ago=1)
    assert index.folder.joinpath("killed.sqlite-wal").exists()

    assert _ids(index.prune(keep=0)) == ["killed"]
    assert _ids(index.list()) == ["running"]
    assert {path.name for path in index.folder.iterdir()} == {"index.sqlite", "running.sqlite"}


def test_deleting_without_a_measure_is_refused(index: RunIndex) -> None:
    _run(index, RUN_ID)

    with pytest.raises(JournalError, match="say which runs to delete"):
        index.prune()
    assert index.path(RUN_ID).exists()


def _spoil_nothing(path: Path) -> None:
    path.unlink()


def _spoil_text(path: Path) -> None:
    path.write_text("This is no database. " * 500)


def _spoil_pages(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:1000] + b"\x55" * (len(content) - 1000))


def _spoil_a_row(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET body = '{}'")


def _spoil_tables(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil", [_spoil_nothing, _spoil_text, _spoil_pages, _spoil_a_row, _spoil_tables]
)
def test_an_index_that_is_lost_or_damaged_is_made_again(
    index: RunIndex, spoil: Callable[[Path], None]
) -> None:
    ended = _run(index, "ended", days_ago=1)
    running = _run(index, "running", finished=False)
    _orphan(index, "killed", days_ago=2)
    killed = index.find("killed")
    index.folder.joinpath("no-run.sqlite").write_text("something else")

    spoil(index.folder / "index.sqlite")

    assert _ids(index.list()) == ["running", "ended", "killed"]
    assert index.list() == (running, ended, killed)
    assert index.folder.joinpath("index.sqlite").stat().st_mode & 0o777 == 0o600
    assert not list(index.folder.glob(".index*"))


def test_a_run_whose_row_was_lost_is_entered_when_it_ends(index: RunIndex) -> None:
    _run(index, RUN_ID, finished=False)
    with closing(sqlite3.connect(index.folder / "index.sqlite")) as connection, connection:
        connection.execute("DELETE FROM runs")

    index.finish(RUN_ID, run_result())

    row = index.find(RUN_ID)
    assert (row.status, row.question, row.agents) == ("answered", "What is it?", 2)


def test_a_run_that_nobody_knows_cannot_end(index: RunIndex) -> None:
    with pytest.raises(JournalError, match="there is no run"):
        index.finish(RUN_ID, run_result())


def test_an_index_of_a_newer_version_is_left_alone(index: RunIndex) -> None:
    _run(index, RUN_ID)
    with closing(sqlite3.connect(index.folder / "index.sqlite")) as connection, connection:
        connection.execute("PRAGMA user_version = 2")

    with pytest.raises(JournalError, match="a newer massgen-bridge wrote the index"):
        index.list()


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    tmp_path.joinpath("file").touch()

    with pytest.raises(JournalError, match=r"the index of runs .* cannot be used"):
        RunIndex(tmp_path / "file").start(RUN_ID, run_started())


ENTER_MANY = """
import sys
from massgen_bridge.runtime.index import RunIndex
from runtime.records import run_result, run_started

base, name = sys.argv[1:]
index = RunIndex(base)
for number in range(25):
    index.start(f"{name}-{number}", run_started())
    index.finish(f"{name}-{number}", run_result())
"""


def test_many_processes_use_it_at_once(index: RunIndex) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ENTER_MANY, str(index.folder.parent), name],
            env=ENVIRONMENT,
        )
        for name in "abcd"
    ]

    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    rows = index.list()
    assert len(rows) == 100
    assert {row.status for row in rows} == {"answered"}


def test_data_go_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))
    assert data_path() == tmp_path
    assert RunIndex().folder == tmp_path / "runs"

    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", "")
    assert data_path() == platformdirs.user_data_path("massgen-bridge", appauthor=False)

    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", "~/data")
    assert data_path().parts[-1] == "data"
    assert data_path().is_absolute()


def test_run_ids_sort_by_time_and_do_not_repeat() -> None:
    before = time.time()
    made = [new_run_id() for _ in range(1000)]

    assert made == sorted(made)
    assert len(set(made)) == 1000
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", run_id) for run_id in made)
    assert made[0] >= time.strftime("%Y%m%d-%H%M%S-", time.gmtime(before))
    assert made[-1] <= time.strftime("%Y%m%d-%H%M%S-~", time.gmtime(time.time() + 1))
