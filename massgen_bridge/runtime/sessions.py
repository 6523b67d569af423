"""Sessions: conversations with a team that go on over many runs, and over restarts.

A session is one SQLite file: a row a turn, with the question and the answer as the user saw them.
It stands beside the journals of its runs and outlives them. What a process that was killed did not
come to write is taken from the journal of its run, by whoever opens the session next.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
import weakref
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from massgen_bridge.errors import ConfigError, JournalError
from massgen_bridge.events import Exchange, RunFinished, RunResult, RunStatus, Use
from massgen_bridge.messages import Frozen, MediaPart, Message
from massgen_bridge.runtime.index import RunIndex, data_path
from massgen_bridge.runtime.journal_file import read_ends, sync_directory
from massgen_bridge.runtime.owner import Owner
from massgen_bridge.runtime.stopped import is_here

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Session", "SessionTurn"]

_FORMAT = 3
_APPLICATION_ID = 0x4D474253
_BUSY_S = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TABLE = """
CREATE TABLE turns (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, asked_at REAL NOT NULL,
    status TEXT NOT NULL, question TEXT NOT NULL, answer TEXT,
    owner TEXT NOT NULL, media TEXT, used TEXT
)
"""
_ADDED = ("media", "used")
_MEDIA: TypeAdapter[tuple[MediaPart, ...]] = TypeAdapter(
    tuple[MediaPart, ...], config=ConfigDict(defer_build=True)
)
_COLUMNS = "number, run_id, asked_at, status, question, answer, owner, media, used"


class SessionTurn(Frozen):
    """One turn of a session.

    Attributes:
        number: Counts the questions of the session from 1.
        run_id: The run that answered it.
        asked_at: Unix time in seconds.
        question: The user's message.
        answer: What the user saw; None without one: then it is no part of the conversation.
        media: The pictures and the like that belong to the answer.
        used: What the run has used; None as long as that is not known.
        status: How the run ended; `running` while it does; `interrupted` where its process ended
            without saying how: resuming the run completes the turn.
    """

    number: int
    run_id: str
    asked_at: float
    question: Message
    answer: str | None = None
    media: tuple[MediaPart, ...] = ()
    used: Use | None = None
    status: RunStatus | Literal["running", "interrupted"] = "running"


class _Entry(NamedTuple):
    """A turn and the process that runs it, or ran it last."""

    turn: SessionTurn
    owner: Owner

    @property
    def is_alive(self) -> bool:
        """Whether that process may still run it."""
        if self.owner == Owner.this_process():
            return is_here(self.turn.run_id)
        return not self.owner.is_gone

    def is_real(self, journal: Path) -> bool:
        """Whether its run began at all."""
        return self.turn.status != "running" or self.is_alive or _has_begun(journal)

    def now(self, journal: Path) -> SessionTurn:
        """The turn as it is by now, whatever its process came to write."""
        if self.turn.status not in {"running", "interrupted"} or is_here(self.turn.run_id):
            return self.turn
        result = _result_in(journal)
        if result is not None:
            ended = {"status": result.status, "answer": result.answer, "media": result.media}
            return self.turn.model_copy(update={**ended, "used": result.used})
        if self.is_alive:
            return self.turn
        return self.turn.model_copy(update={"status": "interrupted"})


class Session:
    """A conversation with a team: give it to `run`, `arun`, `stream` or a `Team`, turn by turn.

    Its functions block for a moment: call them in a thread where an event loop runs.

    Args:
        name: Kept under this name, for other processes as well; without one the conversation
            lives as long as this object. Letters, digits, '-' and '_'; at most 64.

    Raises:
        ConfigError: That is no name for a session.
    """

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no name for a session: expected letters, digits, '-' and '_', at"
                " most 64, the first one a letter or a digit"
            )
        self.name = name
        self._base = data_path()
        self._lock = threading.Lock()
        self._memory: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return f"Session({'' if self.name is None else repr(self.name)})"

    @classmethod
    def kept(cls) -> tuple[Self, ...]:
        """All sessions that are kept, by name."""
        names = (path.stem for path in _folder(data_path()).glob("*.sqlite"))
        return tuple(cls(name) for name in sorted(names) if _NAME.fullmatch(name))

    @property
    def exists(self) -> bool:
        """Whether anything was ever asked in it."""
        return self._path.is_file() if self.name is not None else self._memory is not None

    @property
    def all_turns(self) -> tuple[SessionTurn, ...]:
        """Every turn, also those without an answer, the oldest first.

        Raises:
            JournalError: The session cannot be read.
        """
        if not self.exists:
            return ()
        with self._transaction() as file:
            return tuple(
                entry.now(self._journal(entry.turn))
                for entry in _read(file)
                if entry.is_real(self._journal(entry.turn))
            )

    @property
    def turns(self) -> tuple[SessionTurn, ...]:
        """The conversation: the turns that have an answer, the oldest first.

        Raises:
            JournalError: The session cannot be read.
        """
        return tuple(turn for turn in self.all_turns if turn.answer is not None)

    @property
    def used(self) -> Use:
        """What the runs of all turns have used together, as far as they have ended.

        Raises:
            JournalError: The session cannot be read.
        """
        return sum((turn.used for turn in self.all_turns if turn.used is not None), Use())

    @property
    def conversation(self) -> tuple[Exchange, ...]:
        """What the next question goes on from, the oldest first.

        Raises:
            JournalError: The session cannot be read.
        """
        return _exchanges(self.all_turns)

    def begin(self, run_id: str, question: Message) -> tuple[Exchange, ...]:
        """Enter a turn that this process begins; for whoever makes the run.

        Args:
            run_id: The run.
            question: The user's message, without secrets.

        Returns:
            The conversation before, the oldest first.

        Raises:
            JournalError: Another turn is under way, or the session cannot be read or written.
        """
        with self._transaction(make=True) as file:
            turns = self._settled(file)
            file.execute(
                "INSERT INTO turns (run_id, asked_at, status, question, owner)"
                " VALUES (?, ?, 'running', ?, ?)",
                (run_id, time.time(), question.model_dump_json(), _me()),
            )
        return _exchanges(turns)

    def resume(self, run_id: str) -> bool:
        """Enter that this process goes on with the run of a turn; False where it has no turn here.

        Raises:
            JournalError: The session cannot be read or written.
        """
        if not self.exists:
            return False
        with self._transaction() as file:
            done = file.execute(
                "UPDATE turns SET status = 'running', owner = ? WHERE run_id = ?", (_me(), run_id)
            )
            return done.rowcount > 0

    def finish(
        self,
        run_id: str,
        status: RunStatus,
        answer: str | None,
        media: Iterable[MediaPart] = (),
        *,
        used: Use | None = None,
    ) -> None:
        """Enter how the run of a turn has ended; for whoever made it.

        Args:
            run_id: The run.
            status: How it ended.
            answer: What the user saw, without secrets.
            media: What belongs to the answer, without secrets.
            used: What the run has used.

        Raises:
            JournalError: The session cannot be read or written.
        """
        if self.exists:  # it may have been deleted meanwhile
            with self._transaction() as file:
                _write_end(file, run_id, status, answer, media=media, used=used)

    def delete(self) -> None:
        """Forget the conversation for good; the journals of its runs stay.

        Raises:
            JournalError: There is no such session, or a turn of it is under way.
        """
        if not self.exists:
            raise JournalError(f"there is no session {self.name!r}")
        with self._transaction() as file:
            self._settled(file)
            file.execute("DELETE FROM turns")
            if self.name is not None:
                self._path.unlink(missing_ok=True)

    # --- turns whose end was not written --------------------------------------------------------

    def _settled(self, file: sqlite3.Connection) -> list[SessionTurn]:
        """All turns as they are by now, which is written down, too; none is under way."""
        settled: list[SessionTurn] = []
        for entry in _read(file):
            journal = self._journal(entry.turn)
            if not entry.is_real(journal):
                file.execute("DELETE FROM turns WHERE run_id = ?", (entry.turn.run_id,))
                continue
            now = entry.now(journal)
            if now.status == "running":
                raise JournalError(self._in_use(entry))
            if now != entry.turn:
                _write_end(file, now.run_id, now.status, now.answer, media=now.media, used=now.used)
            settled.append(now)
        return settled

    def _journal(self, turn: SessionTurn) -> Path:
        return RunIndex(self._base).path(turn.run_id)

    def _in_use(self, entry: _Entry) -> str:
        here, owner = Owner.this_process(), entry.owner
        who = "this very process"
        if owner != here:
            machine = "this machine" if owner.host == here.host else f"the machine {owner.host!r}"
            who = f"process {owner.pid} of {machine}"
        name = "this session" if self.name is None else f"the session {self.name!r}"
        return (
            f"{name} is in use: {who} runs a turn in it ({entry.turn.run_id}); wait for its end,"
            " or take another session"
        )

    # --- the file -------------------------------------------------------------------------------

    @property
    def _path(self) -> Path:
        return _folder(self._base) / f"{self.name}.sqlite"

    @contextmanager
    def _transaction(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            with self._opened(make=make) as file:
                file.execute("BEGIN IMMEDIATE")
                try:
                    self._check(file)
                    yield file
                    file.execute("COMMIT")
                finally:
                    if file.in_transaction:
                        file.execute("ROLLBACK")
        except (OSError, sqlite3.Error, ValidationError) as error:
            reason = str(error).partition("\n")[0]
            what = "" if self.name is None else f" {str(self._path)!r}"
            todo = "; move the file away, or delete it" if _is_damaged(error) else ""
            raise JournalError(f"the session{what} cannot be used: {reason}{todo}") from error

    @contextmanager
    def _opened(self, *, make: bool) -> Iterator[sqlite3.Connection]:
        if self.name is None:
            with self._lock:
                if self._memory is None:
                    self._memory = _connect(":memory:")
                    weakref.finalize(self, self._memory.close)
                yield self._memory
            return
        if make:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
                sync_directory(self._path.parent)
        with closing(_connect(f"{self._path.absolute().as_uri()}?mode=rw")) as file:
            yield file

    def _check(self, file: sqlite3.Connection) -> None:
        """See that it is a session that this version can use; make the table of a new one."""
        if self.name is not None and not self._path.is_file():
            raise JournalError(f"the session {self.name!r} has just been deleted")
        (written,) = file.execute("PRAGMA user_version").fetchone()
        (application,) = file.execute("PRAGMA application_id").fetchone()
        if written == 0 and application == 0:
            file.execute(_TABLE)
            file.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            file.execute(f"PRAGMA user_version = {_FORMAT}")
        elif 0 < written < _FORMAT and application == _APPLICATION_ID:
            for column in _ADDED[written - 1 :]:
                file.execute(f"ALTER TABLE turns ADD COLUMN {column} TEXT")
            file.execute(f"PRAGMA user_version = {_FORMAT}")
        elif application != _APPLICATION_ID:
            raise JournalError(
                f"{str(self._path)!r} is an SQLite file, but not a session; move it away"
            )
        elif written > _FORMAT:
            raise JournalError(
                f"a newer massgen-bridge wrote the session {str(self._path)!r}: update this one"
            )


def _exchanges(turns: Iterable[SessionTurn]) -> tuple[Exchange, ...]:
    """The turns that can be shown to a model: none would take an empty answer."""
    return tuple(
        Exchange(run_id=turn.run_id, question=turn.question, answer=turn.answer, media=turn.media)
        for turn in turns
        if turn.answer is not None and (turn.answer.strip() or turn.media)
    )


def _folder(base: Path) -> Path:
    return base / "sessions"


def _is_damaged(error: Exception) -> bool:
    # An error of the module itself has no code.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return (code & 0xFF) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _has_begun(journal: Path) -> bool:
    if not journal.is_file():
        return False
    try:
        return read_ends(journal) is not None
    except JournalError:  # there is something, which others may be able to read
        return True


def _result_in(journal: Path) -> RunResult | None:
    """How a run ended; None where its journal does not tell."""
    try:
        ends = read_ends(journal)
    except JournalError:
        return None
    last = ends[1].event if ends else None
    return last.result if isinstance(last, RunFinished) else None


def _connect(where: str) -> sqlite3.Connection:
    """Open a file, or memory that whichever thread holds the lock may use."""
    file = sqlite3.connect(
        where, uri=True, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
    )
    file.execute("PRAGMA synchronous = FULL")
    file.execute("PRAGMA secure_delete = ON")
    return file


def _read(file: sqlite3.Connection) -> Iterator[_Entry]:
    rows = file.execute(f"SELECT {_COLUMNS} FROM turns ORDER BY number").fetchall()  # noqa: S608 - a constant
    for number, run_id, asked_at, status, question, answer, owner, media, used in rows:
        turn = SessionTurn(
            number=number,
            run_id=run_id,
            asked_at=asked_at,
            status=status,
            question=Message.model_validate_json(question),
            answer=answer,
            media=() if media is None else _MEDIA.validate_json(media),
            used=None if used is None else Use.model_validate_json(used),
        )
        yield _Entry(turn, Owner.model_validate_json(owner))


def _write_end(
    file: sqlite3.Connection,
    run_id: str,
    status: str,
    answer: str | None,
    *,
    media: Iterable[MediaPart],
    used: Use | None,
) -> None:
    file.execute(
        "UPDATE turns SET status = ?, answer = ?, media = ?, used = ? WHERE run_id = ?",
        (
            status,
            answer,
            _MEDIA.dump_json(tuple(media)).decode(),
            None if used is None else used.model_dump_json(),
            run_id,
        ),
    )


def _me() -> str:
    return Owner.this_process().model_dump_json()
