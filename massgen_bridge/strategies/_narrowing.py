"""How a consensus hands over to a vote in stages, and takes back what came of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from massgen_bridge.strategies._closing import concluded, counted, finished_early
from massgen_bridge.strategies._consensus_state import ConsensusState, Step, Verdict, stop_all
from massgen_bridge.strategies._staged import Rules, Stages, open_stages, result_of, step_stages
from massgen_bridge.strategies._workers import budget_of, busy, spent

if TYPE_CHECKING:
    from massgen_bridge.events import BudgetReached, TurnHappening, TurnIdle
    from massgen_bridge.strategies._closing import Presentation

__all__ = ["cut_short", "is_ranking", "narrowed", "ranked", "rules_of"]


def rules_of(
    state: ConsensusState, ballot_size: int | None, quorum: float | None, idle_s: float | None
) -> Rules:
    """How the stages are held, by the options of the consensus."""
    size = ballot_size or len(state.candidates)
    if quorum is None or idle_s is None:
        return Rules(ballot_size=size)
    voters = sum("vote" in seat.roles for seat in state.seats)
    needed = quorum if quorum >= 1 else math.ceil(quorum * voters - 1e-9)
    return Rules(ballot_size=size, quorum=max(1, min(int(needed), voters)), idle_s=idle_s)


def narrowed(state: ConsensusState, rules: Rules, presentation: Presentation) -> Step:
    """Begin the vote in stages with the answers that are there; whoever still writes is late."""
    state, stopped = stop_all(state, "the vote has begun")
    voters = [
        (member.seat, member.turns)
        for member in state.members.values()
        if "vote" in member.seat.roles and not member.out
    ]
    if not voters:
        state, end = counted(state, presentation)
        return state, (*stopped, *end)
    stages, commands = open_stages(state.candidates, voters, rules)
    opened = {"phase": "ranking", "round": stages.number, "stages": stages}
    return state.model_copy(update=opened), (*stopped, *commands)


def is_ranking(state: ConsensusState) -> bool:
    """Whether somebody is busy with a ballot of a stage."""
    return state.stages is not None and busy(state.stages.workers)


def cut_short(state: ConsensusState, reached: BudgetReached) -> Stages | None:
    """The stages after a budget is used up: whoever it is for gets no further ballot."""
    if state.stages is None:
        return None
    workers = spent(state.stages.workers, reached)
    return state.stages.model_copy(update={"workers": workers})


def ranked(
    state: ConsensusState,
    happening: TurnHappening | TurnIdle,
    rules: Rules,
    presentation: Presentation,
) -> Step:
    """Take in a ranking, or what came in place of one; count when the run-off is closed."""
    if state.stages is None:
        return state, ()
    stages, commands = step_stages(state.stages, happening, rules)
    state = state.model_copy(update={"stages": stages, "round": stages.number})
    if not stages.is_over:
        return state, commands
    members = {
        agent_id: member.model_copy(update={"turns": worker.turns, "out": worker.out, "job": None})
        for agent_id, member in state.members.items()
        if (worker := stages.workers.get(agent_id)) is not None
    }
    outcome = result_of(stages)
    changes = {"members": {**state.members, **members}, "votes": outcome.votes}
    state = state.model_copy(update=changes)
    if not outcome.votes and budget_of(state.members) is not None:
        state, end = finished_early(state, "a budget is used up")
    elif not outcome.votes and len(outcome.leaders) == 1:
        message = "no agent cast a valid ballot in the last stage"
        verdict = Verdict(status="best_so_far", winner=outcome.leaders[0].ref, message=message)
        state, end = concluded(state, verdict, presentation)
    else:
        state, end = counted(state, presentation)
    return state, (*commands, *end)
