"""What it takes to save a turn of a long session.

A session of 200 turns, with answers of 2,000 characters, gets one more: its question is entered and
all that was said before is read, then its answer is entered; both are on disk when the functions
return. The bare side writes the same row into the same kind of file with SQLite alone, in as many
transactions of the same durability, and reads nothing.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.measuring import figure, own_data_folder

from massgen_bridge.messages import user
from massgen_bridge.runtime.index import data_path
from massgen_bridge.runtime.sessions import Session

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measuring import Figure

__all__ = ["SMALL", "measure"]

SMALL = {"turns": 3}

_QUESTION = user("And what follows from that, if it rains? " * 5)
_ANSWER = "It follows that nobody goes out. " * 60


def measure(pairs: int = 20, turns: int = 200) -> Figure:
    """Measure how long a turn of a session takes to be saved.

    Args:
        pairs: How often both sides take their turn.
        turns: How many the session has before.

    Returns:
        Milliseconds, with the medians of the bare side and of opening the whole session.
    """
    with own_data_folder():
        session = Session("long")
        for number in range(turns):
            _save(session, f"before-{number}")
        bare = data_path() / "bare.sqlite"
        with closing(sqlite3.connect(bare)) as file:
            file.execute("CREATE TABLE turns (run_id TEXT, question TEXT, answer TEXT)")
        samples = []
        for number in range(pairs):
            first = _bare(bare, number) if number % 2 else None
            ours = _save(session, f"run-{number}")
            opened = _open(turns + number + 1)
            samples.append((ours, first or _bare(bare, number), opened))
    return figure(
        "session_save",
        f"saving a turn of a session of {turns}, milliseconds",
        [ours * 1e3 for ours, _, _ in samples],
        goal=100,
        bare_sqlite_ms=statistics.median(bare for _, bare, _ in samples) * 1e3,
        open_ms=statistics.median(opened for _, _, opened in samples) * 1e3,
    )


def _save(session: Session, run_id: str) -> float:
    """Seconds for one turn."""
    start = time.perf_counter()
    session.begin(run_id, _QUESTION)
    session.finish(run_id, "answered", _ANSWER)
    return time.perf_counter() - start


def _open(turns: int) -> float:
    """Seconds until another process would have the whole conversation."""
    start = time.perf_counter()
    assert len(Session("long").turns) == turns
    return time.perf_counter() - start


def _bare(path: Path, number: int) -> float:
    """Seconds that SQLite takes for the same row."""
    start = time.perf_counter()
    row = _QUESTION.model_dump_json()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA synchronous = FULL")
        file.execute("INSERT INTO turns VALUES (?, ?, NULL)", (str(number), row))
        file.execute("UPDATE turns SET answer = ? WHERE run_id = ?", (_ANSWER, str(number)))
    return time.perf_counter() - start
