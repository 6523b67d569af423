"""Whom a consensus waits for, what it stops, and what each agent may do in it."""

from __future__ import annotations

from typing import Any

import pytest
from strategies.playing import Game

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import DeadlinePassed

BOTH = ("propose", "vote")


def roles(**held: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {name: {"roles": one} for name, one in held.items()}


# --- quorum and stragglers ------------------------------------------------------------------------


def test_without_a_quorum_nobody_is_watched_or_left_behind() -> None:
    game = Game()
    game.answer("ada", "a")
    game.answer("bob", "b")
    game.fall_silent("cyd")

    assert not game.watched
    assert len(game.started) == 3


@pytest.mark.parametrize("quorum", [2, 0.5])
def test_votes_begin_when_the_quorum_has_answered_and_the_others_are_silent(quorum: float) -> None:
    game = Game(quorum=quorum)
    game.answer("ada", "a")
    assert not game.watched
    game.answer("bob", "b")
    assert game.watched == ["cyd.1"]
    assert len(game.started) == 3

    game.fall_silent("cyd")
    assert [turn.agent_id for turn in game.started[3:]] == ["ada", "bob"]
    assert not game.cancelled


def test_who_is_told_to_be_waited_for_is_waited_for() -> None:
    game = Game(quorum=2, straggler_idle_s=None)
    game.answer("ada", "a")
    game.answer("bob", "b")

    assert not game.watched
    assert len(game.started) == 3


def left_behind() -> Game:
    game = Game(quorum=2)
    game.answer("ada", "a")
    game.answer("bob", "b")
    game.fall_silent("cyd")
    return game


def test_a_late_answer_reopens_the_question() -> None:
    game = left_behind()
    game.vote("ada", "agent2")
    game.answer("cyd", "late")

    assert game.cancelled == ["bob.2"]
    assert [turn.agent_id for turn in game.started[5:]] == ["ada", "bob", "cyd"]
    for name in ("ada", "bob", "cyd"):
        game.vote(name, "agent3")
    assert game.result.winner == AnswerRef(label="agent3", version=1)
    assert len(game.result.votes) == 3


def test_a_late_answer_in_the_last_round_gets_one_more() -> None:
    game = Game(quorum=2, max_rounds=1)
    game.answer("ada", "a")
    game.answer("bob", "b")
    game.fall_silent("cyd")
    game.answer("cyd", "late")

    assert [(turn.round, turn.may_improve) for turn in game.started[5:]] == [(2, False)] * 3


def test_a_late_answer_that_stands_already_gets_its_author_a_vote() -> None:
    game = left_behind()
    game.vote("ada", "agent2")
    game.answer("cyd", "b ")
    assert not game.cancelled
    assert game.turns["cyd"].purpose == "evaluate"
    game.vote("bob", "agent2")
    game.vote("cyd", "agent2")

    assert [answer.authors for answer in game.result.answers] == [("ada",), ("bob", "cyd")]
    assert len(game.result.votes) == 3


def test_a_straggler_that_is_not_heard_of_again_does_not_hold_up_the_end() -> None:
    game = left_behind()
    game.vote("ada", "agent2")
    game.vote("bob", "agent2")

    assert game.result.status == "answered"
    assert game.cancelled == ["cyd.1"]


def test_a_silent_voter_is_left_behind_by_the_same_rule() -> None:
    game = Game(quorum=2)
    game.all_answer()
    game.vote("ada", "agent2")
    game.vote("bob", "agent2")
    assert game.watched == ["cyd.1", "cyd.2"]
    game.fall_silent("cyd")

    assert game.result.winner == AnswerRef(label="agent2", version=1)
    assert len(game.result.votes) == 2


# --- what a better answer stops -------------------------------------------------------------------


def test_a_better_answer_stops_the_others_at_once_and_makes_their_votes_void() -> None:
    game = Game()
    game.all_answer()
    game.vote("ada", "agent1")
    game.answer("bob", "better")

    assert game.cancelled == ["cyd.2"]
    assert [turn.round for turn in game.started[6:]] == [2, 2, 2]
    for name in ("ada", "bob", "cyd"):
        game.vote(name, "agent2", 2)
    assert [vote.version for vote in game.result.votes] == [2, 2, 2]


def test_who_writes_a_promised_answer_is_not_stopped_but_waited_for() -> None:
    game = Game()
    game.all_answer()
    game.promise("ada")
    game.answer("bob", "better")
    assert game.cancelled == ["cyd.2"]
    assert game.turns["ada"].purpose == "improve"
    game.answer("ada", "better still")

    shown = {(s.label, s.version) for s in game.turns["cyd"].shown}
    assert shown == {("agent1", 2), ("agent2", 2), ("agent3", 1)}


def test_a_repair_of_a_ballot_is_stopped_as_well() -> None:
    game = Game()
    game.all_answer()
    game.spoil("ada")
    game.answer("bob", "better")

    assert game.cancelled == ["ada.3", "cyd.2"]


def test_who_is_asked_again_goes_on_from_its_last_evaluation() -> None:
    game = Game()
    game.all_answer()
    assert {turn.follows for turn in game.started[3:]} == {None}
    game.vote("ada", "agent1")
    game.answer("bob", "better")

    assert [turn.follows for turn in game.started[6:]] == ["ada.2", "bob.2", "cyd.2"]


def test_what_follows_a_promise_or_a_spoiled_ballot_goes_on_from_it() -> None:
    game = Game()
    game.all_answer()
    game.promise("ada")
    game.spoil("bob")

    assert game.turns["ada"].follows == "ada.2"
    assert game.turns["bob"].follows == "bob.2"


def test_a_deadline_after_a_better_answer_takes_what_the_votes_before_were_for() -> None:
    game = Game()
    game.all_answer()
    game.vote("ada", "agent3")
    game.answer("bob", "better")
    game.happen(DeadlinePassed(after_s=1))

    assert game.result.status == "best_so_far"
    assert game.result.winner == AnswerRef(label="agent3", version=1)
    assert game.result.tie_broken_by == "earlier votes"
    assert game.result.votes == ()


# --- duplicates -----------------------------------------------------------------------------------


def test_who_repeats_an_answer_that_it_was_shown_is_told_once_and_then_has_voted_for_it() -> None:
    game = Game()
    game.all_answer()
    game.vote("bob", "agent2")
    game.vote("cyd", "agent1")
    game.answer("ada", "answer of bob")
    assert "same as that of agent2" in (game.turns["ada"].problem or "")
    game.answer("ada", " answer of bob\n")

    assert game.result.winner == AnswerRef(label="agent2", version=1)
    assert game.result.votes[-1].voter == "ada"
    assert game.result.votes[-1].reason == "it gave the same answer"


# --- roles ----------------------------------------------------------------------------------------


def test_who_only_proposes_is_never_asked_to_vote() -> None:
    game = Game(about=roles(ada=("propose",)))
    game.all_answer()

    assert [turn.agent_id for turn in game.started[3:]] == ["bob", "cyd"]


def test_who_only_votes_is_asked_from_the_first_round_on_and_cannot_improve() -> None:
    game = Game(about=roles(cyd=("vote",)))
    assert [turn.agent_id for turn in game.started] == ["ada", "bob"]
    game.answer("ada", "a")
    game.answer("bob", "b")

    assert not game.turns["cyd"].may_improve
    assert game.turns["ada"].may_improve
    game.vote("ada", "agent1")
    game.vote("bob", "agent2")
    game.vote("cyd", "agent2")
    assert game.result.winner == AnswerRef(label="agent2", version=1)


def test_a_lone_proposer_needs_no_judge() -> None:
    game = Game(about=roles(bob=("vote",), cyd=("vote",)))
    game.answer("ada", "a")

    assert game.result.status == "answered"
    assert len(game.started) == 1


def test_nobody_who_may_answer_is_a_failure() -> None:
    game = Game(about=roles(ada=("vote",), bob=("vote",), cyd=("vote",)))

    assert game.result.status == "failed"


# --- weights --------------------------------------------------------------------------------------


def test_the_most_weight_wins() -> None:
    game = Game(about={"cyd": {"weight": 2.5}})
    game.all_answer()
    game.vote("ada", "agent1")
    game.vote("bob", "agent1")
    game.vote("cyd", "agent3")

    assert game.result.winner == AnswerRef(label="agent3", version=1)
    assert [(a.votes, a.score) for a in game.result.answers] == [(2, 2.0), (0, 0.0), (1, 2.5)]
    assert [vote.weight for vote in game.result.votes] == [1.0, 1.0, 2.5]


def test_equal_sums_of_weights_are_a_tie_whatever_the_rounding() -> None:
    game = Game(
        "ada",
        "bob",
        "cyd",
        "dan",
        about={n: {"weight": 0.1} for n in ("ada", "bob", "cyd")} | {"dan": {"weight": 0.3}},
    )
    game.all_answer()
    for name in ("ada", "bob", "cyd"):
        game.vote(name, "agent1")
    game.vote("dan", "agent4")

    assert game.tie is not None


def test_without_weights_there_is_no_score() -> None:
    game = Game()
    game.all_answer()
    for name in ("ada", "bob", "cyd"):
        game.vote(name, "agent1")

    assert {answer.score for answer in game.result.answers} == {None}


# --- ties -----------------------------------------------------------------------------------------

JUDGES = roles(cyd=("break_ties",), dan=("break_ties",))


def tied() -> Game:
    game = Game("ada", "bob", "cyd", "dan", about=JUDGES)
    game.answer("ada", "a")
    game.answer("bob", "b")
    game.vote("ada", "agent1")
    game.vote("bob", "agent2")
    return game


def test_a_tie_is_put_to_the_agent_that_breaks_ties() -> None:
    game = tied()
    turn = game.turns["cyd"]
    assert (turn.purpose, turn.may_improve, len(turn.shown)) == ("break_tie", False, 2)
    assert game.tie is None
    game.vote("cyd", "agent2")

    assert game.result.winner == AnswerRef(label="agent2", version=1)
    assert game.result.tie_broken_by == "cyd"
    assert [vote.voter for vote in game.result.votes] == ["ada", "bob"]


def test_the_next_one_is_asked_when_the_first_gives_no_decision() -> None:
    game = tied()
    game.spoil("cyd", "no label")
    assert (game.turns["cyd"].purpose, game.turns["cyd"].repairs) == ("repair", "break_tie")
    game.vote("cyd", "agent1", 9)
    game.lose("dan")
    assert game.tie is not None
    game.decide("agent1")

    assert game.result.tie_broken_by == "order"


def test_who_abstains_from_a_tie_hands_it_on() -> None:
    game = tied()
    game.abstain("cyd")
    game.vote("dan", "agent1")

    assert game.result.tie_broken_by == "dan"


def test_where_nobody_votes_whoever_breaks_ties_decides() -> None:
    game = Game(about=roles(ada=("propose",), bob=("propose",), cyd=("break_ties",)))
    game.answer("ada", "a")
    game.answer("bob", "b")
    game.vote("cyd", "agent2")

    assert game.result.status == "answered"
    assert game.result.winner == AnswerRef(label="agent2", version=1)


# --- the presentation -----------------------------------------------------------------------------


def won(presentation: str, about: dict[str, dict[str, Any]] | None = None) -> Game:
    game = Game(about=about, presentation=presentation)
    game.all_answer()
    for name in ("ada", "bob", "cyd"):
        game.vote(name, "agent2")
    return game


@pytest.mark.parametrize(
    ("presentation", "armed", "presents"),
    [
        ("auto", False, False),
        ("auto", True, True),
        ("always", False, True),
        ("never", True, False),
    ],
)
def test_the_winner_presents_where_that_adds_something(
    presentation: str,
    armed: bool,  # noqa: FBT001 - pytest names it
    presents: bool,  # noqa: FBT001 - pytest names it
) -> None:
    game = won(presentation, {"bob": {"has_tools": armed}})

    assert (game.finish is None) is presents
    assert (game.turns["bob"].purpose == "present") is presents


def test_a_presentation_has_the_votes_and_all_answers_and_changes_no_vote() -> None:
    game = won("always")
    turn = game.turns["bob"]
    assert [one.label for one in turn.shown] == ["agent2", "agent1", "agent3"]
    assert [vote.voter for vote in turn.votes] == ["ada", "bob", "cyd"]
    game.answer("bob", "presented")

    assert game.result.presentation == "presented"
    assert game.result.status == "answered"
    assert [answer.text for answer in game.result.answers][1] == "answer of bob"


def test_where_the_presentation_fails_the_answer_stands_as_voted_for() -> None:
    game = won("always")
    game.lose("bob", "timeout")

    assert game.result.status == "answered"
    assert game.result.presentation is None
    assert game.result.message == "the presentation failed: lost"


def test_a_deadline_during_the_presentation_keeps_the_winner() -> None:
    game = won("always")
    game.happen(DeadlinePassed(after_s=1))

    assert game.result.status == "best_so_far"
    assert game.result.winner == AnswerRef(label="agent2", version=1)
    assert "during the presentation" in (game.result.message or "")


def test_who_only_proposes_presents_what_it_proposed() -> None:
    game = Game(about=roles(bob=("propose",)), presentation="always")
    game.all_answer()
    game.vote("ada", "agent2")
    game.vote("cyd", "agent2")

    assert game.turns["bob"].purpose == "present"
