"""The file of a run: private, readable in later versions, honest about what it cannot read."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from runtime.records import RUN_ID, answered, one_of_each, record

from massgen_bridge import __version__
from massgen_bridge.errors import JournalError
from massgen_bridge.events import ToolCallStarted
from massgen_bridge.messages import ToolCall
from massgen_bridge.runtime.journal_file import (
    JournalHeader,
    close_file,
    create_file,
    insert_rows,
    open_file,
    read_ends,
    read_header,
    read_run,
    read_setup,
    take_over,
)
from massgen_bridge.runtime.owner import Owner
from massgen_bridge.runtime.rewrite import encode

if TYPE_CHECKING:
    from massgen_bridge.events import Record

DATA = Path(__file__).parent / "data"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"{RUN_ID}.sqlite"


def _fill(path: Path, records: list[Record]) -> None:
    connection = create_file(path, RUN_ID)
    insert_rows(connection, [(kept.seq, encode(kept)) for kept in records])
    close_file(connection)


def _change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


def _read_error(path: Path) -> str:
    with pytest.raises(JournalError) as caught:
        list(read_run(path))
    return str(caught.value)


def test_a_run_of_version_1_is_still_readable() -> None:
    lines = (DATA / "version-1.jsonl").read_text(encoding="utf-8").split("\n")[:-1]

    records = list(read_run(DATA / "version-1.sqlite"))

    # What later versions add has a default, and does not stand in an old record.
    read = [kept.model_dump(mode="json", exclude_unset=True) for kept in records]
    assert read == [json.loads(line) for line in lines]
    assert {kept.event.type for kept in records} >= {"run_started", "voted", "run_finished"}
    assert len(records) == 24


def test_reading_an_old_run_leaves_nothing_beside_it(tmp_path: Path) -> None:
    copy = Path(shutil.copy(DATA / "version-1.sqlite", tmp_path))
    content = copy.read_bytes()

    list(read_run(copy))

    assert list(tmp_path.iterdir()) == [copy]
    assert copy.read_bytes() == content


def test_a_closed_run_is_one_file_for_its_user_alone(path: Path) -> None:
    _fill(path, one_of_each())

    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_files_of_a_run_that_goes_on_are_for_its_user_alone(path: Path) -> None:
    with closing(create_file(path, RUN_ID)) as connection:
        insert_rows(connection, [(1, encode(answered(1)))])

        files = list(path.parent.iterdir())
        assert len(files) == 3
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_what_was_written_is_on_the_disk_before_a_commit_returns(path: Path) -> None:
    with closing(create_file(path, RUN_ID)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_a_run_is_read_while_it_is_written(path: Path) -> None:
    with closing(create_file(path, RUN_ID)) as connection:
        insert_rows(connection, [(1, encode(answered(1)))])
        assert list(read_run(path)) == [answered(1)]
        insert_rows(connection, [(2, encode(answered(2)))])
        assert list(read_run(path)) == [answered(1), answered(2)]


def test_a_run_closed_while_somebody_reads_it_is_complete(path: Path) -> None:
    connection = create_file(path, RUN_ID)
    insert_rows(connection, [(seq, encode(answered(seq))) for seq in range(1, 1001)])
    reader = read_run(path)
    first = next(reader)

    close_file(connection)

    assert [first, *reader] == [answered(seq) for seq in range(1, 1001)]
    assert len(list(read_run(path))) == 1000


def test_many_rows_are_one_transaction(path: Path) -> None:
    connection = create_file(path, RUN_ID)
    rows = [(seq, encode(answered(seq))) for seq in range(1, 1001)]

    with pytest.raises(sqlite3.IntegrityError):
        insert_rows(connection, [*rows, rows[0]])
    assert list(read_run(path)) == []

    insert_rows(connection, rows)
    assert len(list(read_run(path))) == 1000
    connection.close()


def test_records_are_read_in_the_order_of_their_numbers(path: Path) -> None:
    _fill(path, [answered(3), answered(1), answered(2)])

    assert [kept.seq for kept in read_run(path)] == [1, 2, 3]


def test_a_run_is_read_lazily(path: Path) -> None:
    _fill(path, [answered(1)])
    _change(path, "INSERT INTO records VALUES (2, 'no json')")

    reader = read_run(path)

    assert next(reader) == answered(1)
    with pytest.raises(JournalError, match="cannot be read"):
        next(reader)


def test_values_that_nest_more_deeply_than_the_fast_reader_takes_are_read(path: Path) -> None:
    arguments: dict[str, Any] = {}
    for _ in range(220):
        arguments = {"deeper": arguments}
    call = ToolCall(call_id="c", name="n", arguments=arguments)
    kept = record(1, ToolCallStarted(call=call))
    _fill(path, [kept])

    assert list(read_run(path)) == [kept]


def test_the_ends_of_a_run(path: Path) -> None:
    _fill(path, [answered(2), answered(5), answered(9)])

    assert read_ends(path) == (answered(2), answered(9))


def test_the_ends_of_a_run_of_one_record_are_that_record(path: Path) -> None:
    _fill(path, [answered(2)])

    assert read_ends(path) == (answered(2), answered(2))


def test_the_header_says_what_wrote_a_run(path: Path) -> None:
    _fill(path, [])

    header = read_header(path)

    assert header is not None
    assert (header.run_id, header.written_by) == (RUN_ID, __version__)
    assert header.owner == Owner.this_process()


def test_a_run_that_was_killed_before_its_first_record_is_empty(path: Path) -> None:
    path.touch()

    assert list(read_run(path)) == []
    assert read_ends(path) is None
    assert read_header(path) is None


def test_a_run_is_never_written_over(path: Path) -> None:
    _fill(path, [answered(1)])

    with pytest.raises(FileExistsError):
        create_file(path, RUN_ID)
    assert list(read_run(path)) == [answered(1)]


def test_a_newer_format_names_the_version_that_can_read_it(path: Path) -> None:
    _fill(path, [answered(1)])
    _change(path, "PRAGMA user_version = 3")
    _change(path, "UPDATE about SET value = json_set(value, '$.written_by', '7.1.0')")

    error = _read_error(path)

    assert "journal format 3, written by massgen-bridge 7.1.0" in error
    assert f"this is massgen-bridge {__version__}, which reads up to format 2" in error
    assert error.endswith("read it with massgen-bridge 7.1.0 or newer")


def test_a_newer_record_names_the_version_that_can_read_it(path: Path) -> None:
    _fill(path, [answered(1), answered(2)])
    _change(path, "UPDATE records SET body = json_set(body, '$.v', 2) WHERE seq = 2")
    _change(path, "UPDATE about SET value = json_set(value, '$.written_by', '7.1.0')")

    error = _read_error(path)

    assert "record 2 in schema version 2, written by massgen-bridge 7.1.0" in error
    assert "reads up to version 1" in error


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"v": 1}', '{"v": "1"}', '{"event": {}}', "null", '"x"'], ids=repr
)
def test_a_damaged_record_is_one_clear_error(path: Path, body: str) -> None:
    _fill(path, [])
    _change(path, f"INSERT INTO records VALUES (1, '{body}')")  # noqa: S608 - a test's own text

    error = _read_error(path)

    assert error.startswith(f"the journal {str(path)!r} cannot be read: ")
    assert "\n" not in error


def test_a_file_that_is_no_database_is_one_clear_error(path: Path) -> None:
    path.write_text("This is a text file, and a rather long one for that. " * 100)

    assert "cannot be read: file is not a database" in _read_error(path)


def test_another_database_is_not_taken_for_a_run(path: Path) -> None:
    _change(path, "CREATE TABLE records (seq, body)")

    assert _read_error(path) == f"{str(path)!r} is an SQLite file, but not the journal of a run"


def test_a_truncated_file_is_one_clear_error(path: Path) -> None:
    _fill(path, [answered(seq, "x" * 1000) for seq in range(1, 101)])
    path.write_bytes(path.read_bytes()[:20000])

    assert "cannot be read: " in _read_error(path)


def test_a_run_that_is_not_there_is_one_clear_error(path: Path) -> None:
    assert _read_error(path) == f"there is no run at {str(path)!r}"
    assert not path.exists()


def test_a_file_whose_making_was_cut_off_has_no_run(path: Path) -> None:
    code = (
        "import os, signal, sqlite3, sys\n"
        "file = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "file.execute('PRAGMA cache_size = 1')\n"
        "file.execute('BEGIN')\n"
        "file.execute('CREATE TABLE records (seq, body)')\n"
        "for seq in range(200):\n"
        "    file.execute('INSERT INTO records VALUES (?, ?)', (seq, 'x' * 1000))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, path], check=False)
    assert path.with_name(f"{path.name}-journal").exists()
    assert read_header(path) is None
    assert list(read_run(path)) == []
    assert read_setup(path) is None


def test_a_file_read_while_it_is_made_has_no_run_or_its_whole_beginning(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.sqlite" for number in range(40)]

    def read_until_begun(path: Path) -> JournalHeader:
        while True:
            with suppress(FileNotFoundError):
                if path.stat().st_size and (header := read_header(path)) is not None:
                    return header

    with ThreadPoolExecutor(max_workers=1) as reader:
        for path in paths:
            reading = reader.submit(read_until_begun, path)
            with closing(create_file(path, RUN_ID)):
                assert reading.result(timeout=60).run_id == RUN_ID


def test_the_owner_changes_only_where_that_is_allowed(path: Path) -> None:
    connection = create_file(path, RUN_ID, '{"text": "x"}')
    insert_rows(connection, [(1, encode(answered(1))), (2, encode(answered(2)))])
    _change(path, "UPDATE about SET value = json_set(value, '$.written_by', '0.0.1')")
    connection.close()
    seen: list[tuple[str, int | None]] = []

    def refuse(header: JournalHeader, last: Record | None) -> None:
        seen.append((header.written_by, last.seq if last else None))
        raise JournalError("no")

    with pytest.raises(JournalError, match="no"):
        take_over(path, refuse)
    assert seen == [("0.0.1", 2)]
    header = read_header(path)
    assert header is not None
    assert header.written_by == "0.0.1"
    take_over(path, lambda *_: None)
    header = read_header(path)
    assert header is not None
    assert (header.written_by, header.owner) == (__version__, Owner.this_process())


def test_a_file_that_goes_on_takes_more_records(path: Path) -> None:
    _fill(path, [answered(1)])
    take_over(path, lambda *_: None)
    connection = open_file(path)
    insert_rows(connection, [(2, encode(answered(2)))])
    close_file(connection)
    assert [one.seq for one in read_run(path)] == [1, 2]


def test_what_is_not_there_cannot_be_taken_over(path: Path) -> None:
    with pytest.raises(JournalError, match="there is no run"):
        take_over(path, lambda *_: None)
