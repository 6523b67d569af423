"""What is special to `sequential`, `debate`, `map_reduce` and `group`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from strategies.driving import Drive

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerListed,
    BallotSpoiled,
    SpeakerChosen,
    TurnLost,
    Voted,
)
from massgen_bridge.strategies import (
    Debate,
    DebateOptions,
    Group,
    GroupOptions,
    MapReduce,
    MapReduceOptions,
    Sequential,
    SequentialOptions,
)
from massgen_bridge.strategy import Announce, StartTurn

if TYPE_CHECKING:
    from collections.abc import Iterable

TRIO = ("ada", "bob", "cyd")


def turn_of(drive: Drive, name: str) -> StartTurn:
    return next(turn for turn in drive.running.values() if turn.agent_id == name)


def who(drive: Drive, name: str) -> dict[str, str]:
    return {"agent_id": name, "turn_id": turn_of(drive, name).turn_id}


def answer(drive: Drive, name: str, text: str) -> None:
    drive.happen(Answered(**who(drive, name), text=text))


def vote(drive: Drive, name: str, label: str, version: int = 1) -> None:
    choice = AnswerRef(label=label, version=version)
    drive.happen(Voted(**who(drive, name), choice=choice, reason="because"))


def call_on(drive: Drive, name: str, label: str | None) -> None:
    drive.happen(SpeakerChosen(**who(drive, name), label=label))


def lose(drive: Drive, name: str, kind: Any = "auth") -> None:
    drive.happen(TurnLost(**who(drive, name), kind=kind, message="lost"))


def spoil(drive: Drive, name: str) -> None:
    drive.happen(BallotSpoiled(**who(drive, name), problem="unreadable"))


def test_an_abstention_is_taken_at_once_and_costs_no_second_try() -> None:
    drive = Drive(MapReduce(MapReduceOptions(reducer="cyd")), *TRIO)
    drive.happen(Abstained(**who(drive, "ada"), reason="no reply"))
    assert working(drive) == [("bob", "answer")]

    answer(drive, "bob", "half")
    assert working(drive) == [("cyd", "reduce")]


def working(drive: Drive) -> list[tuple[str, str]]:
    return [(turn.agent_id, turn.purpose) for turn in drive.running.values()]


def shown(turn: StartTurn) -> list[tuple[str, str]]:
    return [(one.label, one.text) for one in turn.shown]


def winner(drive: Drive) -> str:
    ref = drive.result.winner
    return next(
        one.text
        for one in drive.result.answers
        if ref and one.label == ref.label and one.version == ref.version
    )


# --- sequential ---------------------------------------------------------------------------------


def sequential(**options: Any) -> Drive:
    return Drive(Sequential(SequentialOptions(**options)), *TRIO)


def test_each_agent_hands_on_to_the_next_and_the_last_answer_is_the_result() -> None:
    drive = sequential()
    assert working(drive) == [("ada", "answer")]
    answer(drive, "ada", "one")
    assert working(drive) == [("bob", "continue")]
    answer(drive, "bob", "two")
    assert shown(turn_of(drive, "cyd")) == [("agent2", "two")]
    answer(drive, "cyd", "three")

    assert drive.result.status == "answered"
    assert winner(drive) == "three"
    assert [one.text for one in drive.result.answers] == ["one", "two", "three"]


def test_all_that_was_given_before_can_be_shown_with_a_step_for_each() -> None:
    drive = sequential(show="all", instructions={"cyd": "Translate it."})
    answer(drive, "ada", "one")
    answer(drive, "bob", "two")

    turn = turn_of(drive, "cyd")
    assert shown(turn) == [("agent1", "one"), ("agent2", "two")]
    assert turn.instruction == "Translate it."


def test_a_failing_step_is_left_out() -> None:
    drive = sequential()
    lose(drive, "ada")
    assert working(drive) == [("bob", "answer")]
    answer(drive, "bob", "two")
    spoil(drive, "cyd")
    assert turn_of(drive, "cyd").repairs == "continue"
    spoil(drive, "cyd")

    assert drive.result.status == "answered"
    assert winner(drive) == "two"


def test_a_failing_step_can_end_the_run() -> None:
    drive = sequential(on_failure="stop")
    answer(drive, "ada", "one")
    lose(drive, "bob")

    assert drive.result.status == "best_so_far"
    assert drive.result.message == "bob failed: lost"
    assert winner(drive) == "one"


# --- debate -------------------------------------------------------------------------------------


def debate(**options: Any) -> Drive:
    return Drive(Debate(DebateOptions(**options)), *TRIO)


def test_those_who_debate_see_all_positions_and_the_judge_decides() -> None:
    drive = debate(rounds=1, judge="bob")
    assert working(drive) == [("ada", "answer"), ("cyd", "answer")]
    answer(drive, "ada", "left")
    assert working(drive) == [("cyd", "answer")]
    answer(drive, "cyd", "right")

    assert working(drive) == [("ada", "debate"), ("cyd", "debate")]
    assert sorted(shown(turn_of(drive, "cyd"))) == [("agent1", "left"), ("agent3", "right")]
    assert turn_of(drive, "cyd").label == "agent3"
    answer(drive, "ada", "more left")
    answer(drive, "cyd", "right")

    assert working(drive) == [("bob", "judge")]
    told = [one.event for given in drive.commands for one in given if isinstance(one, Announce)]
    listed = [event for event in told if isinstance(event, AnswerListed)]
    assert [(one.answer.label, one.answer.version) for one in listed] == [
        ("agent1", 2),
        ("agent3", 1),
    ]
    vote(drive, "bob", "agent1", 2)
    assert winner(drive) == "more left"
    assert [(one.voter, one.author, one.reason) for one in drive.result.votes] == [
        ("bob", "ada", "because")
    ]


def test_without_a_judge_those_who_debate_vote() -> None:
    drive = debate(rounds=0)
    for name in TRIO:
        answer(drive, name, f"by {name}")
    assert working(drive) == [(name, "evaluate") for name in TRIO]
    assert len({turn.shown[0].label for turn in drive.running.values()}) == 3
    assert not any(turn.may_improve for turn in drive.running.values())
    vote(drive, "ada", "agent2")
    vote(drive, "bob", "agent3")
    vote(drive, "cyd", "agent2")

    assert winner(drive) == "by bob"


@pytest.mark.parametrize("failed", [("lose",), ("spoil", "spoil")])
def test_where_the_judge_fails_those_who_debate_vote(failed: Iterable[str]) -> None:
    drive = debate(rounds=0, judge="cyd")
    answer(drive, "ada", "left")
    answer(drive, "bob", "right")
    for how in failed:
        lose(drive, "cyd") if how == "lose" else spoil(drive, "cyd")

    assert working(drive) == [("ada", "evaluate"), ("bob", "evaluate")]
    vote(drive, "ada", "agent2")
    vote(drive, "bob", "agent2")
    assert winner(drive) == "right"


def test_a_debate_ends_early_when_all_say_the_same() -> None:
    drive = debate(rounds=3)
    answer(drive, "ada", "left")
    answer(drive, "bob", "right")
    answer(drive, "cyd", "left")
    assert len(turn_of(drive, "ada").shown) == 2
    assert turn_of(drive, "cyd").label == "agent1"
    for name in TRIO:
        answer(drive, name, "left")

    assert drive.result.status == "answered"
    assert drive.result.answers[0].authors == TRIO
    assert len(drive.started) == 6


def test_a_debate_ends_early_when_nobody_changes_anything() -> None:
    drive = debate(rounds=9)
    for _ in range(2):
        for name in TRIO:
            answer(drive, name, f"by {name}")

    assert working(drive) == [(name, "evaluate") for name in TRIO]


def test_who_fails_for_good_debates_no_more_and_keeps_its_position() -> None:
    drive = debate(rounds=2)
    for name in TRIO:
        answer(drive, name, f"by {name}")
    lose(drive, "ada", "auth")
    lose(drive, "bob", "server")
    answer(drive, "cyd", "anew")

    assert [name for name, _ in working(drive)] == ["bob", "cyd"]
    assert ("agent1", "by ada") in shown(turn_of(drive, "bob"))


# --- map_reduce ---------------------------------------------------------------------------------


def map_reduce(**options: Any) -> Drive:
    return Drive(MapReduce(MapReduceOptions(**options)), *TRIO)


def test_the_last_agent_makes_one_answer_of_all() -> None:
    drive = map_reduce()
    assert working(drive) == [("ada", "answer"), ("bob", "answer")]
    answer(drive, "bob", "b")
    answer(drive, "ada", "a")
    assert working(drive) == [("cyd", "reduce")]
    assert shown(turn_of(drive, "cyd")) == [("agent1", "a"), ("agent2", "b")]
    answer(drive, "cyd", "a and b")

    assert winner(drive) == "a and b"
    assert [one.text for one in drive.result.answers] == ["a", "b", "a and b"]


def test_agents_can_have_parts_of_the_task_which_the_reducer_is_told_of() -> None:
    drive = map_reduce(reducer="ada", parts={"bob": "the first half"})
    assert turn_of(drive, "bob").instruction == "the first half"
    assert turn_of(drive, "cyd").instruction is None
    answer(drive, "bob", "b")
    lose(drive, "cyd")

    assert [(one.label, one.asked) for one in turn_of(drive, "ada").shown] == [
        ("agent2", "the first half")
    ]


def test_without_the_reducer_the_first_part_is_the_best_so_far() -> None:
    drive = map_reduce()
    answer(drive, "bob", "b")
    answer(drive, "ada", "a")
    lose(drive, "cyd")

    assert drive.result.status == "best_so_far"
    assert drive.result.message == "cyd made no answer of these: lost"
    assert winner(drive) == "a"


# --- group --------------------------------------------------------------------------------------


def group(**options: Any) -> Drive:
    return Drive(Group(GroupOptions(**options)), *TRIO)


def test_agents_take_turns_in_the_order_of_the_file_and_see_everything() -> None:
    drive = group(max_turns=4, roles={"ada": "a lawyer"})
    for name, text in (("ada", "1"), ("bob", "2"), ("cyd", "3")):
        assert working(drive) == [(name, "speak")]
        answer(drive, name, text)
    turn = turn_of(drive, "ada")
    assert shown(turn) == [("agent1", "1"), ("agent2", "2"), ("agent3", "3")]
    assert (turn.label, turn.speakers[0].role) == ("agent1", "a lawyer")
    answer(drive, "ada", "4")

    assert winner(drive) == "4"
    assert [(one.label, one.version) for one in drive.result.answers][-1] == ("agent1", 2)


def test_another_order_can_be_given_and_who_is_out_is_passed_over() -> None:
    drive = group(order=("cyd", "ada", "cyd"), max_turns=4)
    spoken = []
    while drive.finish is None:
        ((name, _),) = working(drive)
        spoken.append(name)
        lose(drive, name) if spoken == ["cyd", "ada"] else answer(drive, name, f"by {name}")

    assert spoken == ["cyd", "ada", "cyd", "cyd"]


def test_a_last_line_with_the_phrase_ends_it_and_is_taken_off() -> None:
    drive = group(stop_phrase="DONE")
    answer(drive, "ada", "Should we say DONE\nor not?")
    answer(drive, "bob", "Yes.\nDONE \n")

    assert drive.result.status == "answered"
    assert winner(drive) == "Yes."


def test_the_phrase_alone_adds_nothing() -> None:
    drive = group(stop_phrase="DONE")
    answer(drive, "ada", "All is said.")
    answer(drive, "bob", "DONE")

    assert winner(drive) == "All is said."


def test_a_chair_names_speakers_ends_it_and_writes_the_answer() -> None:
    drive = group(chair="bob")
    first = turn_of(drive, "bob")
    assert [one.label for one in first.speakers] == ["agent1", "agent3"]
    assert not first.may_end
    call_on(drive, "bob", "agent3")
    assert working(drive) == [("cyd", "speak")]
    answer(drive, "cyd", "agent1 is next, says agent3")
    assert turn_of(drive, "bob").may_end
    call_on(drive, "bob", None)
    assert working(drive) == [("bob", "conclude")]
    answer(drive, "bob", "so be it")

    assert winner(drive) == "so be it"


def test_a_chair_cannot_name_itself_or_end_before_the_beginning() -> None:
    drive = group(chair="bob")
    call_on(drive, "bob", "agent2")
    assert turn_of(drive, "bob").repairs == "chair"
    call_on(drive, "bob", None)

    assert working(drive) == [("ada", "speak")]  # the order counts


def test_without_its_chair_the_order_counts_and_the_last_contribution_is_the_answer() -> None:
    drive = group(chair="ada", max_turns=2)
    lose(drive, "ada")
    answer(drive, "bob", "b")
    answer(drive, "cyd", "c")

    assert drive.result.status == "answered"
    assert winner(drive) == "c"


def test_where_the_chair_cannot_write_the_last_contribution_is_the_best_so_far() -> None:
    drive = group(chair="bob", max_turns=1)
    call_on(drive, "bob", "agent1")
    answer(drive, "ada", "a")
    lose(drive, "bob", "server")

    assert drive.result.status == "best_so_far"
    assert winner(drive) == "a"
