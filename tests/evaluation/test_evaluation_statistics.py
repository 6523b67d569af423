"""Intervals and verdicts: known values, and how often they are right where the truth is planted."""

from __future__ import annotations

import random
from itertools import product
from math import comb

import pytest

from massgen_bridge.evaluation.statistics import (
    accuracy_interval,
    difference_interval,
    judge,
    one_sided_p,
    questions_needed,
)


@pytest.mark.parametrize(
    ("right", "questions", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662), (7, 7, 0.6457, 1.0)],
)
def test_an_accuracy_has_the_interval_of_wilson(
    right: int, questions: int, low: float, high: float
) -> None:
    interval = accuracy_interval([1] * right + [0] * (questions - right), 1)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_a_difference_has_the_interval_of_bonett_and_price() -> None:
    """36 pairs differ one way and 12 the other, of 100: z·sqrt((37 + 13 - 25² / 102) / 102²)."""
    interval = difference_interval([1] * 36 + [-1] * 12 + [0] * 52, 1)
    middle, spread = 24 / 102, ((36 + 12 + 2) / 102 - (24 / 102) ** 2) / 102
    assert interval.low == pytest.approx(middle - 1.959964 * spread**0.5, abs=1e-6)
    assert interval.high == pytest.approx(middle + 1.959964 * spread**0.5, abs=1e-6)


@pytest.mark.parametrize(("ours", "theirs"), [(6, 0), (5, 0), (9, 2), (3, 3), (0, 4)])
def test_the_test_is_mcnemars_where_each_question_has_one_answer(ours: int, theirs: int) -> None:
    told = ours + theirs
    tail = sum(comb(told, n) for n in range(ours, told + 1)) / 2**told
    assert one_sided_p([1] * ours + [-1] * theirs + [0] * 20) == pytest.approx(tail)


def test_the_test_counts_every_way_to_set_the_signs() -> None:
    differences = [3, -1, 2, 2, 0, 1, -3, 2]
    sums = [
        sum(sign * abs(one) for sign, one in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    tail = sum(one >= sum(differences) for one in sums) / len(sums)
    assert one_sided_p(differences) == pytest.approx(tail)


def test_without_any_difference_nothing_is_told() -> None:
    assert one_sided_p([0] * 50) == 1.0
    assert judge([[0] * 50]) == "undecided"
    assert judge([]) == "undecided"
    assert questions_needed([0] * 50, 1) is None


def test_better_is_better_than_each_and_worse_is_worse_than_any() -> None:
    much, little, even = [1] * 10 + [0] * 10, [1, 1] + [0] * 18, [0] * 20
    assert judge([much, much]) == "better"
    assert judge([much, little]) == "undecided"
    assert judge([even, [-one for one in much]]) == "worse"


def test_the_more_agents_the_more_it_takes_to_call_a_team_worse_than_some_one_of_them() -> None:
    beaten = [-1] * 6 + [0] * 20  # 1/64 by chance
    assert judge([beaten]) == "worse"
    assert judge([beaten, [0] * 26, [0] * 26]) == "undecided"


def test_fewer_questions_tell_a_larger_difference() -> None:
    small, large = [1] * 11 + [-1] * 9 + [0] * 80, [1] * 30 + [-1] * 9 + [0] * 61
    needed = questions_needed(small, 1), questions_needed(large, 1)
    assert needed[0] is not None
    assert needed[1] is not None
    assert needed[1] < 100 < needed[0]


# --- planted truths, with fixed seeds, so that these figures are the same each time ---------------


def _seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a simulation, no secret


def _coverage(truth: float, questions: int, repeats: int, spread: float) -> float:
    """How often the interval holds the truth; `spread`: how much questions differ in difficulty."""
    draw = _seeded(7)
    held = 0
    trials = 2_000
    for _ in range(trials):
        right = []
        for _ in range(questions):
            ease = truth + draw.choice((-spread, spread))
            right.append(sum(draw.random() < ease for _ in range(repeats)))
        interval = accuracy_interval(right, repeats)
        held += interval.low <= truth <= interval.high
    return held / trials


@pytest.mark.parametrize(
    ("truth", "questions", "repeats", "spread"),
    [(0.5, 30, 1, 0), (0.7, 30, 1, 0), (0.85, 40, 1, 0), (0.5, 30, 5, 0.4), (0.6, 40, 3, 0.1)],
)
def test_an_interval_holds_the_truth_about_95_times_in_100(
    truth: float, questions: int, repeats: int, spread: float
) -> None:
    assert 0.93 <= _coverage(truth, questions, repeats, spread) <= 0.985


def test_repeated_answers_are_not_taken_for_further_questions() -> None:
    """Somebody who always or never knows an answer shows no more by saying it five times."""
    once = accuracy_interval([1, 0] * 15, 1)
    often = accuracy_interval([5, 0] * 15, 5)
    mixed = accuracy_interval([3, 2] * 15, 5)
    assert often.high - often.low == pytest.approx(once.high - once.low, abs=0.01)
    assert mixed.high - mixed.low < 0.6 * (once.high - once.low)


def _pairs(draw: random.Random, team: float, agents: list[float], n: int) -> list[list[int]]:
    """Differences of a team and its agents, whose right answers go along with each other."""
    against: list[list[int]] = [[] for _ in agents]
    for _ in range(n):
        shared, follows = draw.random(), 0.6
        rolls = [shared if draw.random() < follows else draw.random() for _ in (team, *agents)]
        ours = int(rolls[0] < team)
        for row, ability, roll in zip(against, agents, rolls[1:], strict=True):
            row.append(ours - int(roll < ability))
    return against


@pytest.mark.parametrize(
    ("team", "agents"),
    [
        (0.6, [0.6, 0.6, 0.6]),  # the best of three equals is best by luck alone
        (0.7, [0.7, 0.4, 0.4]),
        (0.5, [0.5]),
    ],
)
def test_a_team_as_good_as_its_best_agent_is_seldom_called_better_or_worse(
    team: float, agents: list[float]
) -> None:
    draw = _seeded(11)
    said = [judge(_pairs(draw, team, agents, 40)) for _ in range(1_000)]
    assert said.count("better") <= 32  # at most 2.5 %, and what chance adds to that
    assert said.count("worse") <= 32


def test_picking_the_best_agent_by_its_own_score_would_call_the_team_worse_too_often() -> None:
    """Why the verdict does not do that: the same data, judged against the best score alone."""
    draw = _seeded(11)
    naive = 0
    for _ in range(1_000):
        against = _pairs(draw, 0.6, [0.6] * 8, 40)
        best = min(against, key=sum)
        naive += judge([best]) == "worse"
    assert naive > 50


@pytest.mark.parametrize(("team", "best", "verdict"), [(0.9, 0.6, "better"), (0.5, 0.8, "worse")])
def test_a_clear_difference_is_found(team: float, best: float, verdict: str) -> None:
    draw = _seeded(3)
    said = [judge(_pairs(draw, team, [best, 0.5], 80)) for _ in range(200)]
    assert said.count(verdict) >= 170  # type: ignore[arg-type]


def test_the_interval_of_a_difference_holds_the_truth() -> None:
    draw = _seeded(5)
    held = 0
    for _ in range(2_000):
        (row,) = _pairs(draw, 0.75, [0.6], 35)
        interval = difference_interval(row, 1)
        held += interval.low <= 0.15 <= interval.high
    assert 0.93 <= held / 2_000 <= 0.98
