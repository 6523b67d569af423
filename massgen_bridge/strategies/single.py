"""One agent answers; the next in the configuration takes over only if it fails."""

from __future__ import annotations

from typing import Literal, assert_never

from massgen_bridge.agent import AnswerRef
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
    Ranked,
    Seat,
    SpeakerChosen,
    TieBroken,
    TurnHappening,
    TurnIdle,
    TurnLost,
    Voted,
)
from massgen_bridge.messages import Frozen
from massgen_bridge.strategies._candidates import by_budget
from massgen_bridge.strategy import Announce, Command, Finish, StartTurn

__all__ = ["Single", "SingleState"]


class SingleState(Frozen):
    """Whose turn it is; `turn_id` is None once the run has ended.

    `spent` is the budget that keeps that agent, or all, from a further turn.
    """

    v: Literal[1] = 1
    seats: tuple[Seat, ...]
    position: int = 0
    turn_id: str | None = None
    repaired: bool = False
    spent: BudgetReached | None = None


class Single:
    """The reducer of the strategy `single`."""

    def begin(self, seats: tuple[Seat, ...]) -> tuple[SingleState, tuple[Command, ...]]:
        """Start the first agent."""
        return self._ask(SingleState(seats=seats))

    def step(
        self, state: SingleState, happening: Happening
    ) -> tuple[SingleState, tuple[Command, ...]]:
        """Finish with the first answer; hand over after a failure."""
        if state.turn_id is None:
            return state, ()
        match happening:
            case DeadlinePassed():
                ended = state.model_copy(update={"turn_id": None})
                return ended, (Finish(status="failed", message="the deadline passed"),)
            case BudgetReached():
                return self._budget_reached(state, happening)
            case TieBroken() | TurnIdle():
                return state, ()
            case _ if happening.turn_id != state.turn_id:
                return state, ()
            case _:
                return self._ended(state, happening)

    def _ended(
        self, state: SingleState, happening: TurnHappening
    ) -> tuple[SingleState, tuple[Command, ...]]:
        match happening:
            case Answered():
                ended = state.model_copy(update={"turn_id": None})
                return ended, self._accept(state, happening)
            case AnswerRejected(reason=problem) | BallotSpoiled(problem=problem):
                return self._repair(state, problem)
            case Voted() | Ranked() | SpeakerChosen() | ImprovementPromised():
                return self._repair(state, "an answer was expected, not a vote")
            case TurnLost():
                return self._hand_over(state, happening.message)
            case Abstained(reason=reason):
                return self._hand_over(
                    state, f"it abstained: {reason}" if reason else "it abstained"
                )
        assert_never(happening)

    @staticmethod
    def _accept(state: SingleState, answer: Answered) -> tuple[Command, ...]:
        seat = state.seats[state.position]
        ref = AnswerRef(label=seat.label, version=1)
        info = AnswerInfo(
            label=seat.label,
            version=1,
            authors=(seat.agent_id,),
            text=answer.text,
            media=answer.media,
            sources=answer.sources,
            stop_reason=answer.stop_reason,
        )
        finish = Finish(status="answered", winner=ref, answers=(info,))
        if state.spent is not None and state.spent.agent_id is None:
            finish = by_budget(finish, state.spent)
        listed = AnswerListed(
            answer=ref, authors=(seat.agent_id,), text=answer.text, media=answer.media
        )
        return Announce(event=listed), finish

    @staticmethod
    def _budget_reached(
        state: SingleState, reached: BudgetReached
    ) -> tuple[SingleState, tuple[Command, ...]]:
        """The running turn goes on, unless the time of the whole run is up."""
        if reached.agent_id not in {None, state.seats[state.position].agent_id}:
            return state, ()
        if state.spent is None or reached.agent_id is None:
            state = state.model_copy(update={"spent": reached})
        if reached.agent_id is None and reached.budget == "wall_s":
            finish = by_budget(Finish(status="failed"), reached)
            return state.model_copy(update={"turn_id": None}), (finish,)
        return state, ()

    def _repair(self, state: SingleState, problem: str) -> tuple[SingleState, tuple[Command, ...]]:
        if state.repaired or state.spent is not None:
            return self._hand_over(state, problem)
        return self._ask(state.model_copy(update={"repaired": True}), problem)

    def _hand_over(
        self, state: SingleState, problem: str
    ) -> tuple[SingleState, tuple[Command, ...]]:
        following = state.position + 1
        spent = state.spent
        if following < len(state.seats) and (spent is None or spent.agent_id is not None):
            changes = {"position": following, "repaired": False, "spent": None}
            return self._ask(state.model_copy(update=changes))
        finish = Finish(status="failed", message=problem)
        if spent is not None:
            finish = by_budget(finish, spent)
        return state.model_copy(update={"turn_id": None}), (finish,)

    @staticmethod
    def _ask(
        state: SingleState, problem: str | None = None
    ) -> tuple[SingleState, tuple[Command, ...]]:
        agent_id = state.seats[state.position].agent_id
        turn_id = f"{agent_id}.{2 if state.repaired else 1}"
        command = StartTurn(
            turn_id=turn_id,
            agent_id=agent_id,
            purpose="repair" if problem else "answer",
            problem=problem,
        )
        return state.model_copy(update={"turn_id": turn_id}), (command,)
