"""Recorded runs, and what a replay makes of them."""

from __future__ import annotations

import logging
import stat
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from runtime.tapes import (
    KEY,
    NOWHERE,
    QUESTION,
    asking,
    calls_of,
    gist,
    lines_of,
    one_by_one,
    recorded,
    replayed,
    team,
    without_lines,
)

from massgen_bridge import Team, arun, resume, run
from massgen_bridge.errors import CassetteError, JournalError, ReplayDiverged
from massgen_bridge.events import ModelRetried, RunFinished, RunStarted
from massgen_bridge.testing.servers import (
    Disconnect,
    EndsEarly,
    ErrorEvent,
    Hang,
    HttpError,
    MalformedSSE,
    ModelServer,
    Structured,
    Text,
)

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.events import Record
    from massgen_bridge.testing.servers import ModelRequest, Reply

VOTE = {"vote": "agent2", "reason": "It says why."}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CANARY_KEY", KEY)


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def voting(request: ModelRequest) -> Reply:
    """Answers that differ by agent, and votes for the second."""
    if "response_format" in request.body:
        return Structured(VOTE)
    return Text(f"The answer of {request.body['messages'][0]['content']}")


ADA = asking("ada", system_message="ada")
LIN = asking("lin", system_message="lin")


def test_a_replay_gives_the_same_result_without_a_server_or_a_key(
    tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    then, _ = recorded(tape, voting, ADA, LIN)
    monkeypatch.delenv("CANARY_KEY")
    now, records = replayed(tape, ADA, LIN)
    assert now.answer in {"The answer of ada", "The answer of lin"}
    assert gist(now) == gist(then)
    assert isinstance(records[0].event, RunStarted)
    assert records[0].event.replayed_from == str(tape)


def test_ballots_in_text_have_the_marks_that_were_recorded(tape: Path) -> None:
    def by_mark(request: ModelRequest) -> Reply:
        text = str(request.body["messages"])
        marks = [word for word in text.replace("\\n", " ").split() if word.startswith("vote-")]
        return Text("So." if not marks else f"```{marks[0]}\nagent1\n```")

    agents = [asking("ada", ballot="text"), asking("lin", ballot="text", system_message="x")]
    then, _ = recorded(tape, by_mark, *agents)
    now, _ = replayed(tape, *agents)
    assert gist(now) == gist(then)


def test_errors_and_retries_are_part_of_it_but_no_waits(tape: Path) -> None:
    replies: list[Reply] = [
        HttpError(status=429, retry_after=1),
        Disconnect(),
        Disconnect(after=2),
        EndsEarly(),
        ErrorEvent(),
        MalformedSSE(),
        Text("At last."),
    ]
    alone = {"strategy": {"type": "single"}}
    patient = {"retry": {"attempts": 7, "base_s": 0.01, "max_s": 0.02}}
    then, told = recorded(tape, one_by_one(*replies), ADA, model=patient, **alone)
    now, again = replayed(tape, ADA, model=patient, **alone)
    assert now.answer == "At last."
    assert gist(now) == gist(then)
    kinds = [one.event.kind for one in again if isinstance(one.event, ModelRetried)]
    assert kinds == [one.event.kind for one in told if isinstance(one.event, ModelRetried)]
    assert len(kinds) == 6
    assert then.duration_s > 1 > now.duration_s


def test_an_agent_that_is_refused_is_refused_again(tape: Path) -> None:
    def refusing(request: ModelRequest) -> Reply:
        refused = request.body["messages"][0]["content"] == "lin"
        return HttpError(status=401) if refused else Text("Yes.")

    then, _ = recorded(tape, refusing, ADA, LIN)
    now, _ = replayed(tape, ADA, LIN)
    assert [one.kind for one in now.errors] == ["auth"]
    assert gist(now) == gist(then)


def test_a_silence_that_ended_a_turn_ends_it_at_once(tape: Path) -> None:
    def silent(request: ModelRequest) -> Reply:
        hangs = request.body["messages"][0]["content"] == "lin"
        return Hang(after=2) if hangs else Text("Yes.")

    lin = {**LIN, "limits": {"idle_s": 1}}
    then, _ = recorded(tape, silent, ADA, lin)
    assert [one.kind for one in then.errors] == ["timeout"]
    now, _ = replayed(tape, ADA, lin)
    assert gist(now) == gist(then)
    assert now.duration_s < 1 < then.duration_s


def test_teams_within_a_team_are_part_of_it(tape: Path) -> None:
    crew = {"type": "team", "agents": [ADA, LIN]}
    agents = [{"id": "crew", "backend": crew}, asking("bob", system_message="bob")]
    then, _ = recorded(tape, voting, *agents)
    assert {"crew/ada", "crew/lin", "bob"} == {call["agent"] for call in calls_of(tape)}
    now, _ = replayed(tape, *agents)
    assert gist(now) == gist(then)


def test_agents_without_a_model_run_themselves(tape: Path) -> None:
    scripted = {"id": "bot", "backend": {"type": "scripted", "answers": ["My own."]}}
    then, _ = recorded(tape, voting, ADA, scripted)
    now, _ = replayed(tape, ADA, scripted)
    assert gist(now) == gist(then)
    assert {call["agent"] for call in calls_of(tape)} == {"ada"}


# --- what does not fit ----------------------------------------------------------------------------


def test_another_request_ends_the_run_and_names_the_first_difference(tape: Path) -> None:
    recorded(tape, voting, ADA, LIN)
    records: list[Any] = []
    other = {**LIN, "system_message": "lin, the second"}
    with pytest.raises(ReplayDiverged) as caught:
        run(team(NOWHERE, ADA, other), QUESTION, replay=tape, on_record=records.append, keep=False)
    text = str(caught.value)
    assert "agent 'lin' asks (its call 1, in turn 'lin.1') what was not recorded" in text
    assert "character 4 of messages[0].content: asked 'lin, the second', recorded 'lin'" in text
    assert "\n" not in text
    finished = records[-1].event
    assert isinstance(finished, RunFinished)
    assert finished.result.status == "failed"
    assert finished.result.message == text


def test_a_call_more_than_recorded_is_told(tape: Path) -> None:
    recorded(tape, Text("Yes."), ADA, strategy="single")
    without_lines(tape, [2])
    with pytest.raises(ReplayDiverged, match="the cassette has no call of this agent"):
        replayed(tape, ADA, strategy="single")


def test_calls_that_nobody_asks_for_are_told(tape: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorded(tape, voting, ADA, LIN)
    with caplog.at_level(logging.WARNING):
        replayed(tape, ADA, LIN, strategy="single")
    assert "were not asked for" in caplog.text
    assert "of 'lin'" in caplog.text


def test_a_cassette_that_was_cut_off_works_up_to_there(
    tape: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorded(tape, voting, ADA, LIN)
    whole = tape.read_bytes()
    two = whole.index(b"\n", whole.index(b'"call": 2'))
    tape.write_bytes(whole[: two - 40])
    with caplog.at_level(logging.WARNING), pytest.raises(ReplayDiverged, match="was cut off"):
        replayed(tape, ADA, LIN)
    assert "was cut off; model calls in it: 2" in caplog.text


@pytest.mark.parametrize(
    ("agents", "difference"),
    [
        ([ADA], "the agents 'ada', 'lin'; the configuration has 'ada'"),
        (
            [ADA, {"id": "lin", "backend": {"type": "scripted", "answers": ["x"]}}],
            "'lin' of kind 'openai' with model 'm'; here it is 'lin' of kind 'scripted'",
        ),
    ],
)
def test_another_team_is_refused_at_once(tape: Path, agents: list[Any], difference: str) -> None:
    recorded(tape, voting, ADA, LIN)
    with pytest.raises(CassetteError) as caught:
        replayed(tape, *agents)
    assert difference in str(caught.value)


def test_another_question_is_refused_at_once(tape: Path) -> None:
    recorded(tape, voting, ADA)
    with pytest.raises(CassetteError, match=r"is of another question: .*'Which is it"):
        run(team(NOWHERE, ADA), "Why?", replay=tape, keep=False)


def test_a_session_and_a_cassette_do_not_go_together(tape: Path) -> None:
    with pytest.raises(CassetteError, match="leave the session out"):
        run(team(NOWHERE, ADA), "Why?", record=tape, session="talk")
    assert not tape.exists()


def test_recording_and_replaying_at_once_is_refused(tape: Path) -> None:
    with pytest.raises(CassetteError, match="one of `record` and `replay`"):
        run(team(NOWHERE, ADA), "Why?", record=tape, replay=tape)


def test_a_file_that_is_there_is_not_overwritten(tape: Path) -> None:
    tape.write_text("mine")
    with pytest.raises(CassetteError, match="overwrites nothing"):
        run(team(NOWHERE, ADA), "Why?", record=tape)
    assert tape.read_text() == "mine"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="in a folder that is there"):
        run(team(NOWHERE, ADA), "Why?", record=tmp_path / "no" / "c.jsonl", keep=False)


def test_a_replay_that_was_stopped_is_not_resumed(
    tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = {"id": "bot", "backend": {"type": "scripted", "answers": ["x"], "delay_s": 0.3}}
    recorded(tape, voting, ADA, slow)

    async def stopped() -> None:
        def stop(record: Record) -> None:
            if record.event.type == "turn_started":
                scope.cancel()

        with anyio.CancelScope() as scope:
            await arun(team(NOWHERE, ADA, slow), QUESTION, replay=tape, on_record=stop)

    anyio.run(stopped)
    monkeypatch.delenv("CANARY_KEY")
    with pytest.raises(JournalError, match="is a replay of the cassette"):
        resume("last")


def test_a_team_within_a_team_that_does_not_fit_ends_the_whole_run(tape: Path) -> None:
    crew = {"type": "team", "agents": [ADA, LIN]}
    agents = [{"id": "crew", "backend": crew}, asking("bob", system_message="bob")]
    recorded(tape, voting, *agents)
    other = {"type": "team", "agents": [ADA, {**LIN, "system_message": "other"}]}
    with pytest.raises(ReplayDiverged, match=r"agent 'crew/lin' asks \(its call 1"):
        replayed(tape, {"id": "crew", "backend": other}, agents[1])


def test_several_agents_that_do_not_fit_are_one_error(tape: Path) -> None:
    recorded(tape, voting, ADA, LIN)
    others = [{**one, "system_message": "other"} for one in (ADA, LIN)]
    with pytest.raises(ReplayDiverged):
        replayed(tape, *others)


def test_a_team_of_code_is_recorded_as_well(tape: Path) -> None:
    with ModelServer(Text("Yes.")) as server:
        models = team(server.url)["models"]
        there = Team(models=models, strategy="single")
        there.add("ada", "openai", model="one")
        there.run(QUESTION, record=tape, keep=False)
    here = Team(models=team(NOWHERE)["models"], strategy="single")
    here.add("ada", "openai", model="one")
    assert here.run(QUESTION, replay=tape, keep=False).answer == "Yes."


# --- secrets --------------------------------------------------------------------------------------

SPLIT = Text(f"It is {KEY}, is it?", chunks=("It is sk-ca", "nary-01", "23456789, is it?"))


def test_the_file_is_for_this_user_alone(tape: Path) -> None:
    recorded(tape, voting, ADA)
    assert stat.S_IMODE(tape.stat().st_mode) == 0o600


def test_no_secret_enters_a_cassette(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_TOKEN", "canary-of-the-environment")
    monkeypatch.setenv("HEADER", "canary-in-a-header")

    def leaking(request: ModelRequest) -> Reply:
        if request.body["messages"][0]["content"] == "lin":
            return Text("canary-of-the-environment canary-in-a-header")
        return SPLIT

    model = {
        "headers": {"X-Team": "${HEADER}"},
        "extra_body": {"metadata": {"api_key": "canary-in-the-body"}, "top_k": 4},
    }
    then, _ = recorded(tape, leaking, ADA, LIN, model=model)
    text = tape.read_text()
    assert "canary" not in text
    assert "nary-01" not in text
    assert text.count("[secret]") > 6
    for name in ("OTHER_TOKEN", "HEADER", "CANARY_KEY"):
        monkeypatch.delenv(name)
    now, _ = replayed(tape, ADA, LIN, model=model)
    assert now.calls == then.calls
    answers = {answer.authors[0]: answer.text for answer in now.answers}
    assert answers["ada"] == "It is [secret], is it?"
    assert then.winner == now.winner


def test_a_stream_that_breaks_off_within_a_key_gives_none_of_it_away(tape: Path) -> None:
    broken = Disconnect(
        after=2, answer=Text(f"It is {KEY}", chunks=("It is sk-canary", "-0123", "456789"))
    )
    recorded(tape, one_by_one(broken, Text("Yes.")), ADA, strategy="single")
    assert "sk-canary" not in tape.read_text()
    assert "-0123" not in tape.read_text()


def test_a_key_in_the_question_is_masked_and_still_matches(
    tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer(Text("Yes.")) as server:
        run(team(server.url, ADA), f"Is it {KEY}?", record=tape, keep=False)
    assert KEY not in tape.read_text()
    assert lines_of(tape)[0]["question"] == "Is it [secret]?"
    monkeypatch.delenv("CANARY_KEY")
    result = run(team(NOWHERE, ADA), f"Is it {KEY}?", replay=tape, keep=False)
    assert result.answer == "Yes."


def test_what_an_address_gives_away_does_not_enter(
    tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer(Text("It is canary-in-an-address.")) as server:
        address = server.url.replace("http://", "http://me:canary-in-an-address@")
        monkeypatch.setenv("WHERE", address)
        result = run(team("${WHERE}", ADA), QUESTION, record=tape, keep=False)
    assert result.answer == "It is canary-in-an-address."
    assert "canary-in" not in tape.read_text()
