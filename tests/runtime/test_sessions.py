"""Sessions: conversations over many runs, what agents see of them, and where they are kept."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from runtime.talks import Echo, alone, said

import massgen_bridge
from massgen_bridge import ConfigError, JournalError, Session, Team, Turn
from massgen_bridge.events import LogLine, Record, RunStarted, TurnStarted
from massgen_bridge.messages import ImagePart, Message, TextPart, user
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.testing.servers import ModelServer, Text

if TYPE_CHECKING:
    from massgen_bridge import RunResult

CANARY = "sk-canary-0123456789"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))
    return tmp_path


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
    assert "older turns left out for 'ada': 2" in caplog.text
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
    assert (repr(session), repr(Session("talk"))) == ("Session()", "Session('talk')")


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
