"""Runs and resumes a team in processes that are killed: started by `kills.py`, never imported.

It reads one order a line, as JSON, and answers each with one line. Every run is a fork of this
process, which has imported everything already, so that dying costs little.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge import api
from massgen_bridge.errors import BridgeError
from massgen_bridge.runtime import journal, journal_file
from massgen_bridge.runtime.index import RunIndex

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from massgen_bridge.events import Record


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at_a_commit(number: int, when: str) -> None:
    """Die at the so manieth transaction: before it, in the middle of it, or right after it."""
    real, done = journal_file.insert_rows, 0

    def insert_rows(
        connection: sqlite3.Connection,
        rows: Sequence[tuple[int, str]],
        media: Mapping[str, bytes],
    ) -> None:
        nonlocal done
        done += 1
        if done == number and when == "before":
            _die()
        if done == number and when == "during":
            connection.execute("BEGIN")
            connection.executemany("INSERT OR IGNORE INTO media VALUES (?, ?)", media.items())
            half = rows[: max(1, len(rows) // 2)]
            connection.executemany("INSERT INTO records VALUES (?, ?)", half)
            _die()
        real(connection, rows, media)
        if done == number:
            _die()

    vars(journal)["insert_rows"] = insert_rows


def _listen(order: dict[str, Any]) -> Any:
    heard = Path(order["data"], "heard").open("a")  # noqa: SIM115 - until death
    count = 0

    def on_record(record: Record) -> None:
        nonlocal count
        count += 1
        heard.write(f"{record.seq} {record.event.type} {record.turn_id}\n")
        heard.flush()
        if count == order.get("record"):
            _die()

    return on_record


def _work(order: dict[str, Any]) -> dict[str, Any]:
    os.environ["MASSGEN_BRIDGE_DATA"] = order["data"]
    if "commit" in order:
        _die_at_a_commit(order["commit"], order["when"])
    if "bytes" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["bytes"], resource.RLIM_INFINITY))
    try:
        if order["do"] == "run":
            result = api.run(order["config"], "Which?", trust=True, on_record=_listen(order))
        else:
            run_id = RunIndex().list()[0].run_id
            result = api.resume(run_id, order.get("config"), trust=True, on_record=_listen(order))
    except BridgeError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"result": result.model_dump(mode="json")}


def _child(order: dict[str, Any], out: int) -> None:
    code = 1
    try:
        os.write(out, json.dumps(_work(order)).encode())
        code = 0
    except BaseException:  # noqa: BLE001 - it must not come back into the loop of its parent
        traceback.print_exc()
    finally:
        os._exit(code)


def _fork(order: dict[str, Any]) -> tuple[int, int]:
    into, out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(into)
        _child(order, out)
    os.close(out)
    return pid, into


def _end(order: dict[str, Any], pid: int, into: int) -> dict[str, Any]:
    if "after_s" in order:
        heard = Path(order["data"], "heard")
        while not (heard.exists() and heard.stat().st_size):
            time.sleep(0.001)
        time.sleep(order["after_s"])
        os.kill(pid, signal.SIGKILL)  # of a process that has ended, nothing is left to kill
    with os.fdopen(into, "rb") as stream:
        said = stream.read()
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return {"killed": killed, **(json.loads(said) if said and not killed else {})}


def _obey(order: dict[str, Any]) -> list[dict[str, Any]]:
    running = [_fork(order) for _ in range(order.get("times", 1))]
    return [_end(order, *one) for one in running]


def main() -> None:
    """Obey until there are no more orders."""
    api.prepare(sys.argv[1], trust=True)
    for line in sys.stdin:
        print(json.dumps(_obey(json.loads(line))), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
