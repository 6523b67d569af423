"""The reducer and its state."""

from __future__ import annotations

from massgen_bridge import (
    Answered,
    AnswerInfo,
    AnswerRef,
    Command,
    DeadlinePassed,
    Finish,
    Frozen,
    Happening,
    RunStatus,
    Seat,
    StartTurn,
    TurnHappening,
)

__all__ = ["Shortest", "ShortestState"]

Step = tuple["ShortestState", tuple[Command, ...]]


class ShortestState(Frozen):
    """Everything that the strategy knows; it survives a JSON round trip."""

    seats: tuple[Seat, ...]
    running: tuple[str, ...]
    answers: tuple[AnswerInfo, ...] = ()


class Shortest:
    """The shortest answer wins."""

    def begin(self, seats: tuple[Seat, ...]) -> Step:
        """Start a turn of everybody."""
        turns = tuple(
            StartTurn(turn_id=f"{seat.agent_id}.1", agent_id=seat.agent_id, purpose="answer")
            for seat in seats
        )
        return ShortestState(seats=seats, running=tuple(turn.turn_id for turn in turns)), turns

    def step(self, state: ShortestState, happening: Happening) -> Step:
        """Collect answers until no turn is running; whatever happens, there is a next state."""
        if isinstance(happening, DeadlinePassed) and state.running:
            return _finished(state, "best_so_far")
        if not isinstance(happening, TurnHappening) or not state.running:
            return state, ()
        running = tuple(turn_id for turn_id in state.running if turn_id != happening.turn_id)
        answers = state.answers
        if isinstance(happening, Answered):
            answers += (_answer(state, happening),)
        state = state.model_copy(update={"running": running, "answers": answers})
        return (state, ()) if running else _finished(state, "answered")


def _answer(state: ShortestState, happening: Answered) -> AnswerInfo:
    label = next(seat.label for seat in state.seats if seat.agent_id == happening.agent_id)
    authors = (happening.agent_id,)
    return AnswerInfo(label=label, version=1, authors=authors, text=happening.text)


def _finished(state: ShortestState, status: RunStatus) -> Step:
    state = state.model_copy(update={"running": ()})
    if not state.answers:
        return state, (Finish(status="failed", message="no agent gave an answer"),)
    # In the order of the configuration, so that the same answers always give the same winner.
    labels = [seat.label for seat in state.seats]
    ranked = sorted(state.answers, key=lambda one: (len(one.text), labels.index(one.label)))
    winner = AnswerRef(label=ranked[0].label, version=1)
    return state, (Finish(status=status, winner=winner, answers=state.answers),)
