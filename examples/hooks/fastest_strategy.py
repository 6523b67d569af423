"""A strategy: all agents start at once, the first answer wins, and what still runs is stopped.

A strategy is a pure function: it gets what happened and says what to do next. It does no I/O,
reads no clock, and keeps everything that it knows in a frozen state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import (
    Answered,
    AnswerInfo,
    AnswerRef,
    Command,
    DeadlinePassed,
    Finish,
    Frozen,
    Seat,
    StartTurn,
    StrategySpec,
    TurnHappening,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge import Happening

Step = tuple["FastestState", tuple[Command, ...]]


class FastestState(Frozen):
    """Who takes part, and whose turns are running; nobody's once the run has ended."""

    seats: tuple[Seat, ...]
    running: tuple[str, ...]


class Fastest:
    """The first answer wins."""

    def begin(self, seats: tuple[Seat, ...]) -> Step:
        """Start everybody."""
        turns = tuple(
            StartTurn(turn_id=f"{seat.agent_id}.1", agent_id=seat.agent_id, purpose="answer")
            for seat in seats
        )
        return FastestState(seats=seats, running=tuple(turn.turn_id for turn in turns)), turns

    def step(self, state: FastestState, happening: Happening) -> Step:
        """Finish with the first answer, or when nobody is left who could give one."""
        ended = state.model_copy(update={"running": ()})
        if isinstance(happening, DeadlinePassed) and state.running:
            return ended, (Finish(status="failed", message="the deadline passed"),)
        if not isinstance(happening, TurnHappening) or not state.running:
            return state, ()
        if isinstance(happening, Answered):
            return ended, (self._finish(state, happening),)
        left = tuple(turn_id for turn_id in state.running if turn_id != happening.turn_id)
        if not left:
            return ended, (Finish(status="failed", message="no agent gave an answer"),)
        return state.model_copy(update={"running": left}), ()

    @staticmethod
    def _finish(state: FastestState, answer: Answered) -> Finish:
        label = next(seat.label for seat in state.seats if seat.agent_id == answer.agent_id)
        info = AnswerInfo(label=label, version=1, authors=(answer.agent_id,), text=answer.text)
        return Finish(status="answered", winner=AnswerRef(label=label, version=1), answers=(info,))


@hookimpl
def bridge_strategies() -> Iterable[StrategySpec]:
    """Register the strategy `fastest`."""
    spec = StrategySpec(
        name="fastest", summary="The first answer wins.", create=lambda _options: Fastest()
    )
    return [spec]
