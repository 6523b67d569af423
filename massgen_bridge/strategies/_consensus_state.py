"""What a consensus knows: who is busy with what, which answers stand, and which votes count."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from massgen_bridge.agent import AnswerRef, ShownAnswer
from massgen_bridge.events import AnswerInfo, RunStatus, Seat, VoteInfo
from massgen_bridge.messages import Frozen
from massgen_bridge.strategies._candidates import (
    Candidate,
    Draft,
    leaders_of,
    merge,
)
from massgen_bridge.strategies._staged import Stages, result_of
from massgen_bridge.strategies._workers import InTheRun
from massgen_bridge.strategy import CancelTurn, Command, WatchIdle

__all__ = [
    "ConsensusState",
    "Job",
    "JobKind",
    "Member",
    "Step",
    "Verdict",
    "freed",
    "infos_of",
    "is_in",
    "joined",
    "leaders",
    "rotated",
    "stop_all",
    "watched",
    "with_member",
]

JobKind = Literal["write", "evaluate", "decide", "present"]
"""What an agent is busy with: an answer, a ballot, a tie, the presentation of its answer."""


class Job(Frozen):
    """A turn that runs; `round` is the one that it was begun in.

    `watched` says that its silence will be told, `silent` that it was.
    """

    turn_id: str
    kind: JobKind
    round: int
    watched: bool = False
    silent: bool = False


class Member(InTheRun):
    """One agent's part in the run.

    Attributes:
        seat: Who it is, and its roles.
        position: Its place in the configuration, from 0.
        job: The turn that it is busy with.
        turns: How many turns it was given.
        answers: How many answers it gave.
        asked: The last round in which it was asked to vote.
        last: Its last turn in which it was shown answers: the next one goes on from that.
        repaired: It has had its second try in this round.
        promised: It has promised a better answer in this round.
    """

    seat: Seat
    position: int
    job: Job | None = None
    turns: int = 0
    answers: int = 0
    asked: int = 0
    last: str | None = None
    repaired: bool = False
    promised: bool = False


class Verdict(Frozen):
    """How the vote came out."""

    status: RunStatus
    winner: AnswerRef
    tie_broken_by: str | None = None
    message: str | None = None


class ConsensusState(Frozen):
    """Everything that the reducer knows: a value that survives a JSON round trip.

    Attributes:
        phase: What is waited for: answers, votes, rankings, the end of a tie, the presentation.
        round: The round of evaluation, 0 before the first.
        members: By agent id, in the order of the configuration.
        busy: How many turns are running.
        candidates: The answers that stand for election.
        versions: The last version given under each label.
        drafts: Answers that are not shown to anybody yet.
        votes: Those of this round.
        earlier: Those of the last round that a better answer made void.
        breaker: The position of the last agent asked to break the tie.
        verdict: How the vote came out, once it did.
        stages: The vote in stages, where it is held in stages.
    """

    v: Literal[1] = 1
    phase: Literal["answering", "evaluating", "ranking", "tie", "presenting", "finished"] = (
        "answering"
    )
    round: int = 0
    members: dict[str, Member]
    busy: int = 0
    candidates: tuple[Candidate, ...] = ()
    versions: dict[str, int] = Field(default_factory=dict)
    drafts: tuple[Draft, ...] = ()
    votes: tuple[VoteInfo, ...] = ()
    earlier: tuple[VoteInfo, ...] = ()
    breaker: int = -1
    verdict: Verdict | None = None
    stages: Stages | None = None

    @property
    def seats(self) -> tuple[Seat, ...]:
        """All agents, in the order of the configuration."""
        return tuple(member.seat for member in self.members.values())


Step = tuple[ConsensusState, tuple[Command, ...]]


# --- members --------------------------------------------------------------------------------------


def with_member(state: ConsensusState, changed: Member, **changes: object) -> ConsensusState:
    """The state with one member changed, and whatever else."""
    agent_id = changed.seat.agent_id
    before = state.members[agent_id]
    busy = state.busy + (changed.job is not None) - (before.job is not None)
    members = {**state.members, agent_id: changed}
    return state.model_copy(update={"members": members, "busy": busy, **changes})


def freed(member: Member, **changes: object) -> Member:
    """The member at leisure; a turn in which it saw answers can be gone on from."""
    job = member.job
    saw = job is not None and job.round > 0
    last = job.turn_id if job is not None and saw else member.last
    return member.model_copy(update={"job": None, "last": last, **changes})


def stop_all(
    state: ConsensusState, reason: str, kinds: tuple[JobKind, ...] = ("write", "evaluate")
) -> Step:
    """Cancel all turns of some kinds."""
    stopped = {
        agent_id: freed(member)
        for agent_id, member in state.members.items()
        if member.job is not None and member.job.kind in kinds
    }
    if not stopped:
        return state, ()
    commands = tuple(
        CancelTurn(turn_id=member.job.turn_id, reason=reason)
        for agent_id in stopped
        if (member := state.members[agent_id]).job is not None
    )
    busy = state.busy - len(stopped)
    members = {**state.members, **stopped}
    return state.model_copy(update={"members": members, "busy": busy}), commands


# --- who is waited for ----------------------------------------------------------------------------


def _awaited(state: ConsensusState) -> Iterator[tuple[Member, Job | None]]:
    """Those whose answer or vote the phase is about, with the turn that it still waits for."""
    for member in state.members.values():
        job = member.job
        if member.out and job is None:
            continue
        if state.phase == "answering":
            if job is not None or member.answers:
                yield member, job
        elif member.asked == state.round:
            yield member, job


def _quorum_is_met(state: ConsensusState, quorum: float | None) -> bool:
    waiting = [job is not None for _, job in _awaited(state)]
    done = waiting.count(False)
    if quorum is None:
        return done == len(waiting)
    # A share that is 1 as a whole number means one agent; as a fraction it is below 1.
    needed = quorum if quorum >= 1 else math.ceil(quorum * len(waiting) - 1e-9)
    return done >= max(1, min(needed, len(waiting)))


def is_in(state: ConsensusState, quorum: float | None) -> bool:
    """Whether all have come in that the phase waits for, or the quorum and the others are silent.

    Args:
        state: In the phase `answering` or `evaluating`.
        quorum: How many, or what share below 1; None means all.
    """
    if not state.busy:
        return True
    if quorum is None:
        # Nobody was left behind before, so whoever is busy is waited for.
        return False
    silent = all(job is None or job.silent for _, job in _awaited(state))
    return silent and _quorum_is_met(state, quorum)


def watched(state: ConsensusState, quorum: float | None, idle_s: float | None) -> Step:
    """Watch those that are still waited for, once the quorum is there."""
    if quorum is None or idle_s is None or not state.busy or not _quorum_is_met(state, quorum):
        return state, ()
    commands: list[Command] = []
    members = dict(state.members)
    for member, job in _awaited(state):
        if job is not None and not job.watched:
            commands.append(WatchIdle(turn_id=job.turn_id, idle_s=idle_s))
            seen = job.model_copy(update={"watched": True})
            members[member.seat.agent_id] = member.model_copy(update={"job": seen})
    return state.model_copy(update={"members": members}), tuple(commands)


# --- answers and votes ----------------------------------------------------------------------------


def joined(state: ConsensusState, since: int) -> Step:
    """The state with the drafts among the candidates, and what there is to announce."""
    candidates, listed = merge(
        state.candidates, state.drafts, state.seats, state.versions, since=since
    )
    versions = {**state.versions, **{one.label: one.version for one in listed}}
    news = tuple(candidate.listed() for candidate in listed)
    changes = {"candidates": candidates, "versions": versions, "drafts": ()}
    return state.model_copy(update=changes), news


def rotated(shown: tuple[ShownAnswer, ...], member: Member, turn: int) -> tuple[ShownAnswer, ...]:
    """The answers, rotated by voter and round: small models vote by position."""
    if not shown:
        return ()
    shift = (member.position + turn) % len(shown)
    return (*shown[shift:], *shown[:shift])


def leaders(state: ConsensusState) -> tuple[Candidate, ...]:
    """Those that the votes of this round, or the last rankings, put first."""
    if state.stages is not None:
        return result_of(state.stages).leaders
    return leaders_of(state.candidates, state.votes)


def infos_of(state: ConsensusState, candidates: Iterable[Candidate]) -> tuple[AnswerInfo, ...]:
    """Candidates as they are reported; with their scores where those are no numbers of votes."""
    weighted = any("vote" in seat.roles and seat.weight != 1.0 for seat in state.seats)
    tally: dict[tuple[str, int], list[float]] = {}
    for vote in state.votes:
        tally.setdefault((vote.label, vote.version), []).append(vote.weight)
    weights = ((one, tally.get((one.label, one.version), [])) for one in candidates)
    if state.stages is not None:
        points = result_of(state.stages).points
        return tuple(one.info(len(got), points.get(one.label)) for one, got in weights)
    return tuple(one.info(len(got), math.fsum(got) if weighted else None) for one, got in weights)
