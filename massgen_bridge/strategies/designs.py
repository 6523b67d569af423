"""Who ranks what in a field of many answers, how rankings are counted, and how many go on.

Nothing here is random: what looks shuffled follows from a seed that is text, in the same way on
every machine and with every version of Python.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "Tally",
    "ballots_of",
    "borda",
    "deal",
    "most_ballots",
    "quota_of",
    "schedule",
    "split",
    "survivors",
]

_LEAST_VIEWS = 2
_LEAST_CUT = 2.0


def deal(
    answers: Sequence[str],
    voters: Sequence[str],
    quota: int,
    *,
    seed: str,
    own: Mapping[str, str],
) -> dict[str, tuple[str, ...]]:
    """Share out the answers, so that each is seen equally often, or once more.

    Nobody gets an answer twice, and nobody its own unless there is no other way. Where everybody
    sees everything, each starts at another place, so that each answer stands in each place equally
    often.

    Args:
        answers: Their labels.
        voters: Who sees them.
        quota: How many each voter sees.
        seed: Another one deals otherwise.
        own: The label of a voter's own answer.

    Returns:
        For each voter the labels, in the order in which they are to be shown.
    """
    if quota >= len(answers):
        order = _shuffled(answers, seed)
        shifts = [number % len(order) for number in range(len(voters))]
        return {
            voter: (*order[shift:], *order[:shift])
            for voter, shift in zip(voters, shifts, strict=True)
        }
    deck: list[str] = []
    decks = 0
    hands: dict[str, list[str]] = {}
    for voter in _shuffled(voters, f"{seed}/voters"):
        hand: list[str] = []
        position = 0
        while len(hand) < quota:
            if position == len(deck):
                deck += _shuffled(answers, f"{seed}/{decks}")
                decks += 1
            if deck[position] in hand:
                position += 1  # for the next voter
            else:
                hand.append(deck.pop(position))
        hands[voter] = hand
    _swap_own(hands, own)
    return {voter: tuple(hands[voter]) for voter in voters}


def _shuffled(things: Sequence[str], seed: str) -> list[str]:
    return sorted(things, key=lambda one: hashlib.sha256(f"{seed}\n{one}".encode()).digest())


def _swap_own(hands: dict[str, list[str]], own: Mapping[str, str]) -> None:
    """Let voters who got their own answer swap it with others; how often it is seen stays."""
    order = list(hands)
    for place, voter in enumerate(order):
        mine = own.get(voter)
        if mine is None or mine not in hands[voter]:
            continue
        for other in (*order[place + 1 :], *order[:place]):
            theirs = own.get(other)
            if theirs == mine or mine in hands[other]:
                continue
            given = next((a for a in hands[other] if a not in hands[voter]), None)
            if given is not None:
                hands[voter][hands[voter].index(mine)] = given
                hands[other][hands[other].index(given)] = mine
                break


def split(labels: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    """Labels as ballots of at most so many, all of about the same length."""
    ballots = math.ceil(len(labels) / size)
    cuts = [len(labels) * number // ballots for number in range(ballots + 1)]
    return tuple(tuple(labels[start:end]) for start, end in itertools.pairwise(cuts) if end > start)


def quota_of(field: int, voters: int, size: int) -> int:
    """How many of so many answers each voter ranks in a stage.

    That is one ballot, or several where so few vote that not every answer would be seen twice.
    """
    return min(field, max(size, math.ceil(_LEAST_VIEWS * field / max(voters, 1))))


def survivors(field: int, voters: int, size: int) -> int:
    """How many of so many answers go on from a stage to the next.

    The oftener each answer was seen, the surer its place, and the more may drop out: with `v`
    views of each, at least half, and all but one in `v / 2` at most. The last stage before the
    run-off leaves as many as one ballot holds.
    """
    views = voters * quota_of(field, voters, size) / field
    left = math.ceil(field / max(_LEAST_CUT, views / 2))
    return size if left <= 2 * size else left


def schedule(field: int, voters: int, size: int) -> tuple[int, ...]:
    """How many answers stand in each stage, the run-off last.

    Args:
        field: How many answers there are.
        voters: How many vote.
        size: How many one ballot holds at most.
    """
    fields = [field]
    while fields[-1] > size:
        fields.append(survivors(fields[-1], voters, size))
    return tuple(fields)


def ballots_of(field: int, voters: int, size: int) -> int:
    """How many ballots are dealt in all stages, if nobody fails."""
    return sum(
        voters * math.ceil(quota_of(stage, voters, size) / size)
        for stage in schedule(field, voters, size)
    )


def most_ballots(field: int, voters: int, size: int) -> int:
    """How many ballots may be dealt where voters fail on the way: fewer drop out then."""
    ballots = 0
    while True:
        ballots += max(
            left * math.ceil(quota_of(field, left, size) / size) for left in range(1, voters + 1)
        )
        if field <= size:
            return ballots
        field = survivors(field, 1, size)


class Tally(NamedTuple):
    """What an answer got in one stage.

    Attributes:
        points: Borda points, on average over the ballots that it stood on, each counted with its
            voter's weight: from 1 for the first place of each to 0 for the last.
        ballots: On how many it stood.
    """

    points: float
    ballots: int


def borda(rankings: Iterable[tuple[Sequence[str], float]]) -> dict[str, Tally]:
    """Count rankings: the better half of a ballot's answers share the better half of its points.

    An average, not a sum, so that answers on ballots that were lost are not worse off for it.

    Args:
        rankings: Labels, the best one first, and the weight of the voter.
    """
    points: dict[str, list[float]] = {}
    weights: dict[str, list[float]] = {}
    for labels, weight in rankings:
        last = len(labels) - 1
        for place, label in enumerate(labels):
            points.setdefault(label, []).append(weight * (last - place) / last if last else 0.5)
            weights.setdefault(label, []).append(weight)
    # Sums that do not depend on the order of arrival.
    return {
        label: Tally(math.fsum(got) / math.fsum(weights[label]), len(got))
        for label, got in points.items()
    }
