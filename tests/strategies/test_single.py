"""The reducer of the strategy `single`."""

from __future__ import annotations

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import (
    Abstained,
    Answered,
    BallotSpoiled,
    DeadlinePassed,
    Seat,
    TieBroken,
    TurnLost,
    Voted,
)
from massgen_bridge.strategies.single import Single, SingleState
from massgen_bridge.strategy import Finish, StartTurn

SEATS = (
    Seat(agent_id="ada", label="agent1", kind="scripted"),
    Seat(agent_id="bob", label="agent2", kind="scripted"),
)


def test_the_first_agent_answers_alone() -> None:
    reducer = Single()
    state, commands = reducer.begin(SEATS)
    assert [c.agent_id for c in commands if isinstance(c, StartTurn)] == ["ada"]

    state, commands = reducer.step(state, Answered(agent_id="ada", turn_id="ada.1", text="a"))
    finish = commands[-1]
    assert isinstance(finish, Finish)
    assert finish.winner == AnswerRef(label="agent1", version=1)
    assert finish.answers[0].text == "a"
    assert reducer.step(state, DeadlinePassed(after_s=1)) == (state, ())


def test_the_next_agent_takes_over_after_a_failure() -> None:
    reducer = Single()
    state, _ = reducer.begin(SEATS)
    lost = TurnLost(agent_id="ada", turn_id="ada.1", kind="auth", message="no key")
    state, commands = reducer.step(state, lost)
    assert [c.agent_id for c in commands if isinstance(c, StartTurn)] == ["bob"]

    lost = TurnLost(agent_id="bob", turn_id="bob.1", kind="auth", message="no key either")
    state, commands = reducer.step(state, lost)
    finish = commands[-1]
    assert isinstance(finish, Finish)
    assert (finish.status, finish.message) == ("failed", "no key either")


def test_an_unusable_reply_is_repaired_once() -> None:
    reducer = Single()
    state, _ = reducer.begin(SEATS)
    spoiled = BallotSpoiled(agent_id="ada", turn_id="ada.1", problem="it was empty")
    state, commands = reducer.step(state, spoiled)
    repair = commands[0]
    assert isinstance(repair, StartTurn)
    assert (repair.purpose, repair.problem, repair.turn_id) == ("repair", "it was empty", "ada.2")

    again = BallotSpoiled(agent_id="ada", turn_id="ada.2", problem="still empty")
    state, commands = reducer.step(state, again)
    assert [c.agent_id for c in commands if isinstance(c, StartTurn)] == ["bob"]


def test_after_an_abstention_the_next_agent_is_asked() -> None:
    reducer = Single()
    state, _ = reducer.begin(SEATS)
    state, commands = reducer.step(state, Abstained(agent_id="ada", turn_id="ada.1"))
    assert [c.agent_id for c in commands if isinstance(c, StartTurn)] == ["bob"]

    last = Abstained(agent_id="bob", turn_id="bob.1", reason="no reply")
    _, commands = reducer.step(state, last)
    assert isinstance(commands[-1], Finish)
    assert commands[-1].message == "it abstained: no reply"


def test_a_deadline_fails_the_run() -> None:
    reducer = Single()
    state, _ = reducer.begin(SEATS)
    _, commands = reducer.step(state, DeadlinePassed(after_s=3))

    assert isinstance(commands[0], Finish)
    assert commands[0].status == "failed"


def test_happenings_of_other_turns_change_nothing() -> None:
    reducer = Single()
    state, _ = reducer.begin(SEATS)
    ref = AnswerRef(label="agent1", version=1)

    assert reducer.step(state, Answered(agent_id="bob", turn_id="bob.1", text="b")) == (state, ())
    assert reducer.step(state, TieBroken(winner=ref, by="x")) == (state, ())
    assert SingleState.model_validate_json(state.model_dump_json()) == state


def test_a_vote_is_no_answer() -> None:
    reducer = Single()
    state, _ = reducer.begin(SEATS)
    vote = Voted(agent_id="ada", turn_id="ada.1", choice=AnswerRef(label="agent1", version=1))
    _, commands = reducer.step(state, vote)

    assert isinstance(commands[0], StartTurn)
    assert commands[0].purpose == "repair"
