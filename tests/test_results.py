"""What follows from a result: who held something else than the winner."""

from __future__ import annotations

from typing import Any

from massgen_bridge import AnswerInfo, AnswerRef, Dissent, RunResult, VoteInfo


def vote(voter: str, label: str, version: int = 1, reason: str = "") -> VoteInfo:
    return VoteInfo(voter=voter, author=label, label=label, version=version, reason=reason)


def answer(label: str, version: int = 1) -> AnswerInfo:
    return AnswerInfo(label=label, version=version, authors=(f"of {label}",), text=f"by {label}")


def result(*votes: VoteInfo, **given: Any) -> RunResult:
    given = {"winning": AnswerRef(label="one", version=1), **given}
    answers = (answer("one"), answer("two"), answer("three"))
    return RunResult(run_id="r", status="answered", votes=votes, answers=answers, **given)


def test_dissent_is_each_answer_that_lost_with_its_votes_the_most_first() -> None:
    for_two = vote("b", "two", reason="shorter")
    for_three = (vote("c", "three"), vote("d", "three"))
    assert result(vote("a", "one"), for_two, *for_three).dissent == (
        Dissent(label="three", version=1, authors=("of three",), text="by three", votes=for_three),
        Dissent(label="two", version=1, authors=("of two",), text="by two", votes=(for_two,)),
    )


def test_a_vote_for_an_answer_that_stands_no_longer_is_dissent_without_its_text() -> None:
    (found,) = result(vote("a", "one", version=2)).dissent
    assert (found.version, found.authors, found.text) == (2, (), "")


def test_there_is_no_dissent_where_all_agree_or_nobody_won() -> None:
    assert result(vote("a", "one"), vote("b", "one")).dissent == ()
    assert result().dissent == ()
    assert result(vote("a", "two"), winning=None).dissent == ()
