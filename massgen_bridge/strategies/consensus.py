"""Consensus: all answer in parallel, see each other's answers, vote or improve, and converge.

The meaning is MassGen's: two acts are possible, a vote or a better answer; a better answer
re-opens the question. The course is made of rounds with a barrier at the end of each, so that
nothing depends on the order of arrival, and no vote is thrown away: round 0 collects the first
answers blindly; each later round shows all answers to all; a round without a better answer is
counted, and the most votes win.
"""

from __future__ import annotations

from typing import Literal, assert_never

from pydantic import Field

from massgen_bridge.agent import AnswerRef, ShownAnswer
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerInfo,
    AnswerListed,
    AnswerRejected,
    BallotSpoiled,
    BudgetReached,
    DeadlinePassed,
    Happening,
    ImprovementPromised,
    Purpose,
    Ranked,
    RunStatus,
    Seat,
    SpeakerChosen,
    TieBroken,
    TurnHappening,
    TurnIdle,
    TurnLost,
    Voted,
    VoteInfo,
)
from massgen_bridge.messages import Frozen
from massgen_bridge.specs import NoOptions
from massgen_bridge.strategies._candidates import (
    Candidate,
    Draft,
    by_budget,
    leaders_of,
    merge,
    same_text,
    votes_for,
)
from massgen_bridge.strategies._crew import PASSING, InTheRun, budget_of, ends_at_once, spent
from massgen_bridge.strategy import Announce, BreakTie, Command, Finish, StartTurn

__all__ = ["Consensus", "ConsensusOptions", "ConsensusState", "Member"]

_Step = tuple["ConsensusState", tuple[Command, ...]]


class ConsensusOptions(NoOptions):
    """Bounds of a consensus."""

    max_rounds: int = Field(
        default=3,
        ge=1,
        description="Rounds of evaluation at most; in the last one agents can only vote.",
    )
    max_answers: int = Field(
        default=3, ge=1, description="Answers that one agent may give at most, the first included."
    )


class Member(InTheRun):
    """One agent's part in the run; `turn_id` is the turn it is busy with.

    `repaired` and `promised` say what it has had in this round: a second try, and the one more turn
    that follows a promise.
    """

    seat: Seat
    position: int
    turn_id: str | None = None
    turns: int = 0
    answers: int = 0
    repaired: bool = False
    promised: bool = False


class ConsensusState(Frozen):
    """Everything that the reducer knows: a value that survives a JSON round trip.

    `members` is keyed by agent id, in the order of the configuration; `busy` counts those whose
    turn is running.
    """

    v: Literal[1] = 1
    phase: Literal["answering", "evaluating", "tie", "finished"] = "answering"
    round: int = 0
    members: dict[str, Member]
    busy: int = 0
    candidates: tuple[Candidate, ...] = ()
    drafts: tuple[Draft, ...] = ()
    votes: tuple[VoteInfo, ...] = ()


class Consensus:
    """The reducer of the strategy `consensus`."""

    def __init__(self, options: ConsensusOptions | None = None) -> None:
        self._options = options or ConsensusOptions()

    def begin(self, seats: tuple[Seat, ...]) -> _Step:
        """Ask everybody at once."""
        members = {
            seat.agent_id: Member(seat=seat, position=position)
            for position, seat in enumerate(seats)
        }
        return self._start_all(ConsensusState(members=members), "answer")

    def step(self, state: ConsensusState, happening: Happening) -> _Step:
        """Take in one happening; those of turns that are no longer awaited change nothing."""
        if state.phase == "finished":
            return state, ()
        if isinstance(happening, DeadlinePassed):
            return self._finish_early(state, "the deadline passed")
        if isinstance(happening, BudgetReached):
            return self._budget_reached(state, happening)
        if isinstance(happening, TurnIdle):
            return state, ()
        if isinstance(happening, TieBroken):
            return self._tie_broken(state, happening)
        member = state.members.get(happening.agent_id)
        if member is None or member.turn_id != happening.turn_id:
            return state, ()
        return self._of_member(state, member, happening)

    def _of_member(self, state: ConsensusState, member: Member, happening: TurnHappening) -> _Step:
        match happening:
            case Answered():
                return self._answered(state, member, happening)
            case Voted():
                return self._voted(state, member, happening)
            case ImprovementPromised():
                return self._promised(state, member)
            case BallotSpoiled(problem=problem) | AnswerRejected(reason=problem):
                return self._spoiled(state, member, problem)
            case SpeakerChosen():
                return self._spoiled(state, member, "nobody is asked who speaks next")
            case Ranked():
                return self._spoiled(state, member, "no order of answers is asked for")
            case Abstained():
                return self._settled(_with(state, _idle(member)))
            case TurnLost():
                out = member.out or happening.kind not in PASSING
                return self._settled(_with(state, _idle(member, out=out)))
        assert_never(happening)

    # --- one member's turn ----------------------------------------------------------------------

    def _answered(self, state: ConsensusState, member: Member, answer: Answered) -> _Step:
        if state.round and not self._may_improve(state, member):
            return self._spoiled(state, member, "only a vote is possible now")
        if any(same_text(answer.text, candidate.text) for candidate in state.candidates):
            return self._spoiled(
                state, member, "this answer is the same as one of those shown: vote for it instead"
            )
        draft = Draft(agent_id=answer.agent_id, text=answer.text, stop_reason=answer.stop_reason)
        idle = _idle(member, answers=member.answers + 1)
        return self._settled(_with(state, idle, drafts=(*state.drafts, draft)))

    def _promised(self, state: ConsensusState, member: Member) -> _Step:
        if member.promised or member.out or not self._may_improve(state, member):
            return self._spoiled(state, member, "no better answer can be promised now")
        return self._start(state, member, "improve")

    def _voted(self, state: ConsensusState, member: Member, vote: Voted) -> _Step:
        choice = (vote.choice.label, vote.choice.version)
        chosen = next((c for c in state.candidates if (c.label, c.version) == choice), None)
        if chosen is None:
            return self._spoiled(state, member, f"{vote.choice.label!r} is not to be voted for")
        info = chosen.vote(member.seat.agent_id, vote.reason)
        return self._settled(_with(state, _idle(member), votes=(*state.votes, info)))

    def _spoiled(self, state: ConsensusState, member: Member, problem: str) -> _Step:
        if member.repaired or member.out:
            return self._settled(_with(state, _idle(member)))
        return self._start(state, member, "repair", problem)

    def _start(
        self, state: ConsensusState, member: Member, purpose: Purpose, problem: str | None = None
    ) -> _Step:
        busy, command = self._busy(state, member, purpose, problem)
        return _with(state, busy), (command,)

    def _busy(
        self, state: ConsensusState, member: Member, purpose: Purpose, problem: str | None = None
    ) -> tuple[Member, StartTurn]:
        """The member with a new turn, and the command that starts it."""
        turn_id = f"{member.seat.agent_id}.{member.turns + 1}"
        command = StartTurn(
            turn_id=turn_id,
            agent_id=member.seat.agent_id,
            purpose=purpose,
            round=state.round,
            shown=_shown_to(state, member),
            may_improve=self._may_improve(state, member),
            problem=problem,
        )
        # One repair a round: it is used up until the next round begins.
        repaired = purpose == "repair" or (purpose == "improve" and member.repaired)
        changes = {
            "turn_id": turn_id,
            "turns": member.turns + 1,
            "repaired": repaired,
            "promised": purpose == "improve" or (purpose == "repair" and member.promised),
        }
        return member.model_copy(update=changes), command

    def _may_improve(self, state: ConsensusState, member: Member) -> bool:
        return (
            0 < state.round < self._options.max_rounds
            and member.answers < self._options.max_answers
        )

    # --- a round --------------------------------------------------------------------------------

    def _start_all(self, state: ConsensusState, purpose: Purpose) -> _Step:
        started = {
            agent_id: self._busy(state, member, purpose)
            for agent_id, member in state.members.items()
            if not member.out
        }
        members = {**state.members, **{agent_id: busy for agent_id, (busy, _) in started.items()}}
        state = state.model_copy(update={"members": members, "busy": len(started)})
        return state, tuple(command for _, command in started.values())

    def _budget_reached(self, state: ConsensusState, reached: BudgetReached) -> _Step:
        """Nobody whom the budget is for gets a further turn; what runs goes on."""
        members = spent(state.members, reached)
        state = state.model_copy(update={"members": members})
        if ends_at_once(members, reached, is_busy=state.busy > 0):
            return self._finish_early(state, "a budget is used up")
        return state, ()

    def _settled(self, state: ConsensusState) -> _Step:
        """End the round once nobody is busy any more."""
        if state.busy:
            return state, ()
        if budget_of(state.members) is not None:
            return self._finish_early(state, "a budget is used up")
        improved = bool(state.drafts)
        candidates, listed = merge(state.candidates, state.drafts, _seats(state))
        state = state.model_copy(update={"candidates": candidates, "drafts": ()})
        news = tuple(
            Announce(event=AnswerListed(answer=c.ref, authors=c.authors, text=c.text))
            for c in listed
        )
        if not candidates:
            state, end = _finish(state, "failed", None, message="no agent gave an answer")
        elif len(candidates) == 1:
            state, end = _finish(state, "answered", candidates[0].ref)
        elif improved:
            state, end = self._evaluate(state)
        else:
            state, end = self._count(state)
        return state, (*news, *end)

    def _evaluate(self, state: ConsensusState) -> _Step:
        if all(member.out for member in state.members.values()):
            return self._count(state)
        opened = state.model_copy(
            update={"phase": "evaluating", "round": state.round + 1, "votes": ()}
        )
        return self._start_all(opened, "evaluate")

    # --- the end --------------------------------------------------------------------------------

    def _count(self, state: ConsensusState) -> _Step:
        leaders = _leaders(state)
        if len(leaders) == 1:
            return _finish(state, "answered", leaders[0].ref)
        tied = state.model_copy(update={"phase": "tie"})
        return tied, (BreakTie(candidates=tuple(_info(state, c) for c in leaders)),)

    @staticmethod
    def _tie_broken(state: ConsensusState, decision: TieBroken) -> _Step:
        if state.phase != "tie":
            return state, ()
        leaders = _leaders(state)
        winner = next((c for c in leaders if c.ref == decision.winner), leaders[0])
        status: RunStatus = "answered" if state.votes else "best_so_far"
        message = None if state.votes else "no agent cast a valid vote"
        return _finish(state, status, winner.ref, tie_broken_by=decision.by, message=message)

    @staticmethod
    def _finish_early(state: ConsensusState, message: str) -> _Step:
        kept = state
        if state.phase == "answering":
            candidates, _ = merge((), state.drafts, _seats(state))
            kept = state.model_copy(update={"candidates": candidates, "drafts": ()})
        if not kept.candidates:
            return _finish(kept, "failed", None, message=f"{message} before any answer")
        leaders = _leaders(kept)
        by = "order" if len(leaders) > 1 else None
        return _finish(kept, "best_so_far", leaders[0].ref, tie_broken_by=by, message=message)


def _seats(state: ConsensusState) -> tuple[Seat, ...]:
    return tuple(member.seat for member in state.members.values())


def _idle(member: Member, **changes: object) -> Member:
    return member.model_copy(update={"turn_id": None, **changes})


def _with(state: ConsensusState, changed: Member, **changes: object) -> ConsensusState:
    """The state with one member changed, and whatever else."""
    agent_id = changed.seat.agent_id
    before = state.members[agent_id]
    busy = state.busy + (changed.turn_id is not None) - (before.turn_id is not None)
    members = {**state.members, agent_id: changed}
    return state.model_copy(update={"members": members, "busy": busy, **changes})


def _shown_to(state: ConsensusState, member: Member) -> tuple[ShownAnswer, ...]:
    """The answers, rotated by voter and round: small models vote by position."""
    if not state.candidates:
        return ()
    shift = (member.position + state.round) % len(state.candidates)
    rotated = (*state.candidates[shift:], *state.candidates[:shift])
    return tuple(candidate.shown() for candidate in rotated)


def _info(state: ConsensusState, candidate: Candidate) -> AnswerInfo:
    return candidate.info(votes_for(candidate, state.votes))


def _leaders(state: ConsensusState) -> tuple[Candidate, ...]:
    return leaders_of(state.candidates, state.votes)


def _finish(
    state: ConsensusState,
    status: RunStatus,
    winner: AnswerRef | None,
    *,
    tie_broken_by: str | None = None,
    message: str | None = None,
) -> _Step:
    # Drafts of an unfinished round were paid for: they are reported, without votes.
    unfinished, _ = merge(state.candidates, state.drafts, _seats(state))
    known = {candidate.ref for candidate in state.candidates}
    answers = (*state.candidates, *(c for c in unfinished if c.ref not in known))
    command = Finish(
        status=status,
        winner=winner,
        votes=state.votes,
        answers=tuple(_info(state, candidate) for candidate in answers),
        tie_broken_by=tie_broken_by,
        message=message,
    )
    budget = budget_of(state.members)
    if budget is not None:
        command = by_budget(command, budget)
    return state.model_copy(update={"phase": "finished"}), (command,)
