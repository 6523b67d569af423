"""Pictures and other files in a journal: each once, by its content, whatever names it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from anyio import to_thread
from runtime.records import RUN_ID, record

from massgen_bridge.agent import Turn
from massgen_bridge.errors import JournalError
from massgen_bridge.events import Record, ToolCallFinished, TurnStarted
from massgen_bridge.messages import DocumentPart, ImagePart, Message, TextPart, ToolResult
from massgen_bridge.runtime.journal import Journal, read_run
from massgen_bridge.runtime.journal_file import take_over
from massgen_bridge.runtime.rewrite import encode, media_name

pytestmark = pytest.mark.anyio

OLD = Path(__file__).parent / "data" / "version-1.sqlite"
PICTURE = bytes(range(256)) * 400
SECRET = "sk-proj-A1b2C3d4"  # noqa: S105 - a canary


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"{RUN_ID}.sqlite"


def _started(seq: int, *data: bytes) -> Record:
    parts = [ImagePart(media_type="image/png", data=one, name=f"{seq}.png") for one in data]
    message = Message(role="user", parts=(TextPart(text="What is it?"), *parts))
    turn = Turn(run_id=RUN_ID, turn_id="a.1", agent_id="a", messages=(message,))
    return record(seq, TurnStarted(purpose="answer", round=0, turn=turn))


def _tool(seq: int, data: bytes) -> Record:
    picture = ImagePart(media_type="image/png", data=data)
    result = ToolResult(call_id="1", name="look", content="Here.", media=(picture,))
    return record(seq, ToolCallFinished(result=result))


async def _kept(path: Path) -> list[Record]:
    return await to_thread.run_sync(lambda: list(read_run(path)))


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


async def test_media_that_many_records_hold_are_stored_once(path: Path) -> None:
    # Copies, as they come from another process: the same content, not the same object.
    records = [_started(n, PICTURE[:], bytes(bytearray(PICTURE))) for n in range(1, 20)]
    records.append(_tool(20, bytes(bytearray(PICTURE))))

    async with Journal.create(path, RUN_ID) as journal:
        for one in records:
            await journal.commit([one])

    assert await _kept(path) == records
    assert len(PICTURE) < len(_bytes(path)) < 1.5 * len(PICTURE)


async def test_a_secret_in_a_file_is_stored_nowhere(path: Path) -> None:
    letter = DocumentPart(media_type="text/plain", data=f"my key: {SECRET}.".encode())
    message = Message(role="user", parts=(letter,))
    turn = Turn(run_id=RUN_ID, turn_id="a.1", agent_id="a", messages=(message,))
    started = TurnStarted(purpose="answer", round=0, turn=turn)

    async with Journal.create(path, RUN_ID, secrets=[SECRET]) as journal:
        await journal.commit([record(1, started), record(2, started)])

    events = [one.event for one in await _kept(path)]
    parts = [one.turn.messages[0].parts[0] for one in events if isinstance(one, TurnStarted)]
    assert [getattr(part, "data", None) for part in parts] == [b"my key: [secret]."] * 2
    assert SECRET.encode() not in _bytes(path)


async def test_a_run_of_an_older_version_goes_on_with_media(tmp_path: Path) -> None:
    path = tmp_path / OLD.name
    shutil.copy(OLD, path)
    before = await _kept(path)
    fresh = _tool(before[-1].seq + 1, PICTURE).model_copy(update={"run_id": before[0].run_id})

    await to_thread.run_sync(take_over, path, lambda _header, _last: None)
    async with Journal.reopen(path, before[0].run_id) as journal:
        await journal.commit([fresh])

    assert await _kept(path) == [*before, fresh]


async def test_media_that_are_gone_are_named(path: Path) -> None:
    async with Journal.create(path, RUN_ID) as journal:
        await journal.commit([_tool(1, PICTURE)])
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("DELETE FROM media")

    with pytest.raises(JournalError, match=r"lacks the file 'sha256:[0-9a-f]{64}'"):
        await _kept(path)


def test_a_line_of_json_names_media_by_their_content() -> None:
    line = encode(_tool(1, PICTURE), media_name)

    assert f'"data":"{media_name(PICTURE)}"' in line
