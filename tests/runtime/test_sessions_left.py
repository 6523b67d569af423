"""Sessions whose turns were left in the middle, and files that are no sessions."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from runtime.talks import Echo, alone, said

import massgen_bridge
from massgen_bridge import JournalError, Session
from massgen_bridge.messages import user
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.owner import Owner
from massgen_bridge.runtime.stopped import enter, leave

if TYPE_CHECKING:
    from massgen_bridge import Record, RunResult

CANARY = "sk-canary-0123456789"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))
    return tmp_path


# --- turns that were left in the middle -----------------------------------------------------------


def test_two_turns_at_once_in_one_process_are_refused() -> None:
    refused: list[str] = []
    gate = threading.Event()

    def wait(question: str) -> str:
        gate.wait(20)
        return question

    async def ask(question: str) -> None:
        try:
            await alone(wait).arun(question, session="talk")
        except JournalError as error:
            refused.append(str(error))
            gate.set()

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "One?")
            tasks.start_soon(ask, "Two?")

    anyio.run(both)
    assert len(refused) == 1
    assert "the session 'talk' is in use: this very process runs a turn in it" in refused[0]
    assert len(Session("talk").turns) == 1


def set_owner(data: Path, owner: Owner, status: str = "running") -> None:
    """Make the last turn look as one of another process that has not written its end."""
    with closing(sqlite3.connect(data / "sessions" / "talk.sqlite")) as file:
        file.execute(
            "UPDATE turns SET owner = ?, status = ?, answer = NULL"
            " WHERE number = (SELECT max(number) FROM turns)",
            (owner.model_dump_json(), status),
        )
        file.commit()


def other() -> Owner:
    """A process that lives, and is not this one."""
    return Owner(host=Owner.this_process().host, pid=os.getppid())


def gone() -> Owner:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return Owner(host=Owner.this_process().host, pid=process.pid)


def without_end(result: RunResult) -> None:
    """Take the last record of a run away."""
    with closing(sqlite3.connect(RunIndex().path(result.run_id))) as file:
        file.execute("DELETE FROM records WHERE seq = (SELECT max(seq) FROM records)")
        file.commit()


def test_a_session_that_another_process_uses_is_left_alone(data: Path) -> None:
    result = alone(Echo()).run("One?", session="talk")
    without_end(result)
    set_owner(data, other())
    said = rf"process {os.getppid()} of this machine runs a turn in it \({result.run_id}\)"
    with pytest.raises(JournalError, match=said):
        alone(Echo()).run("Two?", session="talk")
    with pytest.raises(JournalError, match=said):
        Session("talk").delete()
    set_owner(data, Owner(host="elsewhere", pid=1))
    with pytest.raises(JournalError, match="process 1 of the machine 'elsewhere'"):
        alone(Echo()).run("Two?", session="talk")
    assert [turn.status for turn in Session("talk").all_turns] == ["running"]


@pytest.mark.parametrize("who", [gone, other])
def test_a_turn_that_ended_unwritten_is_taken_from_its_journal(data: Path, who: Any) -> None:
    alone(Echo()).run("One?", session="talk")
    set_owner(data, who())
    assert said(Session("talk")) == [("One?", "answer to One?")]
    echo = Echo()
    alone(echo).run("Two?", session="talk")
    assert echo.texts() == [["One?", "answer to One?", "Two?"]]
    with closing(sqlite3.connect(data / "sessions" / "talk.sqlite")) as file:
        rows = file.execute("SELECT status, answer FROM turns ORDER BY number").fetchall()
    assert rows[0] == ("answered", "answer to One?")


def test_a_turn_whose_process_is_gone_keeps_its_place_until_it_is_resumed(data: Path) -> None:
    result = alone(Echo()).run("One?", session="talk")
    without_end(result)
    set_owner(data, gone())
    assert [turn.status for turn in Session("talk").all_turns] == ["interrupted"]
    echo = Echo()
    alone(echo).run("Two?", session="talk")
    assert echo.texts() == [["Two?"]]
    massgen_bridge.resume(result.run_id, alone(Echo()))
    assert said(Session("talk")) == [("One?", "answer to One?"), ("Two?", "answer to Two?")]


def test_a_resumed_turn_is_shown_what_it_was_shown_before(data: Path) -> None:
    alone(Echo()).run("One?", session="talk")
    result = alone(Echo()).run("Two?", session="talk")
    with closing(sqlite3.connect(RunIndex().path(result.run_id))) as file:
        file.execute("DELETE FROM records WHERE seq > 2")
        file.commit()
    set_owner(data, gone())
    shutil.move(data / "sessions" / "talk.sqlite", data / "away")
    echo = Echo()
    again = massgen_bridge.resume(result.run_id, alone(echo))
    assert again.answer == "answer to Two?"
    assert echo.texts() == [["One?", "answer to One?", "Two?"]]
    # The session is gone meanwhile, and nobody makes it again.
    assert not Session("talk").exists


def test_a_turn_whose_run_never_began_is_forgotten(data: Path) -> None:
    result = alone(Echo()).run("One?", session="talk")
    set_owner(data, gone())
    RunIndex().path(result.run_id).unlink()
    assert Session("talk").all_turns == ()
    echo = Echo()
    alone(echo).run("Two?", session="talk")
    assert echo.texts() == [["Two?"]]
    assert len(Session("talk").all_turns) == 1


def test_a_turn_whose_journal_cannot_be_read_does_not_block_the_session(data: Path) -> None:
    result = alone(Echo()).run("One?", session="talk")
    set_owner(data, gone())
    RunIndex().path(result.run_id).write_bytes(b"torn" * 500)
    alone(Echo()).run("Two?", session="talk")
    assert [turn.status for turn in Session("talk").all_turns] == ["interrupted", "answered"]


def test_a_cancelled_turn_is_completed_by_resuming_it() -> None:
    gate = threading.Event()
    slow = alone(lambda question: (gate.wait(20), f"late {question}")[1])

    async def ask() -> None:
        def stop(record: Record) -> None:
            if record.event.type == "turn_started":
                scope.cancel()

        with anyio.CancelScope() as scope:
            await slow.arun("One?", session="talk", on_record=stop)

    anyio.run(ask)
    gate.set()
    (turn,) = Session("talk").all_turns
    assert (turn.status, turn.answer) == ("cancelled", None)
    massgen_bridge.resume(turn.run_id, slow)
    assert said(Session("talk")) == [("One?", "late One?")]


def test_a_session_that_cannot_be_written_at_the_end_costs_no_answer(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(question: str) -> str:
        file = data / "sessions" / "talk.sqlite"
        shutil.copy(file, data / "copy")
        file.write_bytes(b"no database, " * 500)
        return question

    result = alone(answer).run("One?", session="talk")
    assert result.answer == "One?"
    assert "cannot be used: file is not a database" in caplog.text
    shutil.move(data / "copy", data / "sessions" / "talk.sqlite")
    assert said(Session("talk")) == [("One?", "One?")]


# --- files that are none --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("PRAGMA user_version = 99; PRAGMA application_id = 0x4D474253", "a newer massgen-bridge"),
        ("PRAGMA application_id = 7", "is an SQLite file, but not a session"),
    ],
)
def test_a_file_that_is_no_session_of_this_version_is_left_alone(
    data: Path, script: str, problem: str
) -> None:
    path = data / "sessions" / "talk.sqlite"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as file:
        file.executescript(script)
    before = path.read_bytes()
    for use in (lambda: Session("talk").turns, lambda: Session("talk").begin("r", user("q"))):
        with pytest.raises(JournalError, match=problem):
            use()
    assert path.read_bytes() == before


def test_a_session_that_is_deleted_while_it_is_opened_loses_nothing_silently(data: Path) -> None:
    alone(Echo()).run("One?", session="talk")
    path = data / "sessions" / "talk.sqlite"
    problems: list[str] = []

    def begin() -> None:
        try:
            Session("talk").begin("r", user("q"))
        except JournalError as error:
            problems.append(str(error))

    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=begin)
        waiting.start()
        waiting.join(0.3)  # it waits for the transaction
        path.unlink()
        file.execute("COMMIT")
    waiting.join(15)
    assert problems == ["the session 'talk' has just been deleted"]


def test_a_folder_that_cannot_be_made_is_one_clear_error(data: Path) -> None:
    (data / "sessions").write_text("no folder")
    with pytest.raises(JournalError, match=r"the session .* cannot be used"):
        alone(Echo()).run("One?", session="talk")


def test_a_run_that_is_under_way_here_is_running() -> None:
    session = Session("talk")
    enter("run-1")
    try:
        assert session.begin("run-1", user("q")) == ()
        assert [turn.status for turn in session.all_turns] == ["running"]
        session.finish("run-1", "answered", "  ")
    finally:
        leave("run-1")
    # What nobody could show to a model is left out.
    assert session.begin("run-2", user("q")) == ()
    assert session.resume("run-3") is False
