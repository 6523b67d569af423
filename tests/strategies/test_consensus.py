"""The reducer of the strategy `consensus`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies.playing import NAMES, Game, seats

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import (
    AnswerListed,
    DeadlinePassed,
    TieBroken,
)
from massgen_bridge.strategy import Announce

if TYPE_CHECKING:
    from collections.abc import Callable


def test_all_agents_are_asked_at_once_and_see_nothing_at_first() -> None:
    game = Game()

    assert [turn.agent_id for turn in game.started] == list(NAMES)
    assert all(turn.purpose == "answer" and not turn.shown for turn in game.started)


def test_evaluation_waits_for_all_first_answers() -> None:
    game = Game()
    game.answer("ada", "a")
    game.answer("bob", "b")
    assert len(game.started) == 3

    game.answer("cyd", "c")
    assert [turn.purpose for turn in game.started[3:]] == ["evaluate"] * 3
    assert all(
        {s.label for s in t.shown} == {"agent1", "agent2", "agent3"} for t in game.started[3:]
    )


def test_the_order_in_which_answers_are_shown_rotates_by_voter() -> None:
    game = Game()
    game.all_answer()

    firsts = [turn.shown[0].label for turn in game.started[3:]]
    assert sorted(firsts) == ["agent1", "agent2", "agent3"]


def test_most_votes_win_after_exactly_two_calls_an_agent() -> None:
    game = Game()
    game.all_answer()
    game.vote("ada", "agent2")
    game.vote("bob", "agent2")
    game.vote("cyd", "agent3")

    assert game.result.status == "answered"
    assert game.result.winner == AnswerRef(label="agent2", version=1)
    assert [answer.votes for answer in game.result.answers] == [0, 2, 1]
    assert len(game.started) == 6


def test_equal_blind_answers_merge_with_all_authors_and_need_no_vote_when_unanimous() -> None:
    game = Game()
    for name in NAMES:
        game.answer(name, " 42\n")

    assert game.result.status == "answered"
    assert game.result.answers[0].authors == NAMES
    assert len(game.started) == 3


def test_merged_answers_are_shown_once() -> None:
    game = Game()
    game.answer("cyd", "42")
    game.answer("bob", "41")
    game.answer("ada", "42")

    assert {s.label for s in game.turns["ada"].shown} == {"agent1", "agent2"}
    told = [c.event for c in game.commands if isinstance(c, Announce)]
    listed = [event for event in told if isinstance(event, AnswerListed)]
    assert [event.authors for event in listed] == [("ada", "cyd"), ("bob",)]


def test_a_better_answer_reopens_the_question_for_all() -> None:
    game = Game()
    game.all_answer()
    game.vote("ada", "agent1")
    game.answer("bob", "a better one")
    assert game.finish is None
    game.vote("cyd", "agent1")

    assert [turn.round for turn in game.started[6:]] == [2, 2, 2]
    assert ("agent2", 2) in {(s.label, s.version) for s in game.turns["ada"].shown}
    for name in NAMES:
        game.vote(name, "agent2", 2)
    assert game.result.winner == AnswerRef(label="agent2", version=2)
    assert len(game.result.votes) == 3


def test_a_promise_by_schema_leads_to_one_text_turn() -> None:
    game = Game()
    game.all_answer()
    game.promise("ada")

    assert game.turns["ada"].purpose == "improve"
    assert game.turns["ada"].shown


def test_in_the_last_round_nobody_may_improve() -> None:
    game = Game(max_rounds=1)
    game.all_answer()

    assert not any(turn.may_improve for turn in game.started)


def test_an_agent_improves_no_more_often_than_allowed() -> None:
    game = Game(max_answers_per_agent=2, max_rounds=9)
    game.all_answer()
    game.answer("ada", "better")
    game.vote("bob", "agent1")
    game.vote("cyd", "agent1")

    assert not game.turns["ada"].may_improve
    assert game.turns["bob"].may_improve


def test_an_improvement_that_repeats_a_shown_answer_is_sent_back_with_the_reason() -> None:
    game = Game()
    game.all_answer()
    game.answer("ada", "answer of bob ")

    assert game.turns["ada"].purpose == "repair"
    assert "the same as that of agent2" in (game.turns["ada"].problem or "")


def test_a_spoiled_ballot_is_repaired_once_and_then_counts_as_abstention() -> None:
    game = Game()
    game.all_answer()
    game.vote("bob", "agent1")
    game.vote("cyd", "agent1")
    game.spoil("ada", "not a label")
    assert game.turns["ada"].problem == "not a label"
    game.spoil("ada")

    assert game.result.winner == AnswerRef(label="agent1", version=1)
    assert [vote.voter for vote in game.result.votes] == ["bob", "cyd"]


def test_a_vote_for_something_not_shown_is_sent_back() -> None:
    game = Game()
    game.all_answer()
    game.vote("ada", "agent1", 7)

    assert game.turns["ada"].purpose == "repair"


def test_a_rejected_answer_is_written_again_and_then_given_up() -> None:
    game = Game()
    game.reject("ada", "too rude")
    assert game.turns["ada"].problem == "too rude"
    game.reject("ada", "still too rude")
    game.answer("bob", "b")
    game.answer("cyd", "c")

    assert {s.label for s in game.turns["ada"].shown} == {"agent2", "agent3"}


def test_the_run_goes_on_without_a_broken_agent() -> None:
    game = Game()
    game.lose("ada", "auth")
    game.answer("bob", "b")
    game.answer("cyd", "c")
    assert [turn.agent_id for turn in game.started[3:]] == ["bob", "cyd"]
    game.vote("bob", "agent3")
    game.vote("cyd", "agent3")

    assert game.result.winner == AnswerRef(label="agent3", version=1)


@pytest.mark.parametrize(("kind", "asked"), [("server", True), ("auth", False)])
def test_only_a_failure_that_may_pass_lets_an_agent_vote_later(kind: str, asked: bool) -> None:  # noqa: FBT001 - pytest names it
    game = Game()
    game.lose("ada", kind)
    game.answer("bob", "b")
    game.answer("cyd", "c")

    assert (game.turns["ada"].purpose == "evaluate") is asked


def test_the_last_agent_left_wins_without_a_vote() -> None:
    game = Game()
    game.lose("ada")
    game.lose("bob")
    game.answer("cyd", "c")

    assert game.result.status == "answered"
    assert game.result.winner == AnswerRef(label="agent3", version=1)


def test_without_any_answer_the_run_fails_and_has_no_winner() -> None:
    game = Game()
    for name in NAMES:
        game.lose(name)

    assert game.result.status == "failed"
    assert game.result.winner is None


def test_a_tie_is_asked_about_with_the_tied_answers_in_the_order_of_the_seats() -> None:
    game = Game()
    game.all_answer()
    game.vote("ada", "agent3")
    game.vote("bob", "agent2")
    game.lose("cyd")

    assert game.tie is not None
    assert [c.label for c in game.tie.candidates] == ["agent2", "agent3"]
    game.happen(TieBroken(winner=AnswerRef(label="agent3", version=1), by="some-plugin"))
    assert game.result.winner == AnswerRef(label="agent3", version=1)
    assert game.result.tie_broken_by == "some-plugin"


def test_a_tie_broken_for_something_else_falls_back_to_the_order() -> None:
    game = Game("ada", "bob")
    game.all_answer()
    game.vote("ada", "agent1")
    game.vote("bob", "agent2")
    game.happen(TieBroken(winner=AnswerRef(label="agent9", version=1), by="x"))

    assert game.result.winner == AnswerRef(label="agent1", version=1)


def test_without_any_valid_vote_the_result_is_called_best_so_far() -> None:
    game = Game("ada", "bob")
    game.all_answer()
    game.lose("ada")
    game.lose("bob")
    game.happen(TieBroken(winner=AnswerRef(label="agent1", version=1), by="order"))

    assert game.result.status == "best_so_far"


def test_a_deadline_ends_with_the_best_so_far() -> None:
    game = Game()
    game.all_answer()
    game.vote("ada", "agent3")
    game.answer("bob", "paid for, but never voted on")
    game.happen(DeadlinePassed(after_s=1))

    assert game.result.status == "best_so_far"
    assert game.result.winner == AnswerRef(label="agent3", version=1)
    assert "paid for, but never voted on" in [answer.text for answer in game.result.answers]


def test_a_deadline_during_the_first_answers_takes_what_is_there() -> None:
    game = Game()
    game.answer("bob", "b")
    game.happen(DeadlinePassed(after_s=1))

    assert game.result.status == "best_so_far"
    assert game.result.winner == AnswerRef(label="agent2", version=1)


def test_a_deadline_before_any_answer_is_a_failure() -> None:
    game = Game()
    game.happen(DeadlinePassed(after_s=1))

    assert game.result.status == "failed"


def test_a_lone_agent_needs_no_vote() -> None:
    game = Game("ada")
    game.answer("ada", "a")

    assert game.result.status == "answered"
    assert len(game.started) == 1


def test_an_improving_author_leaves_the_merged_answer_to_the_others() -> None:
    game = Game()
    game.answer("ada", "same")
    game.answer("bob", "other")
    game.answer("cyd", "same")
    game.answer("ada", "new")
    game.vote("bob", "agent1")
    game.vote("cyd", "agent1")

    shown = {(s.label, s.text) for s in game.turns["bob"].shown}
    assert shown == {("agent1", "new"), ("agent2", "other"), ("agent3", "same")}


@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)))
def test_the_order_of_arrival_changes_nothing(order: tuple[str, ...]) -> None:
    game = Game()
    for name in order:
        game.answer(name, "same" if name != "bob" else "other")
    for name in order:
        game.vote(name, "agent2")

    assert [answer.authors for answer in game.result.answers] == [("ada", "cyd"), ("bob",)]
    assert game.result.winner == AnswerRef(label="agent2", version=1)


Move = tuple[str, str]
MOVES: dict[str, Callable[[Game, str], None]] = {
    "answer": lambda game, name: game.answer(name, f"text {len(game.happened)}"),
    "repeat": lambda game, name: game.answer(name, "the same text"),
    "vote": lambda game, name: game.vote(name, "agent1"),
    "other": lambda game, name: game.vote(name, "agent2", 2),
    "promise": lambda game, name: game.promise(name),
    "spoil": lambda game, name: game.spoil(name),
    "reject": lambda game, name: game.reject(name, "no"),
    "fail": lambda game, name: game.lose(name, "auth"),
    "hiccup": lambda game, name: game.lose(name, "server"),
    "tie": lambda game, _name: game.happen(
        TieBroken(winner=AnswerRef(label="agent2", version=1), by="x")
    ),
    "deadline": lambda game, _name: game.happen(DeadlinePassed(after_s=1)),
}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.sampled_from(NAMES)), max_size=60))
def test_whatever_happens_the_reducer_is_total_and_a_replay_gives_the_same_state(
    moves: list[Move],
) -> None:
    game = Game()
    for move, name in moves:
        MOVES[move](game, name)

    replayed, _ = game.reducer.begin(seats(*NAMES))
    for happening in game.happened:
        replayed, _ = game.reducer.step(replayed, happening)
    assert replayed == game.state
    busy = any(member.job for member in game.state.members.values())
    assert game.finish is not None or busy or game.state.phase == "tie"


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_run_ends_when_agents_keep_improving(random: Any) -> None:
    game = Game(max_rounds=3)
    for number in range(200):
        if game.finish is not None:
            break
        if game.state.phase == "tie":
            game.happen(TieBroken(winner=AnswerRef(label="agent1", version=1), by="order"))
            continue
        name = random.choice([n for n, m in game.state.members.items() if m.job])
        turn = game.turns[name]
        if turn.purpose == "answer" or turn.may_improve:
            game.answer(name, f"text {number}")
        else:
            shown = turn.shown[0]
            game.vote(name, shown.label, shown.version)

    assert game.result.status == "answered"
    assert len(game.started) <= 3 * 4
