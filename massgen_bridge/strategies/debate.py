"""Debate: all take a position, answer each other's in rounds, and a judge or a vote decides.

The first positions are taken blindly. A round ends when everybody has spoken, so nothing depends
on the order of arrival. The debate is over early once all say the same or nobody changes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import (
    BudgetReached,
    DeadlinePassed,
    Happening,
    RunStatus,
    Seat,
    TieBroken,
    VoteInfo,
)
from massgen_bridge.messages import Frozen
from massgen_bridge.specs import NoOptions
from massgen_bridge.strategies._candidates import (
    Candidate,
    by_budget,
    content_of,
    leaders_of,
    votes_for,
)
from massgen_bridge.strategies._workers import (
    Chose,
    Gave,
    Nothing,
    Worker,
    assign,
    budget_of,
    busy,
    ends_at_once,
    hear,
    unknown_agents,
    workers_of,
)
from massgen_bridge.strategy import BreakTie, Command, Finish, StartTurn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Debate", "DebateOptions", "DebateState", "check_debate"]

_Step = tuple["DebateState", tuple[Command, ...]]


class DebateOptions(NoOptions):
    """How long a debate is, and who decides."""

    rounds: int = Field(
        default=2,
        ge=0,
        description="Rounds at most in which all see the positions and take theirs anew; the "
        "first positions come before them.",
    )
    judge: str | None = Field(
        default=None,
        description="Id of the agent that decides at the end and does not debate. Default: those "
        "who debate vote, as they do if the judge fails.",
    )


class DebateState(Frozen):
    """Where the debate stands; `positions` holds the newest one of each, by agent id."""

    v: Literal[1] = 1
    phase: Literal["debating", "judging", "voting", "tie", "finished"] = "debating"
    round: int = 0
    workers: dict[str, Worker]
    judge: str | None = None
    positions: dict[str, Candidate] = Field(default_factory=dict)
    changed: bool = False
    votes: tuple[VoteInfo, ...] = ()


class Debate:
    """The reducer of the strategy `debate`."""

    def __init__(self, options: DebateOptions | None = None) -> None:
        self._options = options or DebateOptions()

    def begin(self, seats: tuple[Seat, ...]) -> _Step:
        """Ask everybody but the judge."""
        workers = workers_of(seats)
        judge = self._options.judge if len(workers) > 1 else None
        state = DebateState(workers=workers, judge=judge if judge in workers else None)
        commands = []
        for agent_id in _debaters(state):
            workers, command = assign(workers, agent_id, "answer")
            commands.append(command)
        return state.model_copy(update={"workers": workers}), tuple(commands)

    def step(self, state: DebateState, happening: Happening) -> _Step:
        """Take in a position or a vote; go on once nobody is busy any more."""
        if state.phase == "finished":
            return state, ()
        if isinstance(happening, DeadlinePassed):
            return _best_so_far(state, "the deadline passed")
        if isinstance(happening, TieBroken):
            return _tie_broken(state, happening)
        workers, news = hear(state.workers, happening)
        state = state.model_copy(update={"workers": workers})
        if isinstance(happening, BudgetReached) and ends_at_once(
            workers, happening, is_busy=busy(workers)
        ):
            return _best_so_far(state, "a budget is used up")
        match news:
            case StartTurn():
                return state, (news,)
            case Gave():
                state = _moved(state, news)
            case Chose(seat, AnswerRef() as choice, reason):
                state = _voted(state, seat, choice, reason)
            case Chose() | Nothing():
                pass
            case _:
                return state, ()
        return (state, ()) if busy(state.workers) else self._go_on(state)

    def _go_on(self, state: DebateState) -> _Step:
        if budget_of(state.workers) is not None:
            return _best_so_far(state, "a budget is used up")
        if state.phase == "judging":
            return _count(state) if state.votes else _vote(state)
        if state.phase == "voting":
            return _count(state)
        standing = _standing(state)
        if not standing:
            return _finish(state, "failed", None, message="no agent gave an answer")
        if len(standing) == 1:
            return _finish(state, "answered", standing[0])
        open_still = state.round == 0 or state.changed
        if open_still and state.round < self._options.rounds and any(_active(state)):
            return _next_round(state)
        judge = state.judge
        if judge is not None and state.workers[judge].out:
            judge = None
        state, commands = _judge(state, judge) if judge is not None else _vote(state)
        news = tuple(one.listed() for one in standing)
        return state, (*news, *commands)


def _debaters(state: DebateState) -> list[str]:
    return [agent_id for agent_id in state.workers if agent_id != state.judge]


def _active(state: DebateState) -> list[str]:
    return [agent_id for agent_id in _debaters(state) if not state.workers[agent_id].out]


def _standing(state: DebateState) -> tuple[Candidate, ...]:
    """The positions in the order of the configuration; equal ones are one, with all authors."""
    same: dict[tuple[object, ...], Candidate] = {}
    for agent_id in state.workers:
        if (own := state.positions.get(agent_id)) is not None:
            key = content_of(own)
            first = same.get(key)
            if first is not None:
                own = first.model_copy(update={"authors": (*first.authors, agent_id)})
            same[key] = own
    return tuple(same.values())


def _rotated(state: DebateState, agent_id: str) -> tuple[Candidate, ...]:
    """The positions, rotated by reader and round: small models judge by position."""
    standing = _standing(state)
    shift = (list(state.workers).index(agent_id) + state.round) % len(standing)
    return (*standing[shift:], *standing[:shift])


def _next_round(state: DebateState) -> _Step:
    state = state.model_copy(update={"round": state.round + 1, "changed": False})
    workers, commands = state.workers, []
    for agent_id in _active(state):
        positions = _rotated(state, agent_id)
        workers, command = assign(
            workers,
            agent_id,
            "debate",
            round=state.round,
            shown=tuple(one.shown() for one in positions),
            label=next((one.label for one in positions if agent_id in one.authors), None),
        )
        commands.append(command)
    return state.model_copy(update={"workers": workers}), tuple(commands)


def _moved(state: DebateState, gave: Gave) -> DebateState:
    """The state with somebody's new position; one that stays the same is no new version."""
    agent_id = gave.seat.agent_id
    before = state.positions.get(agent_id)
    if before is not None and content_of(before) == content_of(gave):
        return state
    position = gave.answer(before.version + 1 if before else 1)
    positions = {**state.positions, agent_id: position}
    return state.model_copy(update={"positions": positions, "changed": True})


# --- the decision ---------------------------------------------------------------------------------


def _judge(state: DebateState, judge: str) -> _Step:
    shown = tuple(one.shown() for one in _standing(state))
    workers, command = assign(state.workers, judge, "judge", round=state.round + 1, shown=shown)
    return state.model_copy(update={"workers": workers, "phase": "judging"}), (command,)


def _vote(state: DebateState) -> _Step:
    state = state.model_copy(update={"phase": "voting"})
    workers, commands = state.workers, []
    for agent_id in _active(state):
        shown = tuple(one.shown() for one in _rotated(state, agent_id))
        workers, command = assign(workers, agent_id, "evaluate", round=state.round + 1, shown=shown)
        commands.append(command)
    state = state.model_copy(update={"workers": workers})
    return (state, tuple(commands)) if commands else _count(state)


def _voted(state: DebateState, seat: Seat, choice: AnswerRef, reason: str) -> DebateState:
    # What is chosen was shown, and positions do not change any more.
    chosen = next(one for one in _standing(state) if one.ref == choice)
    vote = chosen.vote(seat.agent_id, reason)
    return state.model_copy(update={"votes": (*state.votes, vote)})


def _leaders(state: DebateState) -> tuple[Candidate, ...]:
    return leaders_of(_standing(state), state.votes)


def _count(state: DebateState) -> _Step:
    leaders = _leaders(state)
    if len(leaders) == 1:
        return _finish(state, "answered", leaders[0])
    candidates = tuple(one.info(votes_for(one, state.votes)) for one in leaders)
    return state.model_copy(update={"phase": "tie"}), (BreakTie(candidates=candidates),)


def _tie_broken(state: DebateState, decision: TieBroken) -> _Step:
    if state.phase != "tie":
        return state, ()
    leaders = _leaders(state)
    winner = next((one for one in leaders if one.ref == decision.winner), leaders[0])
    if state.votes:
        return _finish(state, "answered", winner, by=decision.by)
    message = "no agent cast a valid vote"
    return _finish(state, "best_so_far", winner, by=decision.by, message=message)


def _best_so_far(state: DebateState, message: str) -> _Step:
    leaders = _leaders(state)
    if not leaders:
        return _finish(state, "failed", None, message=f"{message} before any answer")
    by = "order" if len(leaders) > 1 else None
    return _finish(state, "best_so_far", leaders[0], by=by, message=message)


def _finish(
    state: DebateState,
    status: RunStatus,
    winner: Candidate | None,
    *,
    by: str | None = None,
    message: str | None = None,
) -> _Step:
    command = Finish(
        status=status,
        winner=winner.ref if winner else None,
        votes=state.votes,
        answers=tuple(one.info(votes_for(one, state.votes)) for one in _standing(state)),
        tie_broken_by=by,
        message=message,
    )
    budget = budget_of(state.workers)
    if budget is not None:
        command = by_budget(command, budget)
    return state.model_copy(update={"phase": "finished"}), (command,)


def check_debate(
    options: DebateOptions, agent_ids: Sequence[str]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """What is wrong with the options for these agents."""
    if options.judge is None:
        return
    yield from unknown_agents(agent_ids, "judge", [(None, options.judge)])
    if list(agent_ids) == [options.judge]:
        yield ("judge",), "nobody is left to debate"
