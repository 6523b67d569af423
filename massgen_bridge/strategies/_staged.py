"""A vote in stages: each voter ranks a few answers, the better ones go on, a run-off decides.

It is a reducer of its own that a strategy hands over to once all answers are there, and that hands
back what came of it. Each stage deals the answers anew (see `designs`); what is counted is the
voters' order, so a voter who ranks well among few is worth as much as one who ranks many.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from massgen_bridge.events import (
    Seat,
    StageClosed,
    StageInfo,
    StageStanding,
    TurnHappening,
    TurnIdle,
    VoteInfo,
)
from massgen_bridge.messages import Frozen
from massgen_bridge.strategies._candidates import Candidate
from massgen_bridge.strategies._workers import (
    Nothing,
    Ordered,
    Worker,
    assign,
    busy,
    hear,
)
from massgen_bridge.strategies.designs import Tally, borda, deal, quota_of, split, survivors
from massgen_bridge.strategy import Announce, CancelTurn, Command, StartTurn, WatchIdle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from massgen_bridge.agent import AnswerRef

__all__ = ["Outcome", "Rules", "Stages", "open_stages", "result_of", "step_stages"]

_Step = tuple["Stages", tuple[Command, ...]]


class Rules(NamedTuple):
    """How the stages are held.

    Attributes:
        ballot_size: How many answers one ballot holds at most.
        quorum: How many voters make a stage valid, so that it closes as soon as the others are
            silent; None for all.
        idle_s: How many seconds of silence that is.
    """

    ballot_size: int
    quorum: int | None = None
    idle_s: float = 0.0


class Cast(Frozen):
    """A valid ranking: labels, the best one first."""

    voter: str
    ranking: tuple[str, ...]
    reason: str = ""


class Stages(Frozen):
    """How far the vote has come: a value that survives a JSON round trip.

    Attributes:
        candidates: All answers, in the order of the configuration.
        field: The labels of those that are still in the race, in the same order.
        number: The stage that is open, from 1; the last one when all are closed.
        workers: Who votes, and the turn that each is busy with.
        pending: Ballots that their voters get after the one that they have.
        asked: How many ballots were dealt in this stage.
        casts: What is valid of them.
        watched: Whether the stage waits for stragglers only as long as they are heard of.
        closed: The stages that are counted.
    """

    v: Literal[1] = 1
    seed: str
    candidates: tuple[Candidate, ...]
    field: tuple[str, ...]
    number: int = 0
    workers: dict[str, Worker]
    pending: dict[str, tuple[tuple[str, ...], ...]] = Field(default_factory=dict)
    asked: int = 0
    casts: tuple[Cast, ...] = ()
    watched: bool = False
    closed: tuple[StageInfo, ...] = ()
    is_over: bool = False


class Outcome(NamedTuple):
    """What came of the stages, or has come of them so far.

    Attributes:
        leaders: The best of those still in the race, in the order of the configuration.
        votes: The rankings of the run-off, each as a vote for its first answer.
        points: What each answer of the stage that decided has got, by label.
        stages: Those that are counted.
    """

    leaders: tuple[Candidate, ...]
    votes: tuple[VoteInfo, ...]
    points: Mapping[str, float]
    stages: tuple[StageInfo, ...]


def open_stages(
    candidates: tuple[Candidate, ...], voters: Iterable[tuple[Seat, int]], rules: Rules
) -> _Step:
    """Begin the first stage.

    Args:
        candidates: All answers; more than one ballot holds.
        voters: Who votes, each with the number of turns it has had.
        rules: How the stages are held.
    """
    workers = {seat.agent_id: Worker(seat=seat, turns=turns) for seat, turns in voters}
    named = "\n".join((str(rules.ballot_size), *workers, *(c.label for c in candidates)))
    stages = Stages(
        seed=hashlib.sha256(named.encode()).hexdigest()[:16],
        candidates=candidates,
        field=tuple(candidate.label for candidate in candidates),
        workers=workers,
    )
    return _open(stages, rules)


def step_stages(stages: Stages, happening: TurnHappening | TurnIdle, rules: Rules) -> _Step:
    """Take in what came of a turn, or that one is silent."""
    if stages.is_over:
        return stages, ()
    if isinstance(happening, TurnIdle):
        return _silent(stages, happening, rules)
    workers, news = hear(stages.workers, happening)
    stages = stages.model_copy(update={"workers": workers})
    match news:
        case StartTurn():
            # A straggler that tries again is watched like the others.
            watch = [_watch(news.turn_id, rules)] if stages.watched else []
            return stages, (news, *watch)
        case Ordered(seat=seat, ranking=ranking, reason=reason):
            labels = tuple(ref.label for ref in ranking)
            cast = Cast(voter=seat.agent_id, ranking=labels, reason=reason)
            stages = stages.model_copy(update={"casts": (*stages.casts, cast)})
        case Nothing(seat=seat):
            pass
        case _:
            return stages, ()
    stages, more = _next_ballot(stages, seat.agent_id, rules)
    stages, rest = _settled(stages, rules)
    return stages, (*more, *rest)


# --- a stage --------------------------------------------------------------------------------------


def _open(stages: Stages, rules: Rules) -> _Step:
    """Deal the field to all who can still vote."""
    number = stages.number + 1
    voters = [agent_id for agent_id, worker in stages.workers.items() if not worker.out]
    stages = stages.model_copy(
        update={"number": number, "casts": (), "pending": {}, "asked": 0, "watched": False}
    )
    if not voters:
        return stages.model_copy(update={"is_over": True}), ()
    is_run_off = len(stages.field) <= rules.ballot_size
    quota = quota_of(len(stages.field), len(voters), rules.ballot_size)
    own = {agent: one.label for one in stages.candidates for agent in one.authors}
    hands = deal(
        stages.field,
        voters,
        quota,
        seed=f"{stages.seed}/{number}",
        own={} if is_run_off else own,
    )
    pending = {voter: split(hand, rules.ballot_size) for voter, hand in hands.items()}
    asked = sum(map(len, pending.values()))
    stages = stages.model_copy(update={"pending": pending, "asked": asked})
    commands: list[Command] = []
    for voter in voters:
        stages, more = _next_ballot(stages, voter, rules)
        commands += more
    return stages, tuple(commands)


def _next_ballot(stages: Stages, voter: str, rules: Rules) -> _Step:
    """Give a voter the next of its ballots, if there is one; whoever failed for good gets none."""
    ballots = stages.pending.get(voter, ())
    if not ballots or stages.workers[voter].out:
        return stages, ()
    known = {candidate.label: candidate for candidate in stages.candidates}
    workers, task = assign(
        stages.workers,
        voter,
        "rank",
        round=stages.number,
        shown=tuple(known[label].shown() for label in ballots[0]),
    )
    pending = {**stages.pending, voter: ballots[1:]}
    watch = [_watch(task.turn_id, rules)] if stages.watched else []
    return stages.model_copy(update={"workers": workers, "pending": pending}), (task, *watch)


def _settled(stages: Stages, rules: Rules) -> _Step:
    """Count the stage once nobody is busy, or watch the stragglers once enough have voted."""
    if not busy(stages.workers):
        return _close(stages, rules)
    enough = rules.quorum is not None and _done(stages) >= rules.quorum
    if stages.watched or not enough:
        return stages, ()
    turns = [worker.task.turn_id for worker in stages.workers.values() if worker.task is not None]
    watches = tuple(_watch(turn_id, rules) for turn_id in turns)
    return stages.model_copy(update={"watched": True}), watches


def _done(stages: Stages) -> int:
    """How many voters have a valid ranking and nothing left to rank."""
    return len({c.voter for c in stages.casts if stages.workers[c.voter].task is None})


def _watch(turn_id: str, rules: Rules) -> WatchIdle:
    return WatchIdle(turn_id=turn_id, idle_s=rules.idle_s)


def _silent(stages: Stages, happening: TurnIdle, rules: Rules) -> _Step:
    worker = stages.workers.get(happening.agent_id)
    task = worker.task if worker is not None else None
    if worker is None or task is None or task.turn_id != happening.turn_id or not stages.watched:
        return stages, ()
    workers = {**stages.workers, happening.agent_id: worker.model_copy(update={"task": None})}
    pending = {**stages.pending, happening.agent_id: ()}
    stages = stages.model_copy(update={"workers": workers, "pending": pending})
    stop = CancelTurn(turn_id=task.turn_id, reason="enough have voted, and it was silent")
    stages, rest = _settled(stages, rules)
    return stages, (stop, *rest)


def _close(stages: Stages, rules: Rules) -> _Step:
    is_run_off = len(stages.field) <= rules.ballot_size
    if not stages.casts:
        # Another stage would only cost as much as this one and say as little.
        return stages.model_copy(update={"is_over": True}), ()
    tallies = _tallies(stages)
    order = sorted(stages.field, key=lambda label: -_points(tallies, label))  # ties: as they stand
    voters = sum(1 for worker in stages.workers.values() if not worker.out)
    if is_run_off:
        best = _points(tallies, order[0])
        on = {label for label in order if _points(tallies, label) == best}
    else:
        on = set(order[: survivors(len(order), max(voters, 1), rules.ballot_size)])
    info = _info(stages, order, on, tallies, is_run_off=is_run_off)
    told = Announce(event=StageClosed(stage=info))
    stages = stages.model_copy(update={"closed": (*stages.closed, info)})
    if is_run_off:
        return stages.model_copy(update={"is_over": True}), (told,)
    left = tuple(label for label in stages.field if label in on)
    stages, commands = _open(stages.model_copy(update={"field": left}), rules)
    return stages, (told, *commands)


def _tallies(stages: Stages) -> dict[str, Tally]:
    weights = {agent_id: worker.seat.weight for agent_id, worker in stages.workers.items()}
    return borda((cast.ranking, weights[cast.voter]) for cast in stages.casts)


def _points(tallies: Mapping[str, Tally], label: str) -> float:
    """An answer that nobody ranked, because ballots were lost, does not pass one that was."""
    tally = tallies.get(label)
    return tally.points if tally is not None else 0.0


def _info(
    stages: Stages,
    order: Iterable[str],
    on: set[str],
    tallies: Mapping[str, Tally],
    *,
    is_run_off: bool,
) -> StageInfo:
    versions = {candidate.label: candidate.version for candidate in stages.candidates}
    standing = tuple(
        StageStanding(
            label=label,
            version=versions[label],
            points=round(_points(tallies, label), 6),
            ballots=tallies[label].ballots if label in tallies else 0,
            went_on=label in on,
        )
        for label in order
    )
    return StageInfo(
        number=stages.number,
        run_off=is_run_off,
        asked=stages.asked,
        ballots=len(stages.casts),
        standing=standing,
    )


# --- what came of it ------------------------------------------------------------------------------


def result_of(stages: Stages) -> Outcome:
    """What came of the stages; of those that were broken off, what has come of them so far.

    A stage that is not closed decides only where each answer of its field has been ranked in it.
    """
    tallies = _tallies(stages)
    is_run_off = bool(stages.closed) and stages.closed[-1].run_off
    judged = all(label in tallies for label in stages.field)
    decided = {label: tallies[label].points for label in stages.field if label in tallies}
    if not judged and stages.closed:
        decided = {one.label: one.points for one in stages.closed[-1].standing}
    best = max((decided.get(label, 0.0) for label in stages.field), default=0.0)
    leaders = tuple(
        one
        for one in stages.candidates
        if one.label in stages.field and decided.get(one.label, 0.0) == best
    )
    is_full = judged and (is_run_off or _all_see_all(stages))
    votes = _votes(stages) if is_full else ()
    return Outcome(leaders=leaders, votes=votes, points=decided, stages=stages.closed)


def _all_see_all(stages: Stages) -> bool:
    return all(len(cast.ranking) == len(stages.field) for cast in stages.casts)


def _votes(stages: Stages) -> tuple[VoteInfo, ...]:
    """The rankings in the order of the voters, whatever the order in which they came in."""
    refs = {candidate.label: candidate.ref for candidate in stages.candidates}
    known = {candidate.label: candidate for candidate in stages.candidates}
    cast = {one.voter: one for one in stages.casts}
    votes = []
    for voter, worker in stages.workers.items():
        if voter not in cast:
            continue
        one = cast[voter]
        ranking: tuple[AnswerRef, ...] = tuple(refs[label] for label in one.ranking)
        vote = known[one.ranking[0]].vote(voter, one.reason)
        votes.append(vote.model_copy(update={"ranking": ranking, "weight": worker.seat.weight}))
    return tuple(votes)
