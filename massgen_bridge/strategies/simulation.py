"""How well, and at what price, a team finds its best answer by a vote in stages: made-up teams.

What is made up is quality and taste alone: each answer has a true quality, drawn from a normal
distribution, and each voter perceives it with an error of its own, drawn from another, which is
fixed for the two. All that is dealt, counted and decided is done by the strategy's own code, and
prompts are counted as they would be sent.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from massgen_bridge import ballots
from massgen_bridge.agent import AnswerRef, ShownAnswer
from massgen_bridge.events import Ranked, Seat
from massgen_bridge.messages import user
from massgen_bridge.strategies._candidates import Candidate
from massgen_bridge.strategies._staged import Rules, open_stages, result_of, step_stages
from massgen_bridge.strategies.designs import borda, schedule
from massgen_bridge.strategy import StartTurn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Found", "TeamFigures", "simulate"]

_CHARACTERS_A_TOKEN = 4
_QUESTION = "How should a town of 40,000 people spend a million on getting about?"
_PODIUM = 3


class Found(NamedTuple):
    """How often the answer that is truly the best won, and how often one of the best three."""

    best: float
    top3: float


class TeamFigures(NamedTuple):
    """What came of teams of one size.

    Attributes:
        agents: How many answer and vote.
        ballot_size: How many answers one ballot holds.
        seeds: How many teams were made up.
        fields: How many answers stand in each stage; one alone where each voter sees all.
        staged: Of the vote in stages; where one ballot holds all, of one vote each.
        all_ranked: Where each voter puts all answers in order.
        all_voted: Where each voter sees all answers and votes for one.
        tokens: Prompt tokens of a run in stages, answers included, at four characters a token.
        tokens_all: Prompt tokens where each voter sees all.
    """

    agents: int
    ballot_size: int
    seeds: int
    fields: tuple[int, ...]
    staged: Found
    all_ranked: Found
    all_voted: Found
    tokens: int
    tokens_all: int


def simulate(
    agents: int, *, ballot_size: int, seeds: int, answer_tokens: int = 400
) -> Iterator[TeamFigures]:
    """Let teams of one size vote.

    Args:
        agents: How many agents answer and vote.
        ballot_size: How many answers one ballot holds at most.
        seeds: How many teams to make up; the same numbers give the same figures.
        answer_tokens: How long an answer is, for the prompts.

    Yields:
        The figures so far, after each team.
    """
    seats = tuple(
        Seat(agent_id=f"a{number}", label=f"agent{number}", kind="simulated")
        for number in range(1, agents + 1)
    )
    won: dict[str, list[int]] = {"staged": [], "ranked": [], "voted": []}
    one_ballot = agents <= ballot_size
    fields = (agents,) if one_ballot else schedule(agents, agents, ballot_size)
    whole = _tokens("evaluate", agents, answer_tokens)
    first = _tokens("answer", 0, 0)
    tokens_all = agents * (first + whole)
    tokens = tokens_all if one_ballot else agents * first
    for seed in range(seeds):
        team = _Team(seats, seed)
        asked: Counter[int] = Counter()
        won["voted"].append(team.by_votes())
        won["ranked"].append(team.by_rankings())
        won["staged"].append(won["voted"][-1] if one_ballot else team.staged(ballot_size, asked))
        if seed == 0:  # the ballots of all teams of one size are alike
            tokens += sum(
                number * _tokens("rank", shown, answer_tokens) for shown, number in asked.items()
            )
        yield TeamFigures(
            agents=agents,
            ballot_size=ballot_size,
            seeds=seed + 1,
            fields=fields,
            staged=_found(won["staged"]),
            all_ranked=_found(won["ranked"]),
            all_voted=_found(won["voted"]),
            tokens=tokens,
            tokens_all=tokens_all,
        )


def _found(places: list[int]) -> Found:
    return Found(
        best=sum(place == 0 for place in places) / len(places),
        top3=sum(place < _PODIUM for place in places) / len(places),
    )


class _Team:
    """One made-up team: what its answers are worth, and what each voter thinks of each."""

    def __init__(self, seats: tuple[Seat, ...], seed: int) -> None:
        dice = random.Random(f"{len(seats)}/{seed}")  # noqa: S311 - no secret
        self._seats = seats
        quality = {seat.label: dice.gauss(0, 1) for seat in seats}
        best_first = sorted(quality, key=lambda label: -quality[label])
        self._place = {label: place for place, label in enumerate(best_first)}
        self._taste = {
            seat.agent_id: {label: worth + dice.gauss(0, 1) for label, worth in quality.items()}
            for seat in seats
        }

    def by_votes(self) -> int:
        """The true place of what gets the most votes, each voter seeing all."""
        votes = Counter(max(taste, key=taste.__getitem__) for taste in self._taste.values())
        return self._place[max(self._place_in_order(), key=lambda label: votes[label])]

    def by_rankings(self) -> int:
        """The true place of what wins where each voter puts all in order."""
        rankings = ((self._order(one, list(self._place)), 1.0) for one in self._taste)
        points = borda(rankings)
        return self._place[max(self._place_in_order(), key=lambda label: points[label].points)]

    def staged(self, ballot_size: int, asked: Counter[int]) -> int:
        """The true place of what wins in stages; `asked` counts the ballots by their size."""
        candidates = tuple(
            Candidate(label=seat.label, version=1, text=seat.label, authors=(seat.agent_id,))
            for seat in self._seats
        )
        rules = Rules(ballot_size=ballot_size)
        stages, commands = open_stages(candidates, ((seat, 1) for seat in self._seats), rules)
        queue = [one for one in commands if isinstance(one, StartTurn)]
        while queue:
            turn = queue.pop()
            asked[len(turn.shown)] += 1
            labels = self._order(turn.agent_id, [answer.label for answer in turn.shown])
            ranking = tuple(AnswerRef(label=label, version=1) for label in labels)
            happening = Ranked(agent_id=turn.agent_id, turn_id=turn.turn_id, ranking=ranking)
            stages, commands = step_stages(stages, happening, rules)
            queue += [one for one in commands if isinstance(one, StartTurn)]
        return self._place[result_of(stages).leaders[0].label]

    def _order(self, voter: str, labels: list[str]) -> list[str]:
        taste = self._taste[voter]
        return sorted(labels, key=taste.__getitem__, reverse=True)

    def _place_in_order(self) -> list[str]:
        """The labels in the order of the configuration, in which ties are broken."""
        return [seat.label for seat in self._seats]


def _tokens(purpose: str, shown: int, answer_tokens: int) -> int:
    """Tokens of one prompt, as an agent without tools would be sent it."""
    text = "x" * _CHARACTERS_A_TOKEN * answer_tokens
    command = StartTurn(
        turn_id="a1.1",
        agent_id="a1",
        purpose="rank" if purpose == "rank" else "evaluate" if shown else "answer",
        shown=tuple(
            ShownAnswer(label=f"agent{number}", version=1, text=text)
            for number in range(1, shown + 1)
        ),
    )
    draft = ballots.compose(command, user(_QUESTION), system="", way="text", mark="0" * 8)
    return sum(len(message.text) for message in draft.messages) // _CHARACTERS_A_TOKEN
