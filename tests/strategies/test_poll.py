"""A vote within a team: who is asked, what counts, and what the majority is."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge.agent import AnswerRef, ShownAnswer
from massgen_bridge.events import (
    Abstained,
    Answered,
    BallotSpoiled,
    DeadlinePassed,
    ImprovementPromised,
    Ranked,
    Seat,
    SpeakerChosen,
    TurnLost,
    Voted,
)
from massgen_bridge.strategies.poll import Poll, PollState, majority_of, order_of
from massgen_bridge.strategy import Command, Finish, Speaker, StartTurn

SHOWN = (
    ShownAnswer(label="agent1", version=2, text="one"),
    ShownAnswer(label="agent3", version=1, text="three"),
)
ASKED = StartTurn(turn_id="jury.2", agent_id="jury", purpose="evaluate", shown=SHOWN)


def seats(count: int = 3, **given: Any) -> tuple[Seat, ...]:
    return tuple(
        Seat(agent_id=f"m{n}", label=f"agent{n}", kind="scripted", **given)
        for n in range(1, count + 1)
    )


def voted(member: int, label: str = "agent1", turn: int = 1, reason: str = "") -> Voted:
    version = {"agent1": 2}.get(label, 1)
    choice = AnswerRef(label=label, version=version)
    return Voted(agent_id=f"m{member}", turn_id=f"m{member}.{turn}", choice=choice, reason=reason)


def about(member: int, turn: int = 1) -> dict[str, str]:
    return {"agent_id": f"m{member}", "turn_id": f"m{member}.{turn}"}


def poll(
    *happenings: Any, asked: StartTurn = ASKED, sitting: tuple[Seat, ...] | None = None
) -> tuple[PollState, list[Command]]:
    reducer = Poll(asked)
    state, commands = reducer.begin(sitting or seats())
    everything = list(commands)
    for happening in happenings:
        state = PollState.model_validate_json(state.model_dump_json())
        state, commands = reducer.step(state, happening)
        everything += commands
    return state, everything


def end(*happenings: Any, **how: Any) -> Finish:
    (found,) = [one for one in poll(*happenings, **how)[1] if isinstance(one, Finish)]
    return found


def test_every_member_is_asked_the_same_at_once() -> None:
    _, commands = poll()
    assert [(one.agent_id, one.turn_id) for one in commands if isinstance(one, StartTurn)] == [
        ("m1", "m1.1"),
        ("m2", "m2.1"),
        ("m3", "m3.1"),
    ]
    for one in commands:
        assert isinstance(one, StartTurn)
        assert (one.shown, one.purpose) == (SHOWN, "evaluate")


def test_most_votes_win_whatever_their_order() -> None:
    finish = end(voted(3, "agent3"), voted(1, "agent1"), voted(2, "agent3"))
    assert (finish.status, finish.winner) == ("answered", AnswerRef(label="agent3", version=1))
    assert [vote.voter for vote in finish.votes] == ["m1", "m2", "m3"]
    assert {one.label: one.votes for one in finish.answers} == {"agent1": 1, "agent3": 2}


def test_of_equals_the_first_members_choice_wins() -> None:
    finish = end(voted(3, "agent3"), voted(2, "agent3"), voted(1), voted(4), sitting=seats(4))
    assert finish.winner == AnswerRef(label="agent1", version=2)


def test_weights_count() -> None:
    heavy = Seat(agent_id="m2", label="agent2", kind="scripted", weight=2.5)
    sitting = (seats()[0], heavy, seats()[2])
    finish = end(voted(1), voted(2, "agent3"), voted(3), sitting=sitting)
    assert finish.winner == AnswerRef(label="agent3", version=1)


def test_who_does_not_vote_in_its_team_is_not_asked() -> None:
    silent = Seat(agent_id="m2", label="agent2", kind="scripted", roles=("propose",))
    _, commands = poll(sitting=(seats()[0], silent))
    assert [one.agent_id for one in commands if isinstance(one, StartTurn)] == ["m1"]
    finish = end(sitting=(silent,))
    assert (finish.status, finish.message) == ("failed", "nobody voted: no member votes")


def test_a_spoiled_ballot_is_repaired_once() -> None:
    spoiled = BallotSpoiled(**about(1), problem="no label")
    _, commands = poll(spoiled)
    repair = commands[-1]
    assert isinstance(repair, StartTurn)
    assert (repair.turn_id, repair.purpose, repair.repairs) == ("m1.2", "repair", "evaluate")
    assert (repair.problem, repair.shown) == ("no label", SHOWN)
    again = BallotSpoiled(**about(1, 2), problem="still none")
    finish = end(spoiled, again, voted(2, "agent3"), voted(3, "agent3"))
    assert [vote.voter for vote in finish.votes] == ["m2", "m3"]


def test_who_fails_is_left_out_and_where_all_do_nobody_voted() -> None:
    lost = [TurnLost(**about(n), kind="auth", message="no key") for n in (1, 2, 3)]
    finish = end(*lost)
    assert finish.status == "failed"
    assert finish.message == "nobody voted: m1: no key; m2: no key; m3: no key"
    assert end(lost[0], voted(2, "agent3"), voted(3, "agent3")).status == "answered"


def test_the_wish_to_improve_is_a_vote_where_it_is_allowed() -> None:
    allowed = ASKED.model_copy(update={"may_improve": True})
    finish = end(
        Answered(**about(1), text="better"),
        ImprovementPromised(**about(2)),
        voted(3),
        asked=allowed,
    )
    assert finish.winner is None
    most = majority_of(finish.votes)
    assert most is not None
    assert (most.label, [vote.voter for vote in most.votes]) == ("improve", ["m1", "m2"])
    _, commands = poll(Answered(**about(1), text="better"))
    assert commands[-1].type == "start_turn"
    assert commands[-1].problem == "a vote was expected"


@pytest.mark.parametrize(("label", "most"), [("agent2", "agent2"), (None, "end")])
def test_a_chair_of_many_names_a_speaker_or_the_end(label: str | None, most: str) -> None:
    asked = StartTurn(
        turn_id="jury.1",
        agent_id="jury",
        purpose="chair",
        speakers=(Speaker(label="agent1"), Speaker(label="agent2")),
        may_end=True,
    )
    finish = end(*(SpeakerChosen(**about(n), label=label) for n in (1, 2, 3)), asked=asked)
    found = majority_of(finish.votes)
    assert found is not None
    assert (finish.status, finish.winner, found.label) == ("answered", None, most)


def test_when_the_time_is_up_the_votes_so_far_count() -> None:
    assert end(voted(2, "agent3"), DeadlinePassed(after_s=1)).winner == AnswerRef(
        label="agent3", version=1
    )
    finish = end(DeadlinePassed(after_s=1))
    assert (finish.status, finish.message) == ("failed", "nobody voted: the time was up")


def test_what_comes_late_or_from_elsewhere_changes_nothing() -> None:
    reducer = Poll(ASKED)
    state, _ = reducer.begin(seats(1))
    assert reducer.step(state, voted(2)) == (state, ())
    state, _ = reducer.step(state, voted(1))
    assert reducer.step(state, voted(1)) == (state, ())
    assert reducer.step(state, DeadlinePassed(after_s=1)) == (state, ())


def test_rankings_are_counted_as_those_of_a_vote_in_stages() -> None:
    two = ShownAnswer(label="agent2", version=1, text="two")
    asked = ASKED.model_copy(update={"purpose": "rank", "shown": (*SHOWN, two)})
    refs = {one.label: AnswerRef(label=one.label, version=one.version) for one in asked.shown}

    def ranked(member: int, *labels: str) -> Ranked:
        return Ranked(**about(member), ranking=tuple(refs[label] for label in labels))

    finish = end(
        ranked(1, "agent1", "agent2", "agent3"),
        ranked(2, "agent3", "agent2", "agent1"),
        ranked(3, "agent2", "agent3", "agent1"),
        asked=asked,
    )
    assert order_of(finish.votes) == ("agent2", "agent3", "agent1")
    assert finish.winner == refs["agent2"]
    _, commands = poll(voted(1), asked=asked)
    assert commands[-1].type == "start_turn"
    assert commands[-1].purpose == "repair"


def test_who_abstains_is_left_out_and_not_asked_again() -> None:
    finish = end(Abstained(**about(1), reason="no idea"), voted(2, "agent3"), voted(3, "agent3"))
    assert [vote.voter for vote in finish.votes] == ["m2", "m3"]
    everybody = [Abstained(**about(n)) for n in (1, 2, 3)]
    assert end(*everybody).message == "nobody voted: m1: abstains; m2: abstains; m3: abstains"
