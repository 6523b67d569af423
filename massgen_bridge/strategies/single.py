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
    TurnIdle,
    TurnLost,
    Voted,
)
from massgen_bridge.messages import Frozen
from massgen_bridge.strategy import Announce, Command, Finish, StartTurn

__all__ = ["Single", "SingleState"]


class SingleState(Frozen):
    """Whose turn it is; `turn_id` is None once the run has ended."""

    v: Literal[1] = 1
    seats: tuple[Seat, ...]
    position: int = 0
    turn_id: str | None = None
    repaired: bool = False


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
        ended = state.model_copy(update={"turn_id": None})
        match happening:
            case DeadlinePassed():
                return ended, (Finish(status="failed", message="the deadline passed"),)
            case TieBroken() | TurnIdle() | BudgetReached():
                return state, ()
            case _ if happening.turn_id != state.turn_id:
                return state, ()
            case Answered():
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
            stop_reason=answer.stop_reason,
        )
        return (
            Announce(event=AnswerListed(answer=ref, authors=(seat.agent_id,), text=answer.text)),
            Finish(status="answered", winner=ref, answers=(info,)),
        )

    def _repair(self, state: SingleState, problem: str) -> tuple[SingleState, tuple[Command, ...]]:
        if state.repaired:
            return self._hand_over(state, problem)
        return self._ask(state.model_copy(update={"repaired": True}), problem)

    def _hand_over(
        self, state: SingleState, problem: str
    ) -> tuple[SingleState, tuple[Command, ...]]:
        following = state.position + 1
        if following < len(state.seats):
            return self._ask(state.model_copy(update={"position": following, "repaired": False}))
        ended = state.model_copy(update={"turn_id": None})
        return ended, (Finish(status="failed", message=problem),)

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
