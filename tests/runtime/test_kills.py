"""SIGKILL at any point: the run is resumed, repeats nothing, loses nothing, and ends the same."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from runtime.kills import Aftermath, Expected, Killer, essence, journal_of, records_of, turns_of

from massgen_bridge.events import (
    ModelCallFinished,
    ModelCallStarted,
    RunFinished,
    RunResult,
    RunResumed,
    TextDelta,
    ToolCallFinished,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DRAW = random.Random(20261122)  # noqa: S311 - the same points in every run of the tests
_RECORDS = sorted(_DRAW.sample(range(1, 95), 18))
_COMMITS = sorted(_DRAW.sample(range(1, 13), 5))
_SECONDS = sorted(round(_DRAW.uniform(0.0, 0.3), 3) for _ in range(9))
_NO_STEPS = (TextDelta, ModelCallStarted, ModelCallFinished, ToolCallFinished)
POINTS: list[dict[str, Any]] = [
    *({"record": number} for number in _RECORDS),
    *(
        {"commit": number, "when": when}
        for number in _COMMITS
        for when in ("before", "during", "after")
    ),
    *({"after_s": seconds} for seconds in _SECONDS),
]


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with Killer(tmp_path_factory.mktemp("team")) as killer:
        yield killer


@pytest.fixture(scope="module")
def expected(killer: Killer, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """What the run gives where nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    result = killer.result("run", folder)
    assert (result.winner, result.tie_broken_by) == ("cleo", "./hooks.py")
    assert result.answers[0].text == "better"
    assert [error.agent_id for error in result.errors] == ["eve"]
    assert killer.asked().count("tie") == 1
    return Expected(result=result, turns=turns_of(records_of(folder)))


def named(point: dict[str, Any]) -> str:
    return "-".join(map(str, point.values())) + ("s" if "after_s" in point else "")


def kill(killer: Killer, data: Path, point: dict[str, Any]) -> Aftermath | None:
    """The run as it was left; None where it had not begun, or was over already."""
    killer.asked()
    (said,) = killer("run", data, **point)
    killer.asked()
    before = records_of(data)
    if not before or "result" in said or isinstance(before[-1].event, RunFinished):
        return None
    return Aftermath(data=data, before=before)


def test_there_are_enough_points() -> None:
    assert len(POINTS) >= 30


@pytest.mark.parametrize("point", POINTS, ids=named)
def test_a_killed_run_goes_on_as_if_nothing_had_been(
    killer: Killer, expected: Expected, tmp_path: Path, point: dict[str, Any]
) -> None:
    left = kill(killer, tmp_path, point)
    if left is None:
        # Nothing was promised: there is no run, one that says so, or one that was done before.
        said = killer("resume", tmp_path) if journal_of(tmp_path) else [{"error": "JournalError"}]
        assert said[0]["error"] == "JournalError"
        for record in records_of(tmp_path)[-1:]:
            assert isinstance(record.event, RunFinished)
            assert essence(record.event.result) == essence(expected.result)
        return
    result = killer.result("resume", tmp_path)
    left.asked_after = killer.asked()
    left.check(result, expected)


@pytest.mark.parametrize("part", range(4))
def test_the_run_goes_on_from_whatever_the_journal_holds(
    killer: Killer, expected: Expected, tmp_path: Path, part: int
) -> None:
    """Each beginning of a whole journal is what some kill leaves behind."""
    killer.result("run", tmp_path)
    whole, path = records_of(tmp_path), journal_of(tmp_path)
    assert path is not None
    (tmp_path / "heard").unlink()
    # After the other records there is nothing else to be done.
    lengths = [i for i, one in enumerate(whole, 1) if not isinstance(one.event, _NO_STEPS)]
    for length in lengths[part:-1:4]:
        folder = tmp_path / str(length)
        (folder / "runs").mkdir(parents=True)
        copy = folder / "runs" / path.name
        shutil.copy(path, copy)
        with closing(sqlite3.connect(copy)) as file:
            file.execute("DELETE FROM records WHERE seq > ?", (whole[length - 1].seq,))
            file.commit()
        killer.asked()
        result = killer.result("resume", folder)
        left = Aftermath(data=folder, before=whole[:length], asked_after=killer.asked())
        left.check(result, expected)


@pytest.mark.parametrize("seed", range(3))
def test_a_resumed_run_can_be_killed_and_resumed_again(
    killer: Killer, expected: Expected, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - as above
    left = kill(killer, tmp_path, {"record": draw.randint(10, 40)})
    assert left is not None
    for _ in range(3):
        (said,) = killer("resume", tmp_path, record=draw.randint(1, 12))
        assert said["killed"]
        left.before = records_of(tmp_path)
    result = killer.result("resume", tmp_path)
    left.check(result, expected)
    resumed = [one for one in records_of(tmp_path) if isinstance(one.event, RunResumed)]
    assert 1 <= len(resumed) <= 4


@pytest.mark.parametrize("seed", range(4))
def test_a_torn_end_of_the_file_costs_only_what_was_torn(
    killer: Killer, expected: Expected, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - as above
    assert kill(killer, tmp_path, {"record": 70}) is not None
    path = journal_of(tmp_path)
    assert path is not None
    wal = path.with_name(path.name + "-wal")
    data = bytearray(wal.read_bytes())
    torn = len(data) - draw.randint(1, len(data) // 4)
    wal.write_bytes(data[:torn] if seed % 2 else data[:torn] + b"\xa5" * (len(data) - torn))
    killer.asked()
    left = Aftermath(data=tmp_path, before=records_of(tmp_path))
    (tmp_path / "heard").unlink()
    result = killer.result("resume", tmp_path)
    left.check(result, expected)


@pytest.mark.parametrize("size", [50_000, 66_000, 82_000, 110_000])
def test_after_a_full_disk_the_run_goes_on(
    killer: Killer, expected: Expected, tmp_path: Path, size: int
) -> None:
    (said,) = killer("run", tmp_path, bytes=size)
    assert said["error"] == "JournalError"
    assert "cannot be written" in said["message"]
    left = Aftermath(data=tmp_path, before=records_of(tmp_path))
    assert left.before
    killer.asked()
    result = killer.result("resume", tmp_path)
    left.asked_after = killer.asked()
    left.check(result, expected)


def test_of_many_that_resume_at_once_one_does(
    killer: Killer, expected: Expected, tmp_path: Path
) -> None:
    left = kill(killer, tmp_path, {"record": 30})
    assert left is not None
    said = killer("resume", tmp_path, times=4)
    done = [RunResult.model_validate(one["result"]) for one in said if "result" in one]
    refused = [one["message"] for one in said if "error" in one]
    assert len(done) == 1
    assert len(refused) == 3
    assert all("is running: process" in one or "has ended" in one for one in refused)
    left.check(done[0], expected)


def test_a_run_of_an_older_version_goes_on_where_its_configuration_is_named(
    killer: Killer, expected: Expected, tmp_path: Path
) -> None:
    left = kill(killer, tmp_path, {"record": 60})
    path = journal_of(tmp_path)
    assert left is not None
    assert path is not None
    with closing(sqlite3.connect(path)) as file:
        file.execute("DELETE FROM about WHERE name = 'setup'")
        file.execute(
            "UPDATE records SET body = json_remove(body, '$.event.mark', '$.event.attempt')"
        )
        file.commit()
    (said,) = killer("resume", tmp_path)
    assert (said["error"], "--config FILE" in said["message"]) == ("ConfigError", True)
    result = killer.result("resume", tmp_path, config=str(killer.config))
    assert essence(result) == essence(expected.result)
