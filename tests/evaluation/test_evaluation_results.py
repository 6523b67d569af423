"""The file of an evaluation's results: durable, mended after a crash, held by one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest

from massgen_bridge.errors import ConfigError, JournalError
from massgen_bridge.evaluation import Begun, Cell, Graded, Opening, Results
from massgen_bridge.runtime.owner import Owner

OPENING = Opening(
    evaluation_id="20261122-1",
    bridge_version="0",
    config_file="team.yaml",
    config_digest="c",
    dataset="q.jsonl",
    dataset_digest="d",
)
BEGUN = Begun(question="q", repeat=1, agent=None, run_id="r")
GRADED = Graded(
    question="q",
    repeat=1,
    agent=None,
    run_id="r",
    status="answered",
    answer="4",
    correct=True,
    calls=1,
    input_tokens=2,
    output_tokens=3,
    cost_usd=None,
    unpriced_calls=1,
    duration_s=0.5,
)
CELL = Cell("q", 1, None)


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with Results(path, OPENING) as results:
        results.append(BEGUN)
        results.append(GRADED)
    again = OPENING.model_copy(update={"evaluation_id": "another"})
    with Results(path, again) as results:
        assert results.opening == OPENING
        assert results.begun == {CELL: "r"}
        assert results.graded == {CELL: GRADED}
    assert path.stat().st_mode & 0o077 == 0
    assert [one.name for one in tmp_path.iterdir()] == ["results.jsonl"]


def test_a_torn_last_line_never_was(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with Results(path, OPENING) as results:
        results.append(BEGUN)
        whole = path.stat().st_size
        results.append(GRADED)
    content = path.read_bytes()
    for end in range(whole, len(content)):
        path.write_bytes(content[:end])
        with Results(path, OPENING) as results:
            assert results.graded == {}
            assert results.begun == {CELL: "r"}
            results.append(GRADED)
        assert path.read_bytes() == content


def test_a_torn_first_line_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with Results(path, OPENING):
        pass
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with Results(path, OPENING):
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", ["my notes", "my notes\n", '{"type": "graded"}\n'])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(content)
    with pytest.raises(ConfigError, match="evaluation's results"), Results(path, OPENING):
        pass
    assert path.read_text() == content


@pytest.mark.parametrize("changed", ["config_digest", "dataset_digest"])
def test_results_of_another_configuration_or_other_questions_are_refused(
    tmp_path: Path, changed: str
) -> None:
    path = tmp_path / "results.jsonl"
    with Results(path, OPENING):
        pass
    other = OPENING.model_copy(update={changed: "other"})
    with pytest.raises(ConfigError, match="older state"), Results(path, other):
        pass


def test_two_processes_cannot_write_to_the_same_results(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with (
        Results(path, OPENING),
        pytest.raises(JournalError, match="another evaluation"),
        Results(path, OPENING),
    ):
        pass


def test_the_lock_of_a_process_that_is_gone_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    gone = Owner.this_process().model_copy(update={"born": "long ago"})
    path.with_name("results.jsonl.lock").write_text(gone.model_dump_json())
    with Results(path, OPENING) as results:
        results.append(BEGUN)


@pytest.mark.parametrize("left_behind", [False, True])
def test_of_many_that_begin_at_once_one_writes(tmp_path: Path, *, left_behind: bool) -> None:
    path = tmp_path / "results.jsonl"
    if left_behind:
        path.with_name("results.jsonl.lock").write_text("torn")
    together = Barrier(8)

    def begin() -> Results | None:
        together.wait()
        with suppress(JournalError):
            return Results(path, OPENING).__enter__()
        return None

    with ThreadPoolExecutor(8) as threads:
        begun = [job.result() for job in [threads.submit(begin) for _ in range(8)]]
    (only,) = [results for results in begun if results is not None]
    only.__exit__(None, None, None)
    with Results(path, OPENING):
        pass


def test_results_that_cannot_be_written_are_told() -> None:
    path = Path("/dev/full/results.jsonl")
    with pytest.raises(JournalError, match="cannot be written"), Results(path, OPENING):
        pass
