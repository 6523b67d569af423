"""The journal: what was committed stays, what waits is bounded, secrets never enter."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread
from runtime.records import (
    RUN_ID,
    answered,
    delta,
    log,
    one_of_each,
    record,
    text_of,
    thought,
)

from massgen_bridge.errors import JournalError
from massgen_bridge.events import ToolCallStarted
from massgen_bridge.messages import ToolCall
from massgen_bridge.runtime.journal import Journal, read_header, read_run

if TYPE_CHECKING:
    from massgen_bridge.events import Record

pytestmark = pytest.mark.anyio

# The tests' own modules, for the processes that they start.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
SECRET = "sk-proj-A1b2C3d4"  # noqa: S105 - a canary


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"{RUN_ID}.sqlite"


def _seqs(path: Path) -> list[int]:
    return [kept.seq for kept in read_run(path)]


async def _stored(path: Path) -> list[Record]:
    return await to_thread.run_sync(lambda: list(read_run(path)))


async def _stored_seqs(path: Path) -> list[int]:
    return [kept.seq for kept in await _stored(path)]


def _bytes_beside(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


async def test_what_was_written_reads_back_as_it_was(path: Path) -> None:
    async with Journal.create(path, RUN_ID) as journal:
        await journal.commit(one_of_each())

    assert await _stored(path) == one_of_each()


async def test_a_commit_returns_when_all_that_was_appended_is_durable(path: Path) -> None:
    async with Journal.create(path, RUN_ID) as journal:
        journal.append([delta(1, "a"), log(2)])
        journal.append([delta(3, "b")])
        await journal.commit([answered(4)])

        assert await _stored_seqs(path) == [1, 2, 3, 4]


async def test_what_is_appended_becomes_durable_without_a_commit(path: Path) -> None:
    async with Journal.create(path, RUN_ID) as journal:
        await journal.commit([answered(1)])
        journal.append([delta(2, "a")])
        await anyio.sleep(0.1)
        early = await _stored_seqs(path)
        await anyio.sleep(2)

        assert early == [1]
        assert await _stored_seqs(path) == [1, 2]


async def test_deltas_wait_for_company(path: Path) -> None:
    async with Journal.create(path, RUN_ID) as journal:
        await journal.commit([answered(1)])
        before = journal.transactions
        for seq in range(2, 102):
            journal.append([delta(seq, "x")])
            await anyio.sleep(0.001)
        await journal.commit()

        assert journal.transactions - before <= 3
    assert text_of(await _stored(path)) == "x" * 100
    assert len(await _stored_seqs(path)) <= 4


async def test_a_thousand_that_commit_at_once_share_a_few_transactions(path: Path) -> None:
    async with Journal.create(path, RUN_ID) as journal:
        async with anyio.create_task_group() as tasks:
            for seq in range(1, 1001):
                tasks.start_soon(journal.commit, [answered(seq, turn_id=f"turn-{seq}")])

        assert journal.transactions <= 20
        assert await _stored_seqs(path) == list(range(1, 1001))


async def test_a_commit_of_nothing_costs_nothing(path: Path) -> None:
    async with Journal.create(path, RUN_ID) as journal:
        await journal.commit([answered(1)])
        before = journal.transactions
        for _ in range(100):
            await journal.commit()

        assert journal.transactions == before == 1


async def test_a_cancelled_commit_leaves_the_others_alone(path: Path) -> None:
    cancelled = False
    async with Journal.create(path, RUN_ID) as journal:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.commit, [answered(1)])
            with anyio.CancelScope() as scope:
                scope.cancel()
                try:
                    await journal.commit([answered(2)])
                except anyio.get_cancelled_exc_class():
                    cancelled = True
                    raise
        await journal.commit([answered(3)])

        assert cancelled
        assert await _stored_seqs(path) == [1, 2, 3]


async def test_closing_writes_what_is_left_also_when_cancelled(path: Path) -> None:
    journal = Journal.create(path, RUN_ID)
    with anyio.CancelScope() as scope:
        journal.append([answered(1)])
        scope.cancel()
        await journal.aclose()

    assert await _stored_seqs(path) == [1]


def test_closing_works_without_an_event_loop(path: Path) -> None:
    journal = Journal.create(path, RUN_ID)
    journal.append([answered(1)])
    journal.close()
    journal.close()

    assert _seqs(path) == [1]


async def test_a_closed_journal_takes_nothing_more(path: Path) -> None:
    journal = Journal.create(path, RUN_ID)
    await journal.aclose()
    await journal.aclose()

    with pytest.raises(JournalError, match="is closed"):
        journal.append([answered(1)])
    with pytest.raises(JournalError, match="is closed"):
        await journal.commit()


async def test_a_journal_that_cannot_be_made_says_so_at_the_first_commit(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "missing" / "run.sqlite", RUN_ID)

    with pytest.raises(JournalError, match=r"cannot be written: .*No such file"):
        await journal.commit()
    with pytest.raises(JournalError, match="cannot be written"):
        journal.append([answered(1)])
    with pytest.raises(JournalError, match="cannot be written"):
        await journal.aclose()


async def test_a_run_that_exists_is_not_written_over(path: Path) -> None:
    async with Journal.create(path, RUN_ID) as journal:
        await journal.commit([answered(1)])
    second = Journal.create(path, RUN_ID)

    with pytest.raises(JournalError, match="File exists"):
        await second.commit([answered(2)])

    assert await _stored_seqs(path) == [1]


async def test_a_record_that_json_cannot_hold_harms_no_other(path: Path) -> None:
    arguments: dict[str, object] = {"what": object, "half": "\ud83d"}
    arguments["self"] = arguments
    call = ToolCall.model_construct(call_id="c", name="n", arguments=arguments)
    odd = record(2, ToolCallStarted.model_construct(call=call))

    async with Journal.create(path, RUN_ID) as journal:
        await journal.commit([answered(1), odd, answered(3)])

    assert await _stored_seqs(path) == [1, 2, 3]


# A file may grow to 1 MB here, as on a disk that is full; each committer is told, and what comes
# later too.
FULL_DISK = """
import resource, signal, sys
import anyio
from massgen_bridge.errors import JournalError
from massgen_bridge.runtime.journal import Journal
from runtime.records import answered

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
told = []

async def commit(journal, seq):
    try:
        await journal.commit([answered(seq, "x" * 100_000)])
    except JournalError as error:
        told.append(str(error))

async def main():
    journal = Journal.create(sys.argv[1], "run")
    await journal.commit([answered(1)])
    async with anyio.create_task_group() as tasks:
        for seq in range(2, 52):
            tasks.start_soon(commit, journal, seq)
    assert len(told) == 50, told
    for attempt in (lambda: journal.append([answered(99)]), journal.close):
        try:
            attempt()
        except JournalError as error:
            told.append(str(error))
    assert len(told) == 52, told
    print(told[0])
    print(told[-1])

anyio.run(main)
"""


def test_a_full_disk_is_told_to_everyone(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert line.startswith(f"the journal {str(path)!r} cannot be written: ")
    assert _seqs(path) == [1]


COMMIT_FOREVER = """
import itertools, sys
import anyio
from massgen_bridge.runtime.journal import Journal
from runtime.records import answered, delta

async def main():
    journal = Journal.create(sys.argv[1], "run")
    for seq in itertools.count(1, 2):
        journal.append([delta(seq, "x", turn_id=f"turn-{seq}")])
        await journal.commit([answered(seq + 1)])
        print(seq + 1, flush=True)

anyio.run(main)
"""


def test_a_killed_run_keeps_everything_that_was_acknowledged(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMIT_FOREVER, str(path)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(100)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]

    assert process.returncode == -signal.SIGKILL
    kept = _seqs(path)
    assert kept[: acknowledged[-1]] == list(range(1, acknowledged[-1] + 1))
    assert len(kept) <= acknowledged[-1] + 2
    assert path.with_name(f"{path.name}-wal").exists()


def test_a_journal_left_open_holds_up_no_exit(path: Path) -> None:
    code = (
        "import sys\nfrom massgen_bridge.runtime.journal import Journal\n"
        "journal = Journal.create(sys.argv[1], 'run')\n"
    )
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=20)
    assert time.monotonic() - start < 10


async def test_what_waits_for_a_slow_disk_is_bounded(path: Path) -> None:
    journal = Journal.create(path, RUN_ID)
    await journal.commit([answered(1)])
    crowded = False
    text = "x" * 2**18

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # now the journal's next transaction has to wait
        for seq in range(2, 1002):
            journal.append([delta(seq, text)])
            crowded |= journal.is_crowded
            await anyio.lowlevel.checkpoint()
        journal.append([answered(1002)])
        left_out = journal.left_out
        other.execute("ROLLBACK")
    await journal.aclose()

    assert crowded
    assert 400 < left_out < 1000
    header = await to_thread.run_sync(read_header, path)
    assert header is not None
    assert header.left_out == left_out
    assert text_of(await _stored(path)) == text * (1000 - left_out)
    assert (await _stored_seqs(path))[-1] == 1002


async def test_a_producer_that_heeds_the_crowd_loses_nothing(path: Path) -> None:
    text = "x" * 2**18
    async with Journal.create(path, RUN_ID) as journal:
        for seq in range(1, 401):
            journal.append([delta(seq, text)])
            if journal.is_crowded:
                await journal.commit()
                assert not journal.is_crowded

        assert journal.left_out == 0
    assert text_of(await _stored(path)) == text * 400


def _split_everywhere() -> list[Record]:
    """Turns in which the secret is split at every place, with and without something between."""
    records: list[Record] = []
    for at in range(1, len(SECRET)):
        for between in ("nothing", "log", "thought"):
            turn_id = f"{between}-{at}"
            records.append(delta(len(records) + 1, f"It is {SECRET[:at]}", turn_id=turn_id))
            if between != "nothing":
                make = log if between == "log" else thought
                records.append(make(len(records) + 1, "well", turn_id=turn_id))
            records.append(delta(len(records) + 1, f"{SECRET[at:]}!", turn_id=turn_id))
    return records


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
async def test_no_secret_is_stored_wherever_deltas_split_it(path: Path, size: int) -> None:
    records = _split_everywhere()
    async with Journal.create(path, RUN_ID, secrets=[SECRET]) as journal:
        for first in range(0, len(records), size):
            await journal.commit(records[first : first + size])
        assert SECRET[4:].encode() not in await to_thread.run_sync(_bytes_beside, path)

    assert SECRET[4:].encode() not in await to_thread.run_sync(_bytes_beside, path)
    stored = await _stored(path)
    for at in range(1, len(SECRET)):
        assert text_of(stored, f"nothing-{at}") == "It is [secret]!"
        shown = SECRET[:at] if at < 4 else ""
        assert text_of(stored, f"log-{at}") == f"It is {shown}[secret]!"
        assert text_of(stored, f"thought-{at}") == f"It is {shown}[secret]!"


async def test_no_secret_is_stored_from_any_other_record(path: Path) -> None:
    async with Journal.create(path, RUN_ID, secrets=[SECRET, "another-secret"]) as journal:
        await journal.commit([answered(1, f"It is {SECRET}."), log(2, f"key={SECRET}")])
        await journal.commit([answered(3, "nothing to hide"), answered(4, "an another-secret")])

    assert SECRET.encode() not in _bytes_beside(path)
    texts = [kept.event.text for kept in await _stored(path)]  # type: ignore[union-attr]
    assert texts == ["It is [secret].", "key=[secret]", "nothing to hide", "an [secret]"]


async def test_text_that_could_have_become_a_secret_is_stored_in_the_end(path: Path) -> None:
    async with Journal.create(path, RUN_ID, secrets=[SECRET]) as journal:
        await journal.commit([delta(1, "It is sk-")])
        assert await _stored(path) == []

    assert text_of(await _stored(path)) == "It is sk-"
