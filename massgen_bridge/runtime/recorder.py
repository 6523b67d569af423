"""The one place where events of a run become records, and where they are counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from massgen_bridge.agent import Usage
from massgen_bridge.events import (
    ErrorInfo,
    Event,
    InnerRunFinished,
    ModelCallFinished,
    ModelCallStarted,
    Record,
    TurnDone,
    TurnFailed,
    TurnLost,
    TurnStarted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from massgen_bridge.errors import ErrorKind
    from massgen_bridge.events import RunResult

__all__ = ["JournalWriter", "Ledger", "Recorder"]


class JournalWriter(Protocol):
    """Where records become durable."""

    def append(self, records: Sequence[Record]) -> None:
        """Take records; they are durable after the next `commit` at the latest."""

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits that whoever writes should `commit` before going on."""

    async def commit(self) -> None:
        """Return when everything that was appended is durable."""


class Ledger:
    """What a run has used so far: model calls, tokens, failures.

    A turn's own figures count when it is done; of a turn that failed, the calls that ended well.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.errors: list[ErrorInfo] = []
        self._done = Usage()
        self._open: dict[str, Usage] = {}

    @property
    def usage(self) -> Usage:
        """Tokens of all turns."""
        return sum(self._open.values(), self._done)

    def add(self, record: Record) -> None:
        """Count one record."""
        event, turn_id = record.event, record.turn_id or ""
        match event:
            case TurnStarted():
                # What an earlier attempt at this turn has used stays counted.
                self._done += self._open.pop(turn_id, Usage())
            case ModelCallStarted():
                self.calls += 1
            case ModelCallFinished(usage=Usage() as usage):
                earlier = self._open.get(turn_id)
                self._open[turn_id] = usage if earlier is None else earlier + usage
            case InnerRunFinished(result=inner):
                self._fail_within(record, inner)
            case TurnDone(result=result):
                counted = self._open.pop(turn_id, None)
                self._done += result.usage or counted or Usage()
            case TurnFailed(kind=kind, message=message):
                self._done += self._open.pop(turn_id, Usage())
                self._fail(record, kind, message)
            case TurnLost(kind=kind, message=message):
                # A turn that a hook refused was never started, so it never failed before.
                if all(error.turn_id != turn_id for error in self.errors):
                    self._fail(record, kind, message)
            case _:
                pass

    def _fail_within(self, record: Record, inner: RunResult) -> None:
        """What failed in a team; a turn that was started again tells it again."""
        for error in inner.errors:
            told = error.model_copy(
                update={
                    "agent_id": f"{record.agent_id}/{error.agent_id}",
                    "turn_id": f"{record.turn_id}/{error.turn_id}",
                }
            )
            if told not in self.errors:
                self.errors.append(told)

    def _fail(self, record: Record, kind: ErrorKind, message: str) -> None:
        who = {"agent_id": record.agent_id or "", "turn_id": record.turn_id or ""}
        self.errors.append(ErrorInfo(**who, kind=kind, message=message))


class Recorder:
    """Numbers events, gives them to the journal and to all listeners, in one order.

    Listeners are called at once, in the event loop: they only take note. A run that is resumed
    goes on from its `ledger` and `last_seq`.
    """

    def __init__(
        self,
        run_id: str,
        *,
        journal: JournalWriter | None = None,
        listeners: Sequence[Callable[[Record], None]] = (),
        clock: Callable[[], float] = time.time,
        ledger: Ledger | None = None,
        last_seq: int = 0,
    ) -> None:
        self.run_id = run_id
        self.ledger = ledger or Ledger()
        self._journal = journal
        self._listeners = tuple(listeners)
        self._clock = clock
        self._seq = last_seq

    def record(
        self, event: Event, *, agent_id: str | None = None, turn_id: str | None = None
    ) -> Record:
        """Record one event; it is durable after the next `commit`."""
        self._seq += 1
        record = Record(
            run_id=self.run_id,
            seq=self._seq,
            at=self._clock(),
            agent_id=agent_id,
            turn_id=turn_id,
            event=event,
        )
        self.ledger.add(record)
        if self._journal is not None:
            self._journal.append((record,))
        for listen in self._listeners:
            listen(record)
        return record

    @property
    def is_crowded(self) -> bool:
        """Whether the journal is so far behind that agents should wait for it."""
        return self._journal is not None and self._journal.is_crowded

    async def commit(self) -> None:
        """Return when everything recorded so far is durable."""
        if self._journal is not None:
            await self._journal.commit()
