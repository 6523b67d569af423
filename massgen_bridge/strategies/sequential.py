"""One after the other: each agent gets what those before it gave, and hands on the next step.

The agents go in the order of the configuration. The last answer is the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from massgen_bridge.events import BudgetReached, DeadlinePassed, Happening, RunStatus, Seat
from massgen_bridge.messages import Frozen
from massgen_bridge.specs import NoOptions
from massgen_bridge.strategies._candidates import Candidate, ended
from massgen_bridge.strategies._workers import (
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
from massgen_bridge.strategy import Command, StartTurn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Sequential", "SequentialOptions", "SequentialState", "check_sequential"]

_Step = tuple["SequentialState", tuple[Command, ...]]


class SequentialOptions(NoOptions):
    """What each agent gets to see and to do."""

    show: Literal["last", "all"] = Field(
        default="last",
        description="What an agent sees of those before it: the last answer, or all of them.",
    )
    instructions: dict[str, str] = Field(
        default_factory=dict,
        description="What an agent's own step is, by its id; else it writes a better answer.",
    )
    on_failure: Literal["skip", "stop"] = Field(
        default="skip",
        description="When an agent fails: `skip` goes on with the next one, `stop` ends the run "
        "with the last answer so far.",
    )


class SequentialState(Frozen):
    """Whose step it is, and what was given so far."""

    v: Literal[1] = 1
    workers: dict[str, Worker]
    position: int = -1
    given: tuple[Candidate, ...] = ()
    finished: bool = False


class Sequential:
    """The reducer of the strategy `sequential`."""

    def __init__(self, options: SequentialOptions | None = None) -> None:
        self._options = options or SequentialOptions()

    def begin(self, seats: tuple[Seat, ...]) -> _Step:
        """Ask the first agent."""
        return self._next(SequentialState(workers=workers_of(seats)), "no agent takes part")

    def step(self, state: SequentialState, happening: Happening) -> _Step:
        """Hand on what was given."""
        if state.finished:
            return state, ()
        if isinstance(happening, DeadlinePassed):
            return _finish(state, "best_so_far", "the deadline passed")
        workers, news = hear(state.workers, happening)
        state = state.model_copy(update={"workers": workers})
        if isinstance(happening, BudgetReached) and ends_at_once(
            workers, happening, is_busy=busy(workers)
        ):
            return _finish(state, "best_so_far")
        match news:
            case StartTurn():
                return state, (news,)
            case Gave():
                given = (*state.given, news.answer())
                return self._next(state.model_copy(update={"given": given}))
            case Nothing(seat, message):
                if self._options.on_failure == "stop":
                    spent = state.workers[seat.agent_id].spent
                    why = f"{seat.agent_id} failed: {message}"
                    return _finish(state, "best_so_far", why, spent)
                return self._next(state, message)
            case _:
                return state, ()

    def _next(self, state: SequentialState, problem: str | None = None) -> _Step:
        position = state.position + 1
        if position >= len(state.workers) or budget_of(state.workers) is not None:
            return _finish(state, "answered", None if state.given else problem)
        agent_id = list(state.workers)[position]
        shown = state.given if self._options.show == "all" else state.given[-1:]
        workers, command = assign(
            state.workers,
            agent_id,
            "continue" if shown else "answer",
            shown=tuple(answer.shown() for answer in shown),
            instruction=self._options.instructions.get(agent_id),
        )
        return state.model_copy(update={"workers": workers, "position": position}), (command,)


def _finish(
    state: SequentialState,
    status: RunStatus,
    message: str | None = None,
    spent: BudgetReached | None = None,
) -> _Step:
    last = state.given[-1] if state.given else None
    command = ended(status, state.given, last, message, budget_of(state.workers) or spent)
    return state.model_copy(update={"finished": True}), (command,)


def check_sequential(
    options: SequentialOptions, agent_ids: Sequence[str]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """What is wrong with the options for these agents."""
    yield from unknown_agents(
        agent_ids, "instructions", ((name, name) for name in options.instructions)
    )
