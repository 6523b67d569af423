"""The file of one run: how it is made, written to and read, now and in later versions.

Format 2 is an SQLite database with three tables: `records` holds one record a row, as JSON, under
its `seq`; `media` holds the bytes of each picture or other file once, under a name by its content,
which stands for them in the records; `about` says what wrote them (`header`) and what a resumed
run is made from (`setup`, not in every file). Format 1 had the bytes within the records. `PRAGMA
user_version` is the format. A run that goes on is in WAL mode, a closed one is a single plain file.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing, suppress
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import ValidationError

from massgen_bridge import __version__
from massgen_bridge.errors import JournalError
from massgen_bridge.events import SCHEMA_VERSION, Record
from massgen_bridge.messages import MEDIA_BY_NAME, Frozen
from massgen_bridge.runtime.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "JournalHeader",
    "close_file",
    "create_file",
    "insert_rows",
    "open_file",
    "read_ends",
    "read_header",
    "read_run",
    "read_setup",
    "sync_directory",
    "take_over",
    "write_left_out",
]

FORMAT = 2

_APPLICATION_ID = 0x4D474252
_MEDIA_TABLE = "CREATE TABLE IF NOT EXISTS media (name TEXT PRIMARY KEY, data BLOB NOT NULL)"
_MEDIA_AT_HAND = 16
_WRITTEN_BY = "SELECT json_extract(value, '$.written_by') FROM about WHERE name = 'header'"
_ROWS_A_STATEMENT = 256  # keeps below 999 variables, the least that SQLite may allow
_BUSY_S = 10.0


class JournalHeader(Frozen):
    """What wrote a journal; `left_out` counts deltas that the disk was too slow for."""

    run_id: str
    written_by: str
    owner: Owner
    left_out: int = 0


def create_file(path: Path, run_id: str, setup: str | None = None) -> sqlite3.Connection:
    """Make the file of a new run, for this user alone, and open it for the calling thread.

    Args:
        path: The file.
        run_id: The run.
        setup: What a resumed run is made from, see `read_setup`.

    Raises:
        OSError: The file exists, or cannot be made.
        sqlite3.Error: It cannot be written.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        header = JournalHeader(run_id=run_id, written_by=__version__, owner=Owner.this_process())
        connection.executescript(
            f"""
            BEGIN;
            PRAGMA application_id = {_APPLICATION_ID};
            PRAGMA user_version = {FORMAT};
            CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
            CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
            {_MEDIA_TABLE};
            """
        )
        connection.execute("INSERT INTO about VALUES ('header', ?)", (header.model_dump_json(),))
        if setup is not None:
            connection.execute("INSERT INTO about VALUES ('setup', ?)", (setup,))
        connection.execute("COMMIT")
        sync_directory(path.parent)
    except BaseException:  # whatever it was: nobody else can close the file
        connection.close()
        raise
    return connection


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file of a run that goes on, for the calling thread; `take_over` it first.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
    try:
        # Where somebody reads it just now, it stays as it is, which is just as durable.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(_MEDIA_TABLE)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    except BaseException:  # whatever it was: nobody else can close the file
        connection.close()
        raise
    return connection


def take_over(path: Path, may: Callable[[JournalHeader, Record | None], None]) -> None:
    """Make this process the owner of a run; of two that try, one succeeds.

    Args:
        path: The file.
        may: Gets what wrote it and its last record, while nobody else can change them; what it
            raises is raised, and nothing has changed.

    Raises:
        JournalError: The file cannot be read or written.
    """
    if not path.is_file():
        raise JournalError(f"there is no run at {str(path)!r}")
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            header = _header(connection, path)
            row = connection.execute(
                "SELECT seq, body FROM records ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            media = _MediaOf(connection, path)
            may(header, _decode(path, row[0], row[1], media) if row else None)
            mine = {"owner": Owner.this_process(), "written_by": __version__}
            connection.execute(
                "UPDATE about SET value = ? WHERE name = 'header'",
                (header.model_copy(update=mine).model_dump_json(),),
            )
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        reason = str(error).partition("\n")[0]
        raise JournalError(f"the journal {str(path)!r} cannot be written: {reason}") from error


def write_left_out(connection: sqlite3.Connection, left_out: int) -> None:
    """Write down how many deltas were not taken."""
    connection.execute(
        "UPDATE about SET value = json_set(value, '$.left_out', ?) WHERE name = 'header'",
        (left_out,),
    )


def insert_rows(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[int, str]],
    media: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write rows of `seq` and JSON in one transaction, with the media that they name first.

    Many rows go into one statement, because the interpreter's lock changes hands at every
    statement, and a busy event loop may keep it for milliseconds each time.
    """
    chunks = [rows[i : i + _ROWS_A_STATEMENT] for i in range(0, len(rows), _ROWS_A_STATEMENT)]
    if len(chunks) == 1 and not media:
        _insert_chunk(connection, chunks[0])
        return
    connection.execute("BEGIN")
    try:
        connection.executemany("INSERT OR IGNORE INTO media VALUES (?, ?)", media.items())
        for chunk in chunks:
            _insert_chunk(connection, chunk)
        connection.execute("COMMIT")
    except BaseException:  # whatever it was: half a batch must not stay
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def close_file(connection: sqlite3.Connection) -> None:
    """Close a run's file for good: where nobody reads it just now, it becomes one plain file."""
    with closing(connection):
        connection.execute("PRAGMA busy_timeout = 100")
        # Where somebody reads it, it stays in WAL mode, which is just as durable.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = DELETE")


def read_run(path: Path) -> Iterator[Record]:
    """The records of a run, in the order of `seq`, one at a time; also while it is written.

    Opens the file read-only, and blocks. A run that was killed ends with what was durable.

    Raises:
        JournalError: The file is no journal, is damaged, or a newer version wrote it.
    """
    with closing(_open(path)) as connection:
        if not _is_begun(connection, path):
            return
        media = _MediaOf(connection, path)
        try:
            for seq, body in connection.execute("SELECT seq, body FROM records ORDER BY seq"):
                yield _decode(path, seq, body, media)
        except sqlite3.DatabaseError as error:
            raise _damaged(path, error) from error


def read_ends(path: Path) -> tuple[Record, Record] | None:
    """The first and the last record of a run; None if it has none.

    Raises:
        JournalError: As for `read_run`.
    """
    with closing(_open(path)) as connection:
        if not _is_begun(connection, path):
            return None
        try:
            rows = connection.execute(
                "SELECT seq, body FROM records WHERE seq IN"
                " ((SELECT min(seq) FROM records), (SELECT max(seq) FROM records)) ORDER BY seq"
            ).fetchall()
        except sqlite3.DatabaseError as error:
            raise _damaged(path, error) from error
        media = _MediaOf(connection, path)
        ends = [_decode(path, seq, body, media) for seq, body in (rows[:1] + rows[-1:])]
    return (ends[0], ends[1]) if ends else None


def read_setup(path: Path) -> str | None:
    """What a resumed run is made from, as JSON; None where it was not written down.

    Raises:
        JournalError: As for `read_run`.
    """
    with closing(_open(path)) as connection:
        if not _is_begun(connection, path):
            return None
        try:
            row = connection.execute("SELECT value FROM about WHERE name = 'setup'").fetchone()
        except sqlite3.DatabaseError as error:
            raise _damaged(path, error) from error
    return None if row is None else str(row[0])


def read_header(path: Path) -> JournalHeader | None:
    """What wrote a run; None if it was stopped before it wrote anything.

    Raises:
        JournalError: As for `read_run`.
    """
    with closing(_open(path)) as connection:
        return _header(connection, path) if _is_begun(connection, path) else None


@cache
def _insert_sql(rows: int) -> str:
    return "INSERT INTO records VALUES (?,?)" + ",(?,?)" * (rows - 1)


def _insert_chunk(connection: sqlite3.Connection, rows: Sequence[tuple[int, str]]) -> None:
    connection.execute(_insert_sql(len(rows)), [value for row in rows for value in row])


def sync_directory(directory: Path) -> None:
    """Make a new file's name durable, where directories can be synced."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise JournalError(f"there is no run at {str(path)!r}")
    try:
        connection = _connect(path, "ro")
        try:
            connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_READONLY:
                raise
            # A process was killed while it made or closed the file: that is undone by writing.
            with closing(_connect(path, "rw")) as writing:
                writing.execute("PRAGMA user_version").fetchone()
            connection = _connect(path, "ro")
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=_BUSY_S
    )


def _is_begun(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a journal that this version can read is there; False for one just being made."""
    try:
        # The tables first: a writer commits them together with what is asked for after them.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (written,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error
    if not tables:
        return False
    if application_id != _APPLICATION_ID:
        raise JournalError(f"{str(path)!r} is an SQLite file, but not the journal of a run")
    if written > FORMAT:
        raise _too_new(connection, path, f"journal format {written}", f"format {FORMAT}")
    return True


def _header(connection: sqlite3.Connection, path: Path) -> JournalHeader:
    try:
        row = connection.execute("SELECT value FROM about WHERE name = 'header'").fetchone()
        return JournalHeader.model_validate_json(row[0] if row else "")
    except (sqlite3.DatabaseError, ValidationError) as error:
        raise _damaged(path, error) from error


class _MediaOf:
    """The media of a run, found by their names; those that were used last are at hand.

    Raises:
        JournalError: There are none of that name.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self.find = lru_cache(_MEDIA_AT_HAND)(self._read)

    def _read(self, name: str) -> bytes:
        query = "SELECT data FROM media WHERE name = ?"
        try:
            row = self._connection.execute(query, (name,)).fetchone()
        except sqlite3.DatabaseError as error:
            raise _damaged(self._path, error) from error
        if row is None:
            raise JournalError(f"the journal {str(self._path)!r} lacks the file {name!r}")
        return bytes(row[0])


def _decode(path: Path, seq: int, body: str, media: _MediaOf) -> Record:
    context = {MEDIA_BY_NAME: media.find}
    try:
        return Record.model_validate_json(body, context=context)
    except ValidationError as error:
        problem = error
    try:
        # Slower, but without the limit on how deeply values nest.
        plain = json.loads(body)
        version = plain.get("v") if isinstance(plain, dict) else None
        if version == SCHEMA_VERSION:
            return Record.model_validate(plain, context=context)
    except ValueError as error:
        raise _damaged(path, error) from error
    if isinstance(version, int):
        with closing(_open(path)) as connection:
            what = f"record {seq} in schema version {version}"
            raise _too_new(connection, path, what, f"version {SCHEMA_VERSION}")
    raise _damaged(path, problem)


def _too_new(
    connection: sqlite3.Connection, path: Path, what: str, newest_known: str
) -> JournalError:
    try:
        row = connection.execute(_WRITTEN_BY).fetchone()
    except sqlite3.DatabaseError:
        row = None
    writer = f"massgen-bridge {row[0]}" if row and row[0] else "a newer massgen-bridge"
    return JournalError(
        f"{str(path)!r} holds {what}, written by {writer}; this is massgen-bridge {__version__},"
        f" which reads up to {newest_known}: read it with {writer} or newer"
    )


def _damaged(path: Path, error: Exception) -> JournalError:
    reason = str(error).partition("\n")[0]
    return JournalError(f"the journal {str(path)!r} cannot be read: {reason}")
