"""A vote within a team: each member is asked once, and the majority is the team's own vote.

It is what a team does where it has to choose, whatever its strategy; no configuration names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from massgen_bridge.agent import AnswerRef
from massgen_bridge.ballots import END, IMPROVE
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerInfo,
    BallotSpoiled,
    BudgetReached,
    DeadlinePassed,
    ImprovementPromised,
    Ranked,
    Seat,
    SpeakerChosen,
    TurnLost,
    Voted,
    VoteInfo,
)
from massgen_bridge.messages import Frozen
from massgen_bridge.strategies.designs import borda
from massgen_bridge.strategy import Command, Finish, StartTurn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.events import Happening

__all__ = ["POLL", "Majority", "Poll", "PollState", "majority_of", "order_of"]

POLL = "poll"


class PollState(Frozen):
    """Who is still to vote, by turn, and the votes that were cast."""

    v: Literal[1] = 1
    seats: tuple[Seat, ...]
    open: dict[str, str] = Field(default_factory=dict)
    repaired: tuple[str, ...] = ()
    votes: tuple[VoteInfo, ...] = ()
    problems: tuple[str, ...] = ()
    ended: bool = False


class Majority(NamedTuple):
    """What most of the votes are for."""

    label: str
    version: int
    votes: tuple[VoteInfo, ...]


def majority_of(votes: Iterable[VoteInfo]) -> Majority | None:
    """What got most of the votes' weight; of equals, what the first of their voters has chosen.

    Args:
        votes: In the order of the configuration; a vote for `improve` or `end` stands for itself.
    """
    camps: dict[tuple[str, int], list[VoteInfo]] = {}
    for vote in votes:
        camps.setdefault((vote.label, vote.version), []).append(vote)
    if not camps:
        return None
    (label, version), camp = max(camps.items(), key=lambda one: sum(v.weight for v in one[1]))
    return Majority(label=label, version=version, votes=tuple(camp))


def order_of(votes: Iterable[VoteInfo]) -> tuple[str, ...]:
    """The labels of rankings by their Borda points, the best first; of equals, as ranked first."""
    cast = [([ref.label for ref in vote.ranking], vote.weight) for vote in votes]
    tallies = borda(cast)
    known = list(dict.fromkeys(label for ranking, _ in cast for label in ranking))
    return tuple(sorted(known, key=lambda label: -tallies[label].points))


def _is_time_of_the_run(happening: Happening) -> bool:
    """Whether nothing more may be waited for; after any other budget what runs goes on."""
    if not isinstance(happening, BudgetReached):
        return False
    return happening.agent_id is None and happening.budget == "wall_s"


class Poll:
    """The reducer of a vote within a team.

    Args:
        asked: What the team is asked to choose, as the command that it was given.
    """

    def __init__(self, asked: StartTurn) -> None:
        self._asked = asked

    def begin(self, seats: tuple[Seat, ...]) -> tuple[PollState, tuple[Command, ...]]:
        """Ask everybody who votes."""
        turns = {f"{seat.agent_id}.1": seat.agent_id for seat in seats if "vote" in seat.roles}
        state = PollState(seats=seats, open=turns)
        if not turns:
            return self._end(state.model_copy(update={"problems": ("no member votes",)}))
        return state, tuple(self._ask(turn_id, agent_id) for turn_id, agent_id in turns.items())

    def step(self, state: PollState, happening: Happening) -> tuple[PollState, tuple[Command, ...]]:
        """Count a vote; end with the last one, or when the time is up."""
        if state.ended:
            return state, ()
        if isinstance(happening, DeadlinePassed) or _is_time_of_the_run(happening):
            return self._end(state)
        turn_id = getattr(happening, "turn_id", None)
        agent_id = state.open.get(turn_id or "")
        if turn_id is None or agent_id is None:
            return state, ()
        rest = {one: agent for one, agent in state.open.items() if one != turn_id}
        state = state.model_copy(update={"open": rest})
        weight = next(seat.weight for seat in state.seats if seat.agent_id == agent_id)
        vote = self._vote(agent_id, weight, happening)
        if isinstance(vote, VoteInfo):
            state = state.model_copy(update={"votes": (*state.votes, vote)})
        elif isinstance(happening, TurnLost | Abstained) or agent_id in state.repaired:
            problem = f"{agent_id}: {vote}"
            state = state.model_copy(update={"problems": (*state.problems, problem)})
        else:
            again = f"{agent_id}.2"
            changed = {
                "open": {**state.open, again: agent_id},
                "repaired": (*state.repaired, agent_id),
            }
            return state.model_copy(update=changed), (self._ask(again, agent_id, vote),)
        return (state, ()) if state.open else self._end(state)

    def _ask(self, turn_id: str, agent_id: str, problem: str | None = None) -> StartTurn:
        who = {"turn_id": turn_id, "agent_id": agent_id}
        if problem is None:
            return self._asked.model_copy(update=who)
        repair = {"purpose": "repair", "repairs": self._asked.purpose, "problem": problem}
        return self._asked.model_copy(update={**who, **repair})

    def _vote(self, agent_id: str, weight: float, happening: Happening) -> VoteInfo | str:
        """What an agent has chosen; a problem in words where it has not."""
        chair, ranks = self._asked.purpose == "chair", self._asked.purpose == "rank"
        who: dict[str, Any] = {"voter": agent_id, "weight": weight}
        match happening:
            case Voted(choice=choice, reason=reason) if not chair and not ranks:
                ref = {"label": choice.label, "version": choice.version}
                return VoteInfo(**who, **ref, author=choice.label, reason=reason)
            case SpeakerChosen(label=label, reason=reason) if chair:
                chosen = label or END
                return VoteInfo(**who, author=chosen, label=chosen, version=1, reason=reason)
            case Ranked(ranking=ranking, reason=reason) if ranks:
                first = ranking[0]
                ref = {"label": first.label, "version": first.version}
                return VoteInfo(**who, **ref, author=first.label, reason=reason, ranking=ranking)
            case Answered() | ImprovementPromised() if self._asked.may_improve:
                return VoteInfo(**who, author=agent_id, label=IMPROVE, version=1)
            case TurnLost(message=problem) | BallotSpoiled(problem=problem):
                return problem
            case Abstained(reason=reason):
                return f"abstains: {reason}" if reason else "abstains"
            case _:
                return "a vote was expected"

    def _end(self, state: PollState) -> tuple[PollState, tuple[Command, ...]]:
        order = {seat.agent_id: position for position, seat in enumerate(state.seats)}
        votes = tuple(sorted(state.votes, key=lambda vote: order[vote.voter]))
        ended = state.model_copy(update={"ended": True, "votes": votes})
        most = self._first(votes)
        if most is None:
            why = "; ".join(state.problems) or "the time was up"
            return ended, (Finish(status="failed", message=f"nobody voted: {why}"),)
        answers = tuple(
            AnswerInfo(
                label=one.label,
                version=one.version,
                authors=(one.label,),
                text=one.text,
                media=one.media,
                votes=sum((v.label, v.version) == (one.label, one.version) for v in votes),
            )
            for one in (() if self._asked.purpose == "chair" else self._asked.shown)
        )
        chosen = [answer for answer in answers if (answer.label, answer.version) == most]
        return ended, (
            Finish(
                status="answered",
                winner=AnswerRef(label=most[0], version=most[1]) if chosen else None,
                votes=votes,
                answers=answers,
                message=None if chosen else f"the choice is {most[0]!r}",
            ),
        )

    def _first(self, votes: tuple[VoteInfo, ...]) -> tuple[str, int] | None:
        """What the team chooses, or ranks first."""
        if self._asked.purpose != "rank":
            most = majority_of(votes)
            return None if most is None else (most.label, most.version)
        best = next(iter(order_of(votes)), None)
        versions = {one.label: one.version for one in self._asked.shown}
        return None if best is None else (best, versions[best])
