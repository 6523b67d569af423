"""What the journal costs over bare SQLite at the same durability.

A hundred tasks in one event loop write the events of their turns through `Journal`, which looks for
three secrets in them: each event is an object that has to be merged, searched, encoded, handed to a
thread and waited for. The bare side writes the same events, one a row, as the same JSON: encoded
beforehand, from one thread without any event loop, in transactions of the same mean size. Both
sides use WAL and `synchronous = FULL`, and take turns within one run, so that whatever else the
machine does weighs on both.

The journal joins deltas before it writes them; the bare side does not. `same_rows` in the details
is the ratio against a bare side that is handed the joined, encoded rows for nothing.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from benchmarks.measuring import DISK, figure

from massgen_bridge.agent import Usage
from massgen_bridge.events import Answered, Event, ModelCallFinished, Record, TextDelta
from massgen_bridge.runtime.journal import Journal

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

__all__ = ["measure"]

_RUN_ID = "20261122-163501-7f3a9c12"
_SECRETS = tuple(f"sk-{vendor}-{vendor * 8}-0123456789" for vendor in ("one", "two", "three"))
_WRITERS = 100
_ROUNDS = 10
_DELTAS = 18
_EVENTS_A_ROUND = _DELTAS + 2


def measure(pairs: int = 20) -> Figure:
    """Measure the journal against bare SQLite.

    Args:
        pairs: How often both sides take their turn.

    Returns:
        The ratio of events a second, with the medians of both sides, the median ratio against the
        journal's own rows, and what the last pair wrote.
    """
    records = _records()
    events = [
        (record.seq, record.model_dump_json())
        for rounds in records
        for round_ in rounds
        for record in round_
    ]
    events.sort()
    samples = []
    DISK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DISK) as directory:
        _, rows, transactions = _journal(Path(directory) / "warm-up", records)
        for pair in range(pairs):
            path = Path(directory) / str(pair)
            first = _bare(path.with_suffix(".a"), events, transactions) if pair % 2 else None
            ours, rows, transactions = _journal(path, records)
            bare = first or _bare(path.with_suffix(".a"), events, transactions)
            samples.append((ours, bare, _bare(path.with_suffix(".b"), rows, transactions)))
    return figure(
        "journal_100_writers",
        "journal, 100 writers / bare SQLite, events a second",
        [bare / ours for ours, bare, _ in samples],
        goal=0.5,
        sense="at least",
        journal_events_a_second=len(events) / statistics.median(s[0] for s in samples),
        bare_events_a_second=len(events) / statistics.median(s[1] for s in samples),
        same_rows=statistics.median(rows_only / ours for ours, _, rows_only in samples),
        events=len(events),
        rows=len(rows),
        transactions=transactions,
        sqlite=sqlite3.sqlite_version,
    )


def _records() -> list[list[list[Record]]]:
    """The events of each writer, round by round: deltas, a model call's end, a happening."""
    writers: list[list[list[Record]]] = [[] for _ in range(_WRITERS)]
    seq = 0
    for round_ in range(_ROUNDS):
        for number, rounds in enumerate(writers):
            agent_id, turn_id = f"agent-{number}", f"agent-{number}.{round_}"
            events: list[Event] = [TextDelta(text=f"token{i} ") for i in range(_DELTAS)]
            usage = Usage(input_tokens=900, output_tokens=_DELTAS, calls=1)
            events.append(ModelCallFinished(model="some-model", usage=usage))
            events.append(Answered(agent_id=agent_id, turn_id=turn_id, text="It is so. " * 40))
            rounds.append(
                [
                    Record(
                        run_id=_RUN_ID,
                        seq=seq + i,
                        at=time.time(),
                        agent_id=agent_id,
                        turn_id=turn_id,
                        event=event,
                    )
                    for i, event in enumerate(events, start=1)
                ]
            )
            seq += _EVENTS_A_ROUND
    return writers


def _journal(
    path: Path, records: list[list[list[Record]]]
) -> tuple[float, list[tuple[int, str]], int]:
    """Seconds, rows and transactions of the journal."""
    seconds, transactions = anyio.run(_write, path, records)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT seq, body FROM records").fetchall()
    return seconds, rows, transactions


async def _write(path: Path, records: list[list[list[Record]]]) -> tuple[float, int]:
    async def write(rounds: list[list[Record]]) -> None:
        for events in rounds:
            for event in events:
                journal.append((event,))
            await journal.commit()

    async with Journal.create(path, _RUN_ID, secrets=_SECRETS) as journal:
        await journal.commit()
        start = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for rounds in records:
                tasks.start_soon(write, rounds)
        return time.perf_counter() - start, journal.transactions


def _bare(path: Path, rows: list[tuple[int, str]], transactions: int) -> float:
    """Seconds that SQLite takes for these rows."""
    batch = max(1, round(len(rows) / transactions))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        start = time.perf_counter()
        for first in range(0, len(rows), batch):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO records VALUES (?,?)", rows[first : first + batch])
            connection.execute("COMMIT")
        return time.perf_counter() - start
