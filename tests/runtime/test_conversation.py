"""Sessions: conversations over many runs and processes, whatever happens to one of them."""

from __future__ import annotations

import logging
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

import massgen_bridge
from massgen_bridge import ConfigError, JournalError, Session, Team, Turn
from massgen_bridge.events import LogLine, Record, RunStarted, TurnStarted
from massgen_bridge.messages import ImagePart, Message, TextPart, user
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.runtime.owner import Owner
from massgen_bridge.runtime.stopped import enter, leave
from massgen_bridge.testing.servers import ModelServer, Text

if TYPE_CHECKING:
    from massgen_bridge import RunResult

CANARY = "sk-canary-0123456789"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))
    return tmp_path


class Echo:
    """Answers with its number; keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[Turn] = []

    def __call__(self, turn: Turn) -> str:
        if turn.question.startswith("Fail"):
            raise ValueError("no")
        self.seen.append(turn)
        return f"answer to {turn.question}"

    def texts(self) -> list[list[str]]:
        return [[message.text for message in turn.messages] for turn in self.seen]


def alone(agent: Any, **more: Any) -> Team:
    return Team(strategy="single").add("ada", agent, **more)


def said(session: Session) -> list[tuple[str, str | None]]:
    return [(turn.question.text, turn.answer) for turn in session.turns]


def started(result: RunResult) -> RunStarted:
    (event,) = [
        record.event
        for record in read_run(RunIndex().path(result.run_id))
        if isinstance(record.event, RunStarted)
    ]
    return event


# --- turns ----------------------------------------------------------------------------------------


def test_each_question_goes_on_from_all_that_was_answered() -> None:
    echo = Echo()
    for question in ("One?", "Two?", "Three?"):
        alone(echo).run(question, session="talk")
    assert echo.texts() == [
        ["One?"],
        ["One?", "answer to One?", "Two?"],
        ["One?", "answer to One?", "Two?", "answer to Two?", "Three?"],
    ]
    assert [turn.number for turn in Session("talk").turns] == [1, 2, 3]
    assert said(Session("talk"))[2] == ("Three?", "answer to Three?")


def test_a_ballot_sees_the_conversation_and_only_what_the_user_saw() -> None:
    config: dict[str, Any] = {
        "version": 1,
        "agents": [
            {"id": "ada", "backend": {"type": "scripted", "answers": ["winning"]}},
            {"id": "lin", "backend": {"type": "scripted", "answers": ["losing"]}},
        ],
    }
    session = Session("talk")
    massgen_bridge.run(config, "One?", session=session)
    records: list[Record] = []
    massgen_bridge.run(config, "Two?", session=session, on_record=records.append)
    turns = [one.event for one in records if isinstance(one.event, TurnStarted)]
    assert [turn.purpose for turn in turns] == ["answer", "answer", "evaluate", "evaluate"]
    for turn in turns:
        assert [message.text for message in turn.turn.messages[:-1]] == ["One?", "winning"]


def test_the_members_of_a_team_in_the_team_see_it_as_well() -> None:
    member = {"type": "scripted", "answers": ["inner"], "votes": ["agent1"]}
    crew = {"type": "team", "agents": [{"id": one, "backend": member} for one in ("x", "y")]}
    config = {
        "version": 1,
        "agents": [
            {"id": "ada", "backend": {"type": "scripted", "answers": ["outer"]}},
            {"id": "crew", "backend": crew},
        ],
    }
    massgen_bridge.run(config, "One?", session="talk")
    massgen_bridge.run(config, "Two?", session="talk")
    rows = [row for row in RunIndex().list(inner=True) if row.within is not None]
    turns = [
        record.event
        for row in rows[: len(rows) // 2]
        for record in read_run(RunIndex().path(row.run_id))
        if isinstance(record.event, TurnStarted)
    ]
    assert {turn.purpose for turn in turns} == {"answer", "evaluate"}
    for turn in turns:
        assert [message.text for message in turn.turn.messages[:2]] == ["One?", "outer"]
        assert turn.turn.messages[2].text.count("One?") == 0
        assert "Two?" in turn.turn.messages[2].text
    assert [turn.run_id for turn in Session("talk").turns] == [
        row.run_id for row in reversed(RunIndex().list())
    ]


def test_a_question_without_an_answer_is_no_part_of_the_conversation() -> None:
    echo = Echo()
    session = Session("talk")
    assert alone(echo).run("Fail!", session=session).status == "failed"
    alone(echo).run("Two?", session=session)
    assert echo.texts() == [["Two?"]]
    assert said(session) == [("Two?", "answer to Two?")]
    assert [turn.status for turn in session.all_turns] == ["failed", "answered"]


def test_the_configuration_may_change_between_turns() -> None:
    echo = Echo()
    alone("scripted", answers=["scripted words"]).run("One?", session="talk")
    Team(strategy="single").add("other", echo).run("Two?", session="talk")
    assert echo.texts() == [["One?", "scripted words", "Two?"]]


def test_an_agent_without_history_gets_one_message() -> None:
    echo = Echo()
    able = massgen_bridge.Capabilities(history=False)
    session = Session()
    alone(echo).run("One?", session=session)

    class Plain:
        async def run(self, turn: Turn, emit: Any) -> Any:
            del emit
            text = echo(turn)
            return massgen_bridge.TurnResult(message=massgen_bridge.assistant(text))

        async def aclose(self) -> None:
            pass

    alone(Plain(), capabilities=able).run("Two?", session=session)
    (only,) = echo.texts()[-1]
    assert "\nOne?\n" in only
    assert "\nanswer to One?\n" in only
    assert only.endswith("Two?")


def test_a_run_says_from_what_it_went_on() -> None:
    first = alone(Echo()).run("One?", session="talk")
    second = alone(Echo()).run("Two?", session="talk")
    conversation = started(second).conversation
    assert conversation is not None
    assert (conversation.session, conversation.forgotten) == ("talk", 0)
    (earlier,) = conversation.earlier
    assert (earlier.run_id, earlier.question) == (first.run_id, user("One?"))
    assert earlier.answer == first.answer
    assert started(alone(Echo()).run("Alone?")).conversation is None


def test_what_does_not_fit_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    session = Session("talk")
    for number in range(3):
        alone("scripted", answers=["x" * 400]).run(f"Question {number}?", session=session)
    with ModelServer(Text("short")) as server:
        model = {
            "provider": "vllm",
            "model": "m",
            "base_url": server.url,
            "context_window": 300,
        }
        config = {
            "version": 1,
            "strategy": "single",
            "models": {"small": model},
            "agents": [{"id": "ada", "backend": {"type": "openai", "model": "small"}}],
        }
        records: list[Record] = []
        with caplog.at_level(logging.WARNING, "massgen_bridge.runtime"):
            massgen_bridge.run(config, "Now?", session=session, on_record=records.append)
        sent = [message["content"] for message in server.requests[0].body["messages"]]
    assert [str(text)[:11] for text in sent] == ["Question 2?", "x" * 11, "Now?"]
    (line,) = [one for one in records if isinstance(one.event, LogLine)]
    assert line.agent_id == "ada"
    assert "2 older turns are left out for 'ada'" in caplog.text
    (first, *_) = [one.event for one in records if isinstance(one.event, RunStarted)]
    assert first.conversation is not None
    assert (len(first.conversation.earlier), first.conversation.forgotten) == (1, 2)


def test_a_picture_stays_in_the_conversation() -> None:
    cat = ImagePart(media_type="image/png", data=b"\x89PNG", name="cat.png")
    asked = Message(role="user", parts=(TextPart(text="What is it?"), cat))
    echo = Echo()
    able = massgen_bridge.Capabilities(inputs=frozenset({"image"}))
    alone(echo, capabilities=able).run(asked, session="talk")
    alone(echo, capabilities=able).run("What colour?", session="talk")
    assert echo.seen[-1].messages[0] == asked


def test_half_a_character_costs_no_turn() -> None:
    echo = Echo()
    alone("scripted").run("broken \ud800", session="talk")
    alone(echo).run("Two?", session="talk")
    assert echo.texts()[0][0] == "broken \N{REPLACEMENT CHARACTER}"


# --- names, places, secrets -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", ".x", "x" * 65, "x\n", "ä"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a session: expected letters"):
        Session(name)


def test_a_session_without_a_name_lives_as_long_as_its_object(data: Path) -> None:
    session = Session()
    assert session.turns == ()
    alone(Echo()).run("One?", session=session, keep=False)
    alone(Echo()).run("Two?", session=session, keep=False)
    assert [question for question, _ in said(session)] == ["One?", "Two?"]
    assert list(data.iterdir()) == []


def test_a_kept_session_needs_kept_runs() -> None:
    with pytest.raises(ConfigError, match="the session 'talk' is kept, and this run is not to be"):
        alone(Echo()).run("One?", session="talk", keep=False)


def test_sessions_are_listed_by_name_and_their_files_are_the_users_alone(data: Path) -> None:
    assert Session.kept() == ()
    for name in ("b", "a"):
        alone(Echo()).run("One?", session=name)
    assert [session.name for session in Session.kept()] == ["a", "b"]
    assert {path.stat().st_mode & 0o777 for path in (data / "sessions").iterdir()} == {0o600}
    assert (data / "sessions").stat().st_mode & 0o777 == 0o700


def test_a_deleted_session_is_gone_and_its_runs_stay(data: Path) -> None:
    result = alone(Echo()).run("One?", session="talk")
    Session("talk").delete()
    assert list((data / "sessions").iterdir()) == []
    assert RunIndex().find(result.run_id)
    assert not Session("talk").exists
    with pytest.raises(JournalError, match="there is no session 'talk'"):
        Session("talk").delete()


def test_no_secret_enters_a_session(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    leak = f"The key is {CANARY}, says the model."
    with ModelServer(Text(leak, chunks=(leak[:20], leak[20:]))) as server:
        model = {
            "provider": "vllm",
            "model": "m",
            "base_url": server.url,
            "api_key": "${CANARY_KEY}",
        }
        config = {
            "version": 1,
            "strategy": "single",
            "models": {"leaky": model},
            "agents": [{"id": "ada", "backend": {"type": "openai", "model": "leaky"}}],
        }
        massgen_bridge.run(config, f"Is it {CANARY}?", session="talk")
    assert CANARY.encode() not in (data / "sessions" / "talk.sqlite").read_bytes()
    assert said(Session("talk")) == [("Is it [secret]?", "The key is [secret], says the model.")]


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
        with anyio.move_on_after(0.3):
            await slow.arun("One?", session="talk")

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
