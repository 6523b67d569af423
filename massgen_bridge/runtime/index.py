"""The index of runs: one row a run, so that a list of runs need not open each of their files.

The run files are the truth. The index can be lost or damaged at any time; it is then made again
from them. All functions block for a moment: call them in a thread where an event loop runs.
"""

from __future__ import annotations

import os
import re
import secrets as random
import shutil
import sqlite3
import threading
import time
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs
from pydantic import ValidationError

from massgen_bridge.errors import JournalError
from massgen_bridge.events import Cost, RunFinished, RunResult, RunStarted, RunStatus
from massgen_bridge.messages import Frozen, MediaPart, unbroken
from massgen_bridge.runtime.journal_file import read_ends, read_header
from massgen_bridge.runtime.owner import Owner
from massgen_bridge.runtime.secret_forms import SecretForms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import timedelta
    from os import PathLike
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["RunIndex", "RunRow", "data_path", "new_run_id"]

_FORMAT = 1
_BUSY_S = 10.0
_QUESTION_LENGTH = 200
_TICKS_A_SECOND = 4096
_LAST = "last"  # no run's id: those begin with a digit
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class RunRow(Frozen):
    """What the index knows of a run.

    Attributes:
        started_at: Unix time in seconds.
        question: Its first 200 characters.
        media_in: How many pictures and other files went along with it.
        media_out: How many belong to the answers, once it has ended.
        agents: How many take part.
        status: How the run ended; `running` while it does; `interrupted` where its process ended
            without saying how.
        winner: Agent id.
        tokens: Input and output tokens of all turns.
        cost: What its calls cost, by list prices; None until it has ended.
        duration_s: Wall time in seconds, 0 until it has ended.
        session: The conversation that it belongs to, where that is kept.
        owner: The process that runs it; None where that is not known.
        within: The run that it is a part of, as the work of a team's turn.
    """

    run_id: str
    started_at: float
    question: str = ""
    media_in: int = 0
    media_out: int = 0
    strategy: str = ""
    agents: int = 0
    status: RunStatus | Literal["running", "interrupted"] = "running"
    winner: str | None = None
    calls: int = 0
    tokens: int = 0
    cost: Cost | None = None
    duration_s: float = 0.0
    config_file: str | None = None
    session: str | None = None
    owner: Owner | None = None
    within: str | None = None


def data_path() -> Path:
    """The folder for this user's data: `MASSGEN_BRIDGE_DATA`, or the system's place for it."""
    chosen = os.environ.get("MASSGEN_BRIDGE_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_data_path("massgen-bridge", appauthor=False)


class _Ticks:
    """Counts the ticks of the clock, none twice: ids of one process can never be the same."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        """This tick, or the first that is free."""
        with self._lock:
            self._last = max(self._last + 1, int(time.time() * _TICKS_A_SECOND))
            return self._last


_TICKS = _Ticks()


def new_run_id() -> str:
    """An id for a run: sorted by it, runs are in the order of their start (to 1/4096 s, in UTC)."""
    second, tick = divmod(_TICKS.next(), _TICKS_A_SECOND)
    moment = datetime.fromtimestamp(second, UTC).strftime("%Y%m%d-%H%M%S")
    return f"{moment}-{tick:03x}{random.token_hex(3)[1:]}"


class RunIndex:
    """The runs of this user. Many processes may use it at the same time.

    Args:
        base: Where to keep them, `data_path()` if not given; the runs are in its folder `runs`.
    """

    def __init__(self, base: str | PathLike[str] | None = None) -> None:
        self.folder = (Path(base) if base is not None else data_path()) / "runs"
        self._file = self.folder / "index.sqlite"

    def path(self, run_id: str) -> Path:
        """The file of a run, whether or not it is there.

        Raises:
            JournalError: That is no run id.
        """
        if not _RUN_ID.fullmatch(run_id) or run_id == self._file.stem:
            raise JournalError(
                f"{run_id!r} is no run id: expected letters, digits, '-' and '_', as in"
                f" '20261122-163501-7f3a9c12'"
            )
        return self.folder / f"{run_id}.sqlite"

    def files(self, run_id: str) -> Path:
        """The folder for what the agents of a run write, whether or not it is there.

        Raises:
            JournalError: That is no run id.
        """
        return self.path(run_id).with_suffix(".files")

    def start(
        self,
        run_id: str,
        started: RunStarted,
        *,
        at: float | None = None,
        secrets: Iterable[str] = (),
    ) -> Path:
        """Enter a run that this process begins.

        Args:
            run_id: Its id, new to this index.
            started: What the run begins with.
            at: Unix time in seconds, now if not given.
            secrets: Values that must not be stored.

        Returns:
            The path for its journal; its folder is there.
        """
        path = self.path(run_id)
        row = _row_of_start(run_id, started, time.time() if at is None else at, secrets)
        row = row.model_copy(update={"owner": Owner.this_process()})
        self._do(lambda index: _write(index, row))
        return path

    def resume(self, run_id: str) -> None:
        """Enter that this process goes on with a run."""
        path = self.path(run_id)

        def update(index: sqlite3.Connection) -> None:
            row = _read(index, run_id) or _row_of_file(path)
            if row is None:
                raise JournalError(f"there is no run {run_id!r} that could go on")
            again = {"status": "running", "winner": None, "owner": Owner.this_process()}
            _write(index, row.model_copy(update=again))

        self._do(update)

    def finish(self, run_id: str, result: RunResult) -> None:
        """Enter how a run ended."""
        path = self.path(run_id)

        def update(index: sqlite3.Connection) -> None:
            row = _read(index, run_id) or _row_of_file(path)
            if row is None:
                raise JournalError(f"there is no run {run_id!r} that could have ended")
            _write(index, row.model_copy(update=_end(result)))

        self._do(update)

    def list(self, limit: int | None = None, *, inner: bool = False) -> tuple[RunRow, ...]:
        """The newest runs, newest first; all without `limit`, with `inner` also those of teams."""
        if not self.folder.exists():
            return ()
        return self._do(lambda index: _newest(index, limit, inner=inner))

    def discard(self, run_id: str) -> None:
        """Forget a run and delete what there is of it."""
        _delete_files(self.path(run_id))
        self._do(lambda index: index.execute("DELETE FROM runs WHERE run_id = ?", (run_id,)))

    def find(self, prefix: str) -> RunRow:
        """The run whose id begins with `prefix`; the newest one for `last`.

        Raises:
            JournalError: None does, or several.
        """
        if prefix == _LAST:
            return self._newest()
        found = [one for one in self.list(inner=True) if prefix and one.run_id.startswith(prefix)]
        # The ids of inner runs begin with that of the run around them.
        rows = [row for row in found if row.within is None] or found
        rows += [row for row in found if row.run_id == prefix and row not in rows]
        exact = [row for row in rows if row.run_id == prefix]
        if len(exact or rows) == 1:
            return (exact or rows)[0]
        if not rows:
            raise JournalError(
                f"no run's id begins with {prefix!r}; `massgen-bridge runs list` shows what there"
                f" is in {str(self.folder)!r}"
            )
        some = ", ".join(row.run_id for row in rows[:5]) + (", …" if len(rows) > 5 else "")  # noqa: PLR2004 - enough to choose from
        raise JournalError(f"{len(rows)} runs' ids begin with {prefix!r}: {some}; give more of it")

    def _newest(self) -> RunRow:
        for row in self.list(1):
            return row
        raise JournalError(f"there is no last run: there are no runs in {str(self.folder)!r}")

    def prune(
        self,
        *,
        older_than: timedelta | None = None,
        keep: int | None = None,
        dry_run: bool = False,
    ) -> tuple[RunRow, ...]:
        """Delete runs for good, never one that is running.

        Args:
            older_than: Only those that started longer ago.
            keep: Not the newest so many.
            dry_run: Only say which it would be.

        Returns:
            The runs that are gone, newest first.

        Raises:
            JournalError: Neither `older_than` nor `keep` is given, or a file cannot be deleted.
        """
        if older_than is None and keep is None:
            raise JournalError("say which runs to delete: older than a time, or all but the newest")
        latest = time.time() - (older_than.total_seconds() if older_than is not None else 0)
        gone = tuple(
            row
            for row in self.list()[max(keep or 0, 0) :]
            if row.status != "running" and row.started_at < latest
        )
        if not dry_run:
            inner = [row for row in self.list(inner=True) if row.within is not None]
            for row in gone:
                self._discard(row.run_id, inner)
        return gone

    def _discard(self, run_id: str, inner: Iterable[RunRow]) -> None:
        """Forget a run with all that teams did for it."""
        for row in inner:
            if row.within == run_id:
                self._discard(row.run_id, inner)
        self.discard(run_id)

    def rebuild(self) -> None:
        """Make the index again from the run files."""
        self._make_folder()
        fresh = self._file.with_name(f".index-{random.token_hex(4)}")
        with closing(sqlite3.connect(fresh, isolation_level=None)) as index:
            fresh.chmod(0o600)
            self._fill(index)
        # A rollback journal of the old file would be taken for one of the new.
        self._file.with_name("index.sqlite-journal").unlink(missing_ok=True)
        fresh.replace(self._file)

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction; once more on a new index where this one is damaged."""
        try:
            with self._transaction() as index:
                return work(index)
        except ValidationError:
            pass  # a row that is none
        except sqlite3.DatabaseError as error:
            if (error.sqlite_errorcode & 0xFF) not in _DAMAGED:
                raise self._unusable(error) from error
        try:
            self.rebuild()
            with self._transaction() as index:
                return work(index)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> JournalError:
        return JournalError(f"the index of runs {str(self._file)!r} cannot be used: {error}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._make_folder()
            index = sqlite3.connect(self._file, isolation_level=None, timeout=_BUSY_S)
        except OSError as error:
            raise self._unusable(error) from error
        with closing(index):
            index.execute("PRAGMA synchronous = NORMAL")
            index.execute("BEGIN IMMEDIATE")
            try:
                (written,) = index.execute("PRAGMA user_version").fetchone()
                if written == 0:
                    self._fill(index)
                elif written > _FORMAT:
                    raise JournalError(
                        f"a newer massgen-bridge wrote the index of runs {str(self._file)!r}:"
                        " update this one, or delete that file"
                    )
                yield index
                index.execute("COMMIT")
            finally:
                if index.in_transaction:
                    index.execute("ROLLBACK")

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))

    def _fill(self, index: sqlite3.Connection) -> None:
        index.execute(
            "CREATE TABLE runs (run_id TEXT PRIMARY KEY, started_at REAL NOT NULL,"
            " body TEXT NOT NULL)"
        )
        index.execute("CREATE INDEX runs_by_start ON runs (started_at, run_id)")
        index.execute(f"PRAGMA user_version = {_FORMAT}")
        for path in self.folder.glob("*.sqlite"):
            if path != self._file:
                # What cannot be read here is shown by whoever opens the run itself.
                with suppress(JournalError):
                    row = _row_of_file(path)
                    if row is not None:
                        _write(index, row)


def _newest(index: sqlite3.Connection, limit: int | None, *, inner: bool) -> tuple[RunRow, ...]:
    bodies = index.execute(
        "SELECT body FROM runs WHERE ? OR json_extract(body, '$.within') IS NULL"
        " ORDER BY started_at DESC, run_id DESC LIMIT ?",
        (inner, -1 if limit is None else limit),
    )
    return tuple(_seen_now(RunRow.model_validate_json(body)) for (body,) in bodies)


def _read(index: sqlite3.Connection, run_id: str) -> RunRow | None:
    found = index.execute("SELECT body FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return RunRow.model_validate_json(found[0]) if found else None


def _write(index: sqlite3.Connection, row: RunRow) -> None:
    index.execute(
        "INSERT OR REPLACE INTO runs VALUES (?, ?, ?)",
        (row.run_id, row.started_at, row.model_dump_json()),
    )


def _seen_now(row: RunRow) -> RunRow:
    if row.status == "running" and (row.owner is None or row.owner.is_gone):
        return row.model_copy(update={"status": "interrupted"})
    return row


def _row_of_start(
    run_id: str, started: RunStarted, at: float, secrets: Iterable[str] = ()
) -> RunRow:
    forms = SecretForms(secrets)
    return RunRow(
        run_id=run_id,
        started_at=at,
        question=forms.mask(unbroken(started.question.text))[:_QUESTION_LENGTH],
        media_in=sum(isinstance(part, MediaPart) for part in started.question.parts)
        + sum(map(len, started.attached.values())),
        strategy=started.strategy,
        agents=len(started.seats),
        within=started.within.run_id if started.within else None,
        config_file=forms.mask(started.config_file) if started.config_file else None,
        session=started.conversation.session if started.conversation else None,
    )


def _row_of_file(path: Path) -> RunRow | None:
    ends = read_ends(path)
    if ends is None or not isinstance(ends[0].event, RunStarted):
        return None
    header = read_header(path)
    row = _row_of_start(path.stem, ends[0].event, ends[0].at)
    last = ends[1].event
    end = _end(last.result) if isinstance(last, RunFinished) else {}
    return row.model_copy(update={"owner": header.owner if header else None, **end})


def _end(result: RunResult) -> dict[str, object]:
    return {
        "status": result.status,
        "media_out": sum(len(answer.media) for answer in result.answers),
        "winner": result.winner,
        "calls": result.calls,
        "tokens": result.usage.input_tokens + result.usage.output_tokens,
        "cost": result.cost,
        "duration_s": result.duration_s,
    }


def _delete_files(path: Path) -> None:
    shutil.rmtree(path.with_suffix(".files"), ignore_errors=True)
    for suffix in ("", "-wal", "-shm", "-journal"):
        try:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise JournalError(f"the run {path.stem!r} cannot be deleted: {error}") from error
