"""Consensus: all answer in parallel, see each other's answers, vote or improve, and converge.

The meaning is MassGen's: two acts are possible, a vote or a better answer; a better answer
re-opens the question. Round 0 collects the first answers blindly; each later round shows all
answers to all who vote; a round without a better answer is counted, and the most votes win.

Votes are asked for only when all answers are there (or a quorum, and the others are silent), so in
a round without a better answer the order of arrival changes nothing, and no vote is thrown away. A
better answer stops the other evaluations at once, so there the order matters: the answer that
arrives first is the one that the others are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import Field

from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerRejected,
    BallotSpoiled,
    BudgetReached,
    DeadlinePassed,
    Happening,
    ImprovementPromised,
    Purpose,
    Ranked,
    Seat,
    SpeakerChosen,
    TieBroken,
    TurnHappening,
    TurnIdle,
    TurnLost,
    Voted,
)
from massgen_bridge.specs import NoOptions
from massgen_bridge.strategies._candidates import Candidate, Draft, content_of
from massgen_bridge.strategies._closing import (
    Presentation,
    concluded,
    counted,
    decided,
    failed,
    finished_early,
    presented,
    tie_broken,
)
from massgen_bridge.strategies._consensus_state import (
    ConsensusState,
    Job,
    JobKind,
    Member,
    Step,
    Verdict,
    freed,
    is_in,
    joined,
    rotated,
    stop_all,
    watched,
    with_member,
)
from massgen_bridge.strategies._narrowing import (
    cut_short,
    is_ranking,
    narrowed,
    ranked,
    rules_of,
)
from massgen_bridge.strategies._workers import PASSING, budget_of, ends_at_once, spent
from massgen_bridge.strategy import Command, StartTurn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from massgen_bridge.agent import ShownAnswer
    from massgen_bridge.strategies._staged import Rules

__all__ = ["Consensus", "ConsensusOptions", "ConsensusState", "Member", "check_consensus"]


class ConsensusOptions(NoOptions):
    """Bounds of a consensus, and whom it waits for."""

    max_rounds: int = Field(
        default=3,
        ge=1,
        description="Rounds of evaluation at most; in the last one agents can only vote.",
    )
    max_answers_per_agent: int = Field(
        default=3, ge=1, description="Answers that one agent may give at most, the first included."
    )
    quorum: Literal["all"] | Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] = (
        Field(
            default="all",
            description="How many agents, or what share of them below 1, have to have answered or "
            "voted before those who have fallen silent are no longer waited for.",
        )
    )
    straggler_idle_s: float | None = Field(
        default=60.0,
        gt=0,
        description="How long an agent must have been silent, in seconds, to be left behind once "
        "the quorum is there; null waits for it.",
    )
    presentation: Presentation = Field(
        default="auto",
        description="Whether the winner gets one more turn to carry out what is left to do and "
        "present its answer: auto means where it has tools.",
    )

    ballot_size: int | None = Field(
        default=None,
        ge=3,
        description="How many answers one voter is shown at most. More are voted on in stages: "
        "each voter puts a few in order, the better ones go on, and a run-off of so many decides; "
        "nobody improves on an answer then. Null shows all answers to all.",
    )


class Consensus:
    """The reducer of the strategy `consensus`."""

    def __init__(self, options: ConsensusOptions | None = None) -> None:
        self._options = options or ConsensusOptions()
        quorum = self._options.quorum
        self._quorum = None if quorum == "all" else quorum

    def begin(self, seats: tuple[Seat, ...]) -> Step:
        """Ask everybody at once who may answer."""
        members = {
            seat.agent_id: Member(seat=seat, position=position)
            for position, seat in enumerate(seats)
        }
        state = ConsensusState(members=members)
        proposers = [one for one in members.values() if "propose" in one.seat.roles]
        if not proposers:
            return failed(state, "no agent may answer")
        return self._start_all(state, proposers, "answer", "write")

    def step(self, state: ConsensusState, happening: Happening) -> Step:
        """Take in one happening; those of turns that are no longer awaited change nothing."""
        if state.phase == "finished":
            return state, ()
        match happening:
            case DeadlinePassed():
                return finished_early(state, "the deadline passed")
            case BudgetReached():
                return _budget_reached(state, happening)
            case TieBroken():
                return tie_broken(state, happening, self._options.presentation)
        return self._of_turn(state, happening)

    def _of_turn(self, state: ConsensusState, happening: TurnHappening | TurnIdle) -> Step:
        if state.phase == "ranking":
            return ranked(state, happening, self._rules(state), self._options.presentation)
        member = state.members.get(happening.agent_id)
        if member is None or member.job is None or member.job.turn_id != happening.turn_id:
            return state, ()
        if isinstance(happening, TurnIdle):
            return self._silent(state, member, member.job)
        match member.job.kind:
            case "decide":
                return decided(state, member, happening, self._options.presentation)
            case "present":
                return presented(state, member, happening)
            case "write" | "evaluate":
                return self._of_member(state, member, member.job, happening)
        assert_never(member.job.kind)

    def _of_member(
        self, state: ConsensusState, member: Member, job: Job, happening: TurnHappening
    ) -> Step:
        match happening:
            case Answered():
                return self._answered(state, member, job, happening)
            case Voted():
                return self._voted(state, member, job, happening)
            case ImprovementPromised():
                return self._promised(state, member, job)
            case BallotSpoiled(problem=problem) | AnswerRejected(reason=problem):
                return self._spoiled(state, member, job, problem)
            case SpeakerChosen():
                return self._spoiled(state, member, job, "nobody is asked who speaks next")
            case Ranked():
                return self._spoiled(state, member, job, "no order of answers is asked for")
            case Abstained():
                return self._settled(with_member(state, freed(member)), member)
            case TurnLost():
                gone = freed(member, out=member.out or happening.kind not in PASSING)
                return self._settled(with_member(state, gone), member)
        assert_never(happening)

    def _silent(self, state: ConsensusState, member: Member, job: Job) -> Step:
        if not job.watched:
            return state, ()
        quiet = member.model_copy(update={"job": job.model_copy(update={"silent": True})})
        return self._go_on(with_member(state, quiet))

    # --- one member's turn ----------------------------------------------------------------------

    def _answered(self, state: ConsensusState, member: Member, job: Job, answer: Answered) -> Step:
        seen = (c for c in state.candidates if c.since <= job.round)
        same = next((c for c in seen if content_of(answer) == content_of(c)), None)
        if same is not None:
            return self._repeated(state, member, job, same)
        if job.kind == "evaluate" and not self._may_improve(state, member):
            return self._spoiled(state, member, job, "only a vote is possible now")
        draft = Draft(
            agent_id=answer.agent_id,
            text=answer.text,
            media=answer.media,
            sources=answer.sources,
            stop_reason=answer.stop_reason,
        )
        given = freed(member, answers=member.answers + 1)
        return self._settled(with_member(state, given, drafts=(*state.drafts, draft)), member)

    def _repeated(self, state: ConsensusState, member: Member, job: Job, same: Candidate) -> Step:
        """It gave an answer that it was shown: it is told so once, then that is its vote."""
        if member.repaired and self._is_current(state, job):
            return self._vote(state, member, same, "it gave the same answer")
        problem = f"this answer is the same as that of {same.label}: vote for it instead"
        return self._spoiled(state, member, job, problem)

    def _promised(self, state: ConsensusState, member: Member, job: Job) -> Step:
        may = job.kind == "evaluate" and not member.promised and not member.out
        if not may or not self._may_improve(state, member):
            return self._spoiled(state, member, job, "no better answer can be promised now")
        return self._start(state, member, "improve", "write")

    def _voted(self, state: ConsensusState, member: Member, job: Job, vote: Voted) -> Step:
        choice = (vote.choice.label, vote.choice.version)
        chosen = next((c for c in state.candidates if (c.label, c.version) == choice), None)
        if job.kind != "evaluate" or chosen is None:
            problem = f"{vote.choice.label!r} is not to be voted for"
            return self._spoiled(state, member, job, problem)
        return self._vote(state, member, chosen, vote.reason)

    def _vote(self, state: ConsensusState, member: Member, chosen: Candidate, reason: str) -> Step:
        info = chosen.vote(member.seat.agent_id, reason, member.seat.weight)
        votes = (*state.votes, info)
        return self._settled(with_member(state, freed(member), votes=votes), member)

    def _spoiled(self, state: ConsensusState, member: Member, job: Job, problem: str) -> Step:
        # Whoever wrote on while the question was re-opened is asked again when it is put anew.
        late = job.round > 0 and not self._is_current(state, job)
        if member.repaired or member.out or late:
            return self._settled(with_member(state, freed(member)), member)
        kind: JobKind = "evaluate" if job.round else "write"
        return self._start(state, member, "repair", kind, problem)

    def _start(
        self,
        state: ConsensusState,
        member: Member,
        purpose: Purpose,
        kind: JobKind,
        problem: str | None = None,
    ) -> Step:
        first = member.job is not None and not member.job.round and purpose == "repair"
        shown = () if first else tuple(candidate.shown() for candidate in state.candidates)
        busy, command = self._busy(state, freed(member), purpose, kind, shown, problem=problem)
        return with_member(state, busy), (command,)

    def _busy(
        self,
        state: ConsensusState,
        member: Member,
        purpose: Purpose,
        kind: JobKind,
        shown: tuple[ShownAnswer, ...],
        *,
        problem: str | None = None,
    ) -> tuple[Member, StartTurn]:
        """The member with a new turn, and the command that starts it."""
        agent_id, turns = member.seat.agent_id, member.turns + 1
        turn_id, turn_round = f"{agent_id}.{turns}", state.round if shown else 0
        command = StartTurn(
            turn_id=turn_id,
            agent_id=agent_id,
            purpose=purpose,
            round=turn_round,
            shown=rotated(shown, member, state.round),
            may_improve=bool(shown) and self._may_improve(state, member),
            problem=problem,
            follows=member.last if shown else None,
        )
        # One repair a round: it is used up until the next round begins.
        begins = purpose in {"answer", "evaluate"}
        changes = {
            "job": Job(turn_id=turn_id, kind=kind, round=turn_round),
            "turns": turns,
            "asked": turn_round,
            "repaired": purpose == "repair" or (member.repaired and not begins),
            "promised": purpose == "improve" or (member.promised and not begins),
        }
        return member.model_copy(update=changes), command

    def _may_improve(self, state: ConsensusState, member: Member) -> bool:
        return (
            0 < state.round < self._options.max_rounds
            and member.answers < self._options.max_answers_per_agent
            and "propose" in member.seat.roles
        )

    @staticmethod
    def _is_current(state: ConsensusState, job: Job) -> bool:
        """Whether a turn belongs to the evaluation that is under way."""
        return state.phase == "evaluating" and job.round == state.round

    # --- a round --------------------------------------------------------------------------------

    def _start_all(
        self, state: ConsensusState, members: Iterable[Member], purpose: Purpose, kind: JobKind
    ) -> Step:
        shown = tuple(candidate.shown() for candidate in state.candidates)
        started = {
            member.seat.agent_id: self._busy(state, member, purpose, kind, shown)
            for member in members
        }
        changed = {**state.members, **{agent_id: busy for agent_id, (busy, _) in started.items()}}
        busy = state.busy + len(started)
        state = state.model_copy(update={"members": changed, "busy": busy})
        return state, tuple(command for _, command in started.values())

    def _settled(self, state: ConsensusState, member: Member) -> Step:
        """Go on after a turn has ended."""
        told: tuple[Command, ...] = ()
        # Nobody could vote on it any more once a budget ends the run: then the votes stand.
        may_reopen = state.phase == "evaluating" and budget_of(state.members) is None
        if may_reopen and state.drafts:
            state, told = self._take_in(state)
        late = state.members[member.seat.agent_id]
        if state.phase == "evaluating" and late.asked < state.round and _votes(late):
            # It was left behind and is back: it votes, too.
            state, asked = self._start_all(state, (late,), "evaluate", "evaluate")
            told = (*told, *asked)
        state, commands = self._go_on(state)
        return state, (*told, *commands)

    def _take_in(self, state: ConsensusState) -> Step:
        """A new answer re-opens the question; one that stands already only gets an author."""
        after, news = joined(state, state.round)
        if {c.ref for c in after.candidates} == {c.ref for c in state.candidates}:
            return after, news
        state, stopped = stop_all(state, "a new answer came in", ("evaluate",))
        # Who is left behind may be awake again: it is watched anew.
        members = {
            agent_id: member.model_copy(
                update={"job": member.job.model_copy(update={"watched": False, "silent": False})}
            )
            for agent_id, member in state.members.items()
            if member.job is not None and member.job.silent
        }
        changes = {
            "phase": "answering",
            "members": {**state.members, **members},
            "votes": (),
            "earlier": state.votes or state.earlier,
        }
        return state.model_copy(update=changes), stopped

    def _go_on(self, state: ConsensusState) -> Step:
        """End the round once all are in, or the quorum is and the others are silent."""
        if not is_in(state, self._quorum):
            return watched(state, self._quorum, self._options.straggler_idle_s)
        if budget_of(state.members) is not None:
            return finished_early(state, "a budget is used up")
        if state.phase == "evaluating":
            return counted(state, self._options.presentation)
        state, news = joined(state, state.round + 1)
        if not state.candidates:
            state, end = failed(state, "no agent gave an answer")
        elif len(state.candidates) == 1:
            state, end = self._agreed(state)
        else:
            state, end = self._evaluate(state)
        return state, (*news, *end)

    def _agreed(self, state: ConsensusState) -> Step:
        """All gave the same answer, or there is only one."""
        state, stopped = stop_all(state, "all who answered agree")
        verdict = Verdict(status="answered", winner=state.candidates[0].ref)
        state, end = concluded(state, verdict, self._options.presentation)
        return state, (*stopped, *end)

    def _rules(self, state: ConsensusState) -> Rules:
        options = self._options
        return rules_of(state, options.ballot_size, self._quorum, options.straggler_idle_s)

    def _evaluate(self, state: ConsensusState) -> Step:
        if 0 < (self._options.ballot_size or 0) < len(state.candidates):
            return narrowed(state, self._rules(state), self._options.presentation)
        voters = [one for one in state.members.values() if _votes(one)]
        if not voters:
            return counted(state, self._options.presentation)
        opened = state.model_copy(update={"phase": "evaluating", "round": state.round + 1})
        return self._start_all(opened, voters, "evaluate", "evaluate")


def _budget_reached(state: ConsensusState, reached: BudgetReached) -> Step:
    """Nobody whom the budget is for gets a further turn; what runs goes on."""
    members = spent(state.members, reached)
    state = state.model_copy(update={"members": members, "stages": cut_short(state, reached)})
    if ends_at_once(members, reached, is_busy=state.busy > 0 or is_ranking(state)):
        return finished_early(state, "a budget is used up")
    return state, ()


def _votes(member: Member) -> bool:
    """Whether a member can be asked to vote now."""
    return "vote" in member.seat.roles and member.job is None and not member.out


def check_consensus(
    options: ConsensusOptions, agent_ids: Sequence[str]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """What is wrong with the options for these agents."""
    quorum, there = options.quorum, len(agent_ids)
    if quorum != "all" and quorum > there:
        agents = f"{there} agent{'' if there == 1 else 's'}"
        yield ("quorum",), f"a quorum of {quorum} cannot be reached: the team has {agents}"
