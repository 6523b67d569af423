"""Who ranks what, how rankings are counted, how many go on."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_bridge.strategies.designs import borda, deal, quota_of, schedule, split, survivors


def labels(count: int) -> list[str]:
    return [f"agent{number}" for number in range(1, count + 1)]


@settings(max_examples=150, deadline=None)
@given(
    answers=st.integers(2, 40),
    voters=st.integers(1, 40),
    quota=st.integers(2, 12),
    seed=st.text(max_size=4),
    authors=st.integers(1, 40),
)
def test_each_answer_is_seen_equally_often_and_by_nobody_twice(
    answers: int, voters: int, quota: int, seed: str, authors: int
) -> None:
    field, names = labels(answers), [f"v{number}" for number in range(voters)]
    own = {name: field[n % authors] for n, name in enumerate(names) if n % authors < answers}
    hands = deal(field, names, quota, seed=seed, own=own)

    assert list(hands) == names
    for hand in hands.values():
        assert len(hand) == len(set(hand)) == min(quota, answers)
    seen = Counter(label for hand in hands.values() for label in hand)
    counts = [seen[label] for label in field]
    assert max(counts) - min(counts) <= 1
    assert deal(field, names, quota, seed=seed, own=own) == hands


@pytest.mark.parametrize("count", [10, 30, 100])
def test_nobody_ranks_its_own_answer_among_many(count: int) -> None:
    field = labels(count)
    own = dict(zip(field, field, strict=True))
    hands = deal(field, field, 7, seed="x", own=own)

    assert all(voter not in hand for voter, hand in hands.items())


def test_another_seed_deals_otherwise() -> None:
    field = labels(30)
    one, other = (deal(field, field, 7, seed=seed, own={}) for seed in "ab")

    assert one != other


def test_where_all_see_all_each_answer_stands_in_each_place_equally_often() -> None:
    field = labels(7)
    hands = deal(field, [f"v{number}" for number in range(21)], 7, seed="x", own={})

    places = Counter((label, place) for hand in hands.values() for place, label in enumerate(hand))
    assert set(places.values()) == {3}


def test_voters_of_many_are_dealt_different_neighbours() -> None:
    """Each pair of answers is compared about as often as another."""
    field = labels(30)
    pairs: Counter[tuple[str, ...]] = Counter()
    for hand in deal(field, field, 7, seed="x", own={}).values():
        pairs.update(itertools.combinations(sorted(hand), 2))

    assert len(pairs) > 300  # of 435
    assert max(pairs.values()) <= 6


@given(count=st.integers(1, 60), size=st.integers(3, 9))
def test_a_voter_of_many_answers_gets_full_ballots(count: int, size: int) -> None:
    ballots = split(labels(count), size)

    assert [label for ballot in ballots for label in ballot] == labels(count)
    assert all(len(ballot) <= size for ballot in ballots)
    assert count == 1 or all(len(ballot) > 1 for ballot in ballots)


@given(field=st.integers(4, 400), voters=st.integers(1, 400), size=st.integers(3, 12))
def test_every_answer_is_seen_twice_at_least(field: int, voters: int, size: int) -> None:
    quota = quota_of(field, voters, size)

    assert quota <= field
    assert voters * quota >= min(2, voters) * field


@given(field=st.integers(1, 2000), voters=st.integers(1, 2000), size=st.integers(3, 12))
def test_the_stages_come_to_a_run_off(field: int, voters: int, size: int) -> None:
    fields = schedule(field, voters, size)

    assert fields[0] == field
    assert list(fields) == sorted(set(fields), reverse=True)
    assert fields[-1] == min(field, size) or field <= size or fields[-1] == size
    assert len(fields) <= 12


@pytest.mark.parametrize(
    ("agents", "size", "fields"),
    [
        (5, 7, (5,)),
        (8, 7, (8, 7)),
        (30, 7, (30, 7)),
        (100, 7, (100, 29, 7)),
        (300, 7, (300, 86, 7)),
        (1000, 7, (1000, 286, 24, 7)),
        (100, 3, (100, 50, 17, 3)),
    ],
)
def test_the_schedule_of_a_team(agents: int, size: int, fields: tuple[int, ...]) -> None:
    assert schedule(agents, agents, size) == fields


def test_fewer_views_let_fewer_drop_out() -> None:
    assert survivors(100, 30, 7) > survivors(100, 100, 7) > survivors(100, 300, 7)


def test_points_are_an_average_over_the_ballots_that_an_answer_stood_on() -> None:
    tally = borda([(("a", "b", "c"), 1.0), (("c", "a", "b"), 1.0), (("a", "d"), 1.0)])

    assert {label: round(one.points, 3) for label, one in tally.items()} == {
        "a": 0.833,
        "b": 0.25,
        "c": 0.5,
        "d": 0.0,
    }
    assert {label: one.ballots for label, one in tally.items()} == {"a": 3, "b": 2, "c": 2, "d": 1}


def test_a_ballot_counts_as_much_as_its_voter() -> None:
    tally = borda([(("a", "b"), 3.0), (("b", "a"), 1.0)])

    assert tally["a"].points == 0.75
    assert tally["b"].points == 0.25


@given(st.permutations([(("a", "b", "c"), 0.1), (("c", "b", "a"), 0.7), (("b", "a", "c"), 0.3)]))
def test_the_order_of_arrival_changes_no_points(
    rankings: list[tuple[tuple[str, ...], float]],
) -> None:
    expected = borda([(("a", "b", "c"), 0.1), (("c", "b", "a"), 0.7), (("b", "a", "c"), 0.3)])

    assert borda(rankings) == expected
