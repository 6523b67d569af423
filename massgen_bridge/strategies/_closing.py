"""How a consensus ends: the count, ties, the presentation, and ends before their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerRejected,
    BallotSpoiled,
    TieBroken,
    TurnHappening,
    TurnLost,
    Voted,
)
from massgen_bridge.strategies._candidates import by_budget, leaders_of
from massgen_bridge.strategies._consensus_state import (
    ConsensusState,
    Job,
    Member,
    Step,
    Verdict,
    freed,
    infos_of,
    joined,
    leaders,
    rotated,
    stop_all,
    with_member,
)
from massgen_bridge.strategies._staged import result_of
from massgen_bridge.strategies._workers import PASSING, budget_of
from massgen_bridge.strategy import BreakTie, Finish, StartTurn

if TYPE_CHECKING:
    from massgen_bridge.strategies._candidates import Candidate

__all__ = [
    "Presentation",
    "concluded",
    "counted",
    "decided",
    "finished_early",
    "presented",
    "tie_broken",
]

Presentation = Literal["auto", "always", "never"]

_EARLIER = "earlier votes"


def counted(state: ConsensusState, presentation: Presentation) -> Step:
    """Count the votes; whoever is still busy comes too late."""
    state, stopped = stop_all(state, "the vote is over")
    first = leaders(state)
    if len(first) == 1:
        state, end = concluded(state, _verdict(state, first[0], None), presentation)
    else:
        state, end = _next_breaker(state.model_copy(update={"phase": "tie"}))
    return state, (*stopped, *end)


def _verdict(state: ConsensusState, winner: Candidate, by: str | None) -> Verdict:
    if state.votes or by in state.members:
        return Verdict(status="answered", winner=winner.ref, tie_broken_by=by)
    message = "no agent cast a valid vote" if by is not None else None
    status = "best_so_far" if by is not None else "answered"
    return Verdict(status=status, winner=winner.ref, tie_broken_by=by, message=message)


# --- a tie ----------------------------------------------------------------------------------------


def _next_breaker(state: ConsensusState) -> Step:
    """Ask the next agent that breaks ties; when there is none, plugins and the order decide."""
    for member in state.members.values():
        able = "break_ties" in member.seat.roles and not member.out
        if able and member.position > state.breaker:
            state = state.model_copy(update={"breaker": member.position})
            return _ask_breaker(state, member.model_copy(update={"repaired": False}))
    return state, (BreakTie(candidates=infos_of(state, leaders(state))),)


def _ask_breaker(state: ConsensusState, member: Member, problem: str | None = None) -> Step:
    agent_id, turns = member.seat.agent_id, member.turns + 1
    turn_id = f"{agent_id}.{turns}"
    tied = tuple(candidate.shown() for candidate in leaders(state))
    command = StartTurn(
        turn_id=turn_id,
        agent_id=agent_id,
        purpose="break_tie" if problem is None else "repair",
        repairs=None if problem is None else "break_tie",
        round=state.round,
        shown=rotated(tied, member, state.round),
        problem=problem,
    )
    job = Job(turn_id=turn_id, kind="decide", round=state.round)
    changes = {"job": job, "turns": turns, "repaired": problem is not None}
    return with_member(state, member.model_copy(update=changes)), (command,)


def decided(
    state: ConsensusState, member: Member, happening: TurnHappening, presentation: Presentation
) -> Step:
    """Take in what an agent that was asked to break a tie said."""
    if isinstance(happening, TurnLost | Abstained):
        for_good = isinstance(happening, TurnLost) and happening.kind not in PASSING
        gone = freed(member, out=member.out or for_good)
        return _next_breaker(with_member(state, gone))
    if isinstance(happening, Voted):
        chosen = next((c for c in leaders(state) if c.ref == happening.choice), None)
        if chosen is not None:
            verdict = _verdict(state, chosen, member.seat.agent_id)
            return concluded(with_member(state, freed(member)), verdict, presentation)
    if member.repaired or member.out:
        return _next_breaker(with_member(state, freed(member)))
    problem = _problem_of(happening) or "a vote for one of those shown was asked for"
    return _ask_breaker(state, member, problem)


def _problem_of(happening: TurnHappening) -> str | None:
    match happening:
        case BallotSpoiled(problem=problem) | AnswerRejected(reason=problem):
            return problem
        case TurnLost(message=message):
            return message
        case Abstained():
            return "it abstained"
        case _:
            return None


def tie_broken(state: ConsensusState, decision: TieBroken, presentation: Presentation) -> Step:
    """Take in what a plugin or the order decided."""
    if state.phase != "tie" or state.busy:
        return state, ()
    first = leaders(state)
    winner = next((c for c in first if c.ref == decision.winner), first[0])
    return concluded(state, _verdict(state, winner, decision.by), presentation)


# --- the presentation -----------------------------------------------------------------------------


def concluded(state: ConsensusState, verdict: Verdict, presentation: Presentation) -> Step:
    """End with a winner, or let it present its answer first, where that adds something."""
    state = state.model_copy(update={"verdict": verdict})
    winner = next(c for c in state.candidates if c.ref == verdict.winner)
    presenter = next(
        (state.members[author] for author in winner.authors if not state.members[author].out), None
    )
    wanted = presenter is not None and (
        presentation == "always" or (presentation == "auto" and presenter.seat.has_tools)
    )
    if presenter is None or not wanted:
        return _finish(state, verdict)
    agent_id, turns = presenter.seat.agent_id, presenter.turns + 1
    turn_id = f"{agent_id}.{turns}"
    others = tuple(one.shown() for one in state.candidates if one.ref != verdict.winner)
    command = StartTurn(
        turn_id=turn_id,
        agent_id=agent_id,
        purpose="present",
        round=state.round,
        shown=(winner.shown(), *others),
        votes=tuple(v for v in state.votes if (v.label, v.version) == _key(winner)),
    )
    job = Job(turn_id=turn_id, kind="present", round=state.round)
    busy = presenter.model_copy(update={"job": job, "turns": turns})
    return with_member(state, busy, phase="presenting"), (command,)


def presented(state: ConsensusState, member: Member, happening: TurnHappening) -> Step:
    """Take in what the winner presented; where that failed, the answer stands as voted for."""
    verdict = state.verdict
    if verdict is None:
        return state, ()
    state = with_member(state, freed(member))
    problem = _problem_of(happening)
    if isinstance(happening, Answered):
        if happening.stop_reason in {"end", "tool"}:
            return _finish(state, verdict, presented=happening)
        problem = f"it ended by {happening.stop_reason!r}"
    failed = f"the presentation failed: {problem or 'it was no text'}"
    message = f"{verdict.message}; {failed}" if verdict.message else failed
    return _finish(state, verdict.model_copy(update={"message": message}))


# --- the end --------------------------------------------------------------------------------------


def finished_early(state: ConsensusState, why: str) -> Step:
    """End with the best answer so far.

    That is the one with the most votes in this round; where there are none, what the last votes
    before were for, if it still stands.
    """
    if state.verdict is not None:
        verdict = state.verdict.model_copy(
            update={"status": "best_so_far", "message": f"{why} during the presentation"}
        )
        return _finish(state, verdict)
    if not state.candidates:
        state, _ = joined(state, state.round + 1)
    if not state.candidates:
        return failed(state, f"{why} before any answer")
    if state.stages is not None:
        state = state.model_copy(update={"votes": result_of(state.stages).votes})
    first, by = leaders(state), "order"
    if len(first) > 1 and len(kept := leaders_of(first, state.earlier)) < len(first):
        first, by = kept, _EARLIER if len(kept) == 1 else by
    tie_broken_by = None if len(leaders(state)) == 1 else by
    verdict = Verdict(
        status="best_so_far", winner=first[0].ref, tie_broken_by=tie_broken_by, message=why
    )
    return _finish(state, verdict)


def failed(state: ConsensusState, why: str) -> Step:
    """End without an answer."""
    return _ended(state, Finish(status="failed", message=why))


def _finish(
    state: ConsensusState,
    verdict: Verdict,
    *,
    presented: Answered | None = None,
) -> Step:
    # Drafts of an unfinished round were paid for: they are reported, without votes.
    unfinished, _ = joined(state, state.round + 1)
    known = {candidate.ref for candidate in state.candidates}
    answers = (*state.candidates, *(c for c in unfinished.candidates if c.ref not in known))
    command = Finish(
        status=verdict.status,
        winner=verdict.winner,
        presentation=presented.text if presented is not None else None,
        presented_media=presented.media if presented is not None else (),
        votes=state.votes,
        answers=infos_of(state, answers),
        tie_broken_by=verdict.tie_broken_by,
        message=verdict.message,
        stages=state.stages.closed if state.stages is not None else (),
    )
    return _ended(state, command)


def _ended(state: ConsensusState, finish: Finish) -> Step:
    budget = budget_of(state.members)
    finish = finish if budget is None else by_budget(finish, budget)
    return state.model_copy(update={"phase": "finished"}), (finish,)


def _key(candidate: Candidate) -> tuple[str, int]:
    return candidate.label, candidate.version
