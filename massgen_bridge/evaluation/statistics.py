"""What can be said from a few questions: intervals, an exact test, and no more than that."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "CONFIDENCE",
    "Interval",
    "Verdict",
    "accuracy_interval",
    "difference_interval",
    "judge",
    "one_sided_p",
    "questions_needed",
]

CONFIDENCE: Final = 0.95
_ALPHA: Final = 1 - CONFIDENCE
_Z: Final = NormalDist().inv_cdf(1 - _ALPHA / 2)
_POWER: Final = 0.8

Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95 % confidence interval; shares of 1."""

    low: float
    high: float


def accuracy_interval(right: Sequence[int], repeats: int) -> Interval:
    """How good somebody is, from how often each question was answered rightly.

    Wilson's interval. Answers to one question are no independent evidence, so repeated ones count
    for as much as they vary: between one answer a question and all of them.

    Args:
        right: For each question, how many of its answers were right; at least one question.
        repeats: How many answers each question has.
    """
    questions = len(right)
    share = sum(right) / (questions * repeats)
    size = float(questions)
    if repeats > 1 and questions > 1 and 0 < share < 1:
        between = sum((one / repeats - share) ** 2 for one in right) / (questions - 1)
        each = share * (1 - share) / between if between else repeats
        size *= min(max(each, 1.0), repeats)
    bent = _Z * _Z / size
    middle = (share + bent / 2) / (1 + bent)
    half = _Z / (1 + bent) * sqrt(share * (1 - share) / size + bent / (4 * size))
    # Rounding must not leave the ends of the scale open where everything or nothing was right.
    return Interval(
        low=0.0 if share == 0 else max(middle - half, 0.0),
        high=1.0 if share == 1 else min(middle + half, 1.0),
    )


def difference_interval(differences: Sequence[int], repeats: int) -> Interval:
    """How much better one is than another on the same questions.

    Bonett and Price's interval for paired shares: Wald's, with one question more for either side,
    which keeps it honest where few questions tell the two apart.

    Args:
        differences: For each question, how many more right answers the one gave than the other.
        repeats: How many answers each question has.
    """
    size = len(differences) + 2
    middle = sum(differences) / repeats / size
    squares = (sum(one * one for one in differences) / repeats**2 + 2) / size
    half = _Z * sqrt(max(squares - middle**2, 0.0) / size)
    return Interval(low=max(middle - half, -1.0), high=min(middle + half, 1.0))


def one_sided_p(differences: Sequence[int]) -> float:
    """How likely so large a sum of differences is, if either sign of each was as likely.

    The exact sign-flip test; with one answer a question it is McNemar's exact test.

    Args:
        differences: For each question, how many more right answers the one gave than the other.
    """
    ways: Mapping[int, int] = {0: 1}
    for size in (abs(one) for one in differences if one):
        following: dict[int, int] = defaultdict(int)
        for total, number in ways.items():
            following[total + size] += number
            following[total - size] += number
        ways = following
    observed = sum(differences)
    return sum(n for total, n in ways.items() if total >= observed) / sum(ways.values())


def judge(against: Sequence[Sequence[int]]) -> Verdict:
    """Whether a team is better or worse than the best of several agents, or neither can be told.

    The best agent is not picked by its own score, which would flatter it. Better means better than
    each of them; worse means worse than any, with the level divided among them. So whichever agent
    is truly the best, either claim is wrong in at most 2.5 % of evaluations.

    Args:
        against: For each agent, the differences of the team's right answers and its own.
    """
    if not against:
        return "undecided"
    level = _ALPHA / 2
    if all(one_sided_p(one) <= level for one in against):
        return "better"
    if any(one_sided_p([-d for d in one]) <= level / len(against) for one in against):
        return "worse"
    return "undecided"


def questions_needed(differences: Sequence[int], repeats: int) -> int | None:
    """About how many questions would tell a difference of this size, with a chance of 80 %.

    Returns:
        None where there is no difference to tell.
    """
    mean = fmean(differences) / repeats
    if mean == 0:
        return None
    square = fmean(one * one for one in differences) / repeats**2
    power = NormalDist().inv_cdf(_POWER)
    return ceil(((_Z * sqrt(square) + power * sqrt(max(square - mean**2, 0.0))) / mean) ** 2)
