"""The journal of a run: happenings are durable before their effects, deltas a little later.

One thread of its own owns the file. Whoever waits in `commit` while a transaction is under way
shares the next one, so a thousand agents that finish at once cost a few transactions.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import anyio
from anyio.lowlevel import checkpoint

from massgen_bridge.errors import JournalError
from massgen_bridge.events import LogLine, ReasoningDelta, TextDelta
from massgen_bridge.runtime.deltas import coalesce, seq_of
from massgen_bridge.runtime.journal_file import (
    JournalHeader,
    close_file,
    create_file,
    insert_rows,
    open_file,
    read_header,
    read_run,
    write_left_out,
)
from massgen_bridge.runtime.redact import Redactor
from massgen_bridge.runtime.rewrite import encode, media_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike
    from types import TracebackType

    from massgen_bridge.events import Record

__all__ = ["Journal", "JournalHeader", "read_header", "read_run"]

_LAZY_S = 0.5
_CLOSE_S = 30.0
_LOOK_EVERY = 64
_RECORD_SIZE = 1024
_CROWDED = 16 * 2**20
_FULL = 64 * 2**20


class _Ticket:
    """What everyone waits for who commits before the writer turns to the next transaction."""

    def __init__(self, *, is_last: bool = False) -> None:
        self.is_last: Final = is_last
        self.error: str | None = None
        self.done = threading.Event()
        self._waiters: tuple[asyncio.AbstractEventLoop, anyio.Event] | None = None

    async def wait(self) -> None:
        """Return when the transaction is over."""
        if self._waiters is None:
            self._waiters = (asyncio.get_running_loop(), anyio.Event())
        if not self.done.is_set():
            await self._waiters[1].wait()

    def finish(self, error: str | None) -> None:
        """Wake everyone; called by the writer."""
        self.error = error
        self.done.set()
        if self._waiters is not None:
            loop, event = self._waiters
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(event.set)


class Journal:
    """Takes the records of one run and makes them durable.

    What is stored keeps `seq`, `at` and everything else of a record, with one exception: deltas
    of one stream (turn, kind, source) that were appended one after the other may be stored as one,
    under the `seq` of the first. Within a turn every record keeps its place; read back, `seq`
    increases, with holes.

    Use it from one event loop. `append` and `commit` never block it.

    Attributes:
        path: The file.
        is_crowded: Whether so much waits for the disk that producers of deltas should `commit`.
        left_out: Deltas and log lines that were not taken because the disk was too far behind.
    """

    def __init__(
        self, path: Path, opener: Callable[[], sqlite3.Connection], secrets: Iterable[str]
    ) -> None:
        self.path = path
        self.left_out = 0
        self._writer = _Writer(path, opener, Redactor(secrets))
        self.is_crowded = False
        self._appended = 0
        self._looked = 0
        self._takes = 0
        self._size = 0
        self._last: _Ticket | None = None

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        run_id: str,
        *,
        secrets: Iterable[str] = (),
        setup: str | None = None,
    ) -> Self:
        """Start the journal of a new run; where that fails, the first `commit` says so.

        Args:
            path: A file that does not exist yet, in a folder that does.
            run_id: The run's id.
            secrets: Values that must not be stored, see `Redactor`.
            setup: What a resumed run is made from, as JSON and without secrets.
        """
        file = Path(path)
        journal = cls(file, partial(create_file, file, run_id, setup), secrets)
        journal._start(run_id)
        return journal

    @classmethod
    def reopen(cls, path: str | PathLike[str], run_id: str, *, secrets: Iterable[str] = ()) -> Self:
        """Go on with the journal of a run that this process has taken over."""
        file = Path(path)
        journal = cls(file, partial(open_file, file), secrets)
        journal._start(run_id)
        return journal

    def _start(self, run_id: str) -> None:
        threading.Thread(target=self._writer.work, name=f"journal {run_id}", daemon=True).start()

    @property
    def is_broken(self) -> bool:
        """Whether the disk failed: nothing after that is kept."""
        return self._writer.failure is not None

    @property
    def transactions(self) -> int:
        """Transactions that were written so far."""
        return self._writer.transactions

    def append(self, records: Sequence[Record]) -> None:
        """Take records; they are durable within about half a second, or with the next commit.

        What waits is bounded: when a producer ignores `is_crowded` until 64 MiB wait, deltas and
        log lines are left out and counted.

        Raises:
            JournalError: The disk failed, or the journal is closed.
        """
        writer = self._writer
        if writer.refusal is not None:
            raise JournalError(writer.failure or writer.refusal)
        if self._appended - self._looked >= _LOOK_EVERY or self._size >= _FULL:
            records = self._look(records)
        writer.pending.extend(records)
        self._appended += len(records)
        if not writer.is_told:
            writer.tell()

    async def commit(self, records: Sequence[Record] = ()) -> None:
        """Return when these records and everything that was appended before are durable.

        Raises:
            JournalError: The disk failed, or the journal is closed.
        """
        self.append(records)
        writer = self._writer
        if writer.durable == self._appended:
            await checkpoint()
            return
        ticket = writer.ticket
        if ticket is None:
            ticket = writer.ticket = _Ticket()
            writer.orders.put(ticket)
        await ticket.wait()
        if ticket.error is not None:
            raise JournalError(ticket.error)
        self.is_crowded = False

    async def aclose(self) -> None:
        """Write what is left and close the file, also when cancelled; again does nothing.

        Raises:
            JournalError: Something could not be written.
        """
        ticket = self._finish()
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await ticket.wait()
        self._check_closed(ticket)

    def close(self) -> None:
        """The same as `aclose`, blocking.

        Raises:
            JournalError: Something could not be written.
        """
        ticket = self._finish()
        ticket.done.wait(_CLOSE_S)
        self._check_closed(ticket)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _look(self, records: Sequence[Record]) -> Sequence[Record]:
        """Every few records, see how much waits; `records` less what there is no room for."""
        writer = self._writer
        if self._takes != writer.takes:
            self._takes, self._size = writer.takes, 0
        unseen = self._appended - self._looked
        self._size += sum(map(_size, writer.pending[-unseen:])) if unseen else 0
        self._looked = self._appended
        self.is_crowded = self._size > _CROWDED
        if self.is_crowded and not writer.is_hurried:
            writer.is_hurried = True
            writer.tell()
        return records if self._size < _FULL else self._without_deltas(records)

    def _check_closed(self, ticket: _Ticket) -> None:
        if not ticket.done.is_set():
            raise JournalError(
                f"the disk did not take the rest of the journal {str(self.path)!r}"
                f" within {_CLOSE_S:g} s"
            )
        if ticket.error is not None:
            raise JournalError(ticket.error)

    def _finish(self) -> _Ticket:
        if self._last is None:
            self._writer.left_out = self.left_out
            self._writer.refusal = f"the journal {str(self.path)!r} is closed"
            self._last = _Ticket(is_last=True)
            self._writer.orders.put(self._last)
        return self._last

    def _without_deltas(self, records: Sequence[Record]) -> list[Record]:
        kept = [
            record
            for record in records
            if not isinstance(record.event, (TextDelta, ReasoningDelta, LogLine))
        ]
        self.left_out += len(records) - len(kept)
        return kept


class _Writer:
    """The thread that owns the file.

    The event loop's side adds to `pending` and puts orders: a ticket for what is to be durable
    soon, None for what has time. A ticket is taken off before `pending` is, so whoever appends and
    then still finds the ticket there is served by it.
    """

    def __init__(
        self, path: Path, opener: Callable[[], sqlite3.Connection], redactor: Redactor
    ) -> None:
        self._path = path
        self._opener = opener
        self._redactor = redactor
        self.pending: list[Record] = []
        self.takes = 0
        self.orders: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self.ticket: _Ticket | None = None
        self.is_told = False
        self.is_hurried = False
        self.refusal: str | None = None
        self.failure: str | None = None
        self.durable = -1
        self.left_out = 0
        self.transactions = 0
        self._media = _Shelf(redactor)

    def tell(self) -> None:
        """Say that records wait; said again before it has begun, it begins at once."""
        self.is_told = True
        self.orders.put(None)

    def work(self) -> None:
        """Write until the last ticket."""
        connection = self._open()
        while True:
            ticket = self._next()
            if ticket is not None and not ticket.is_last:
                self.ticket = None
            self.is_told = self.is_hurried = False
            is_last = ticket is not None and ticket.is_last
            if connection is not None and self.failure is None:
                self._attempt(connection, is_last=is_last)
            if is_last and connection is not None:
                self._close(connection)
            if ticket is not None:
                ticket.finish(self.failure)
            if is_last:
                return

    def _open(self) -> sqlite3.Connection | None:
        try:
            connection = self._opener()
        except (OSError, sqlite3.Error) as error:
            self._fail(error)
            return None
        self.durable = 0
        return connection

    def _next(self) -> _Ticket | None:
        """The next order that is due: deltas alone wait for company."""
        order = self.orders.get()
        if order is None:
            with suppress(queue.Empty):
                order = self.orders.get(timeout=_LAZY_S)
        return order

    def _attempt(self, connection: sqlite3.Connection, *, is_last: bool) -> None:
        # Slicing and deleting are atomic, and the other side only adds at the end: no lock needed.
        records = self.pending[:]
        del self.pending[: len(records)]
        self.takes += 1
        try:
            rows = self._rows(records, is_last=is_last)
            if rows:
                insert_rows(connection, rows, self._media.fresh)
                self._media.fresh.clear()
                self.transactions += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for this thread
            self._fail(error)
            return
        self.durable += len(records)

    def _rows(self, records: list[Record], *, is_last: bool) -> list[tuple[int, str]]:
        items = coalesce(records)
        if not self._redactor:
            return [(seq_of(item), encode(item, self._media.name)) for item in items]
        items = self._redactor.join(items)
        if is_last:
            items += self._redactor.join_rest()
        encoded = self._redactor.encode(items, self._media.name)
        return list(zip(map(seq_of, items), encoded, strict=True))

    def _close(self, connection: sqlite3.Connection) -> None:
        try:
            if self.left_out and self.failure is None:
                write_left_out(connection, self.left_out)
            close_file(connection)
        except sqlite3.Error as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        reason = str(error).partition("\n")[0]
        self.failure = f"the journal {str(self._path)!r} cannot be written: {reason}"
        self.refusal = self.failure
        self.pending.clear()


class _Shelf:
    """The media of a run: each is written once, without secrets, under a name by its content.

    Attributes:
        fresh: What is not written yet, by name.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._names: dict[str, str] = {}
        self.fresh: dict[str, bytes] = {}

    def name(self, data: bytes) -> str:
        """The name of media, which are then kept."""
        given = media_name(data)
        if given not in self._names:
            clean = self._redactor.mask_data(data) if self._redactor else data
            name = self._names[given] = given if clean == data else media_name(clean)
            self.fresh[name] = clean
        return self._names[given]


def _size(record: Record) -> int:
    """The memory that a record takes while it waits, about, in bytes."""
    return _RECORD_SIZE + len(vars(record.event).get("text", ""))
