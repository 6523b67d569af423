"""All but one answer at the same time, the whole task or parts of it; one makes one answer of that.

The reducer is the last agent of the configuration, unless another one is named.
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

__all__ = ["MapReduce", "MapReduceOptions", "MapReduceState", "check_map_reduce"]

_Step = tuple["MapReduceState", tuple[Command, ...]]


class MapReduceOptions(NoOptions):
    """Who makes one answer of all, and what the others are asked."""

    reducer: str | None = Field(
        default=None,
        description="Id of the agent that writes the answer out of those of all others. Default: "
        "the last one in the file.",
    )
    parts: dict[str, str] = Field(
        default_factory=dict,
        description="Which part of the task an agent works on, by its id; the others answer the "
        "whole task.",
    )


class MapReduceState(Frozen):
    """Who works, and what was given so far, by agent id."""

    v: Literal[1] = 1
    workers: dict[str, Worker]
    reducer: str
    given: dict[str, Candidate] = Field(default_factory=dict)
    phase: Literal["mapping", "reducing", "finished"] = "mapping"


class MapReduce:
    """The strategy `map_reduce`."""

    def __init__(self, options: MapReduceOptions | None = None) -> None:
        self._options = options or MapReduceOptions()

    def begin(self, seats: tuple[Seat, ...]) -> _Step:
        """Ask all but the reducer."""
        workers = workers_of(seats)
        named = self._options.reducer
        reducer = named if named in workers else seats[-1].agent_id
        commands = []
        for agent_id in workers:
            if agent_id != reducer:
                part = self._options.parts.get(agent_id)
                workers, command = assign(workers, agent_id, "answer", instruction=part)
                commands.append(command)
        state = MapReduceState(workers=workers, reducer=reducer)
        return (state, tuple(commands)) if commands else self._reduce(state)

    def step(self, state: MapReduceState, happening: Happening) -> _Step:
        """Collect the parts, then the answer."""
        if state.phase == "finished":
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
            case Gave(seat):
                given = {**state.given, seat.agent_id: news.answer()}
                state = state.model_copy(update={"given": given})
            case Nothing(message=message):
                if state.phase == "reducing":
                    problem = f"{state.reducer} made no answer of these: {message}"
                    return _finish(state, "best_so_far", problem)
            case _:
                return state, ()
        if busy(state.workers):
            return state, ()
        return _finish(state, "answered") if state.phase == "reducing" else self._reduce(state)

    def _reduce(self, state: MapReduceState) -> _Step:
        if not state.given:
            return _finish(state, "failed", "no agent gave an answer to make one of")
        if state.workers[state.reducer].out:
            return _finish(state, "best_so_far", f"{state.reducer} gets no further turn")
        workers, command = assign(
            state.workers,
            state.reducer,
            "reduce",
            round=1,
            shown=tuple(
                state.given[agent_id].shown(self._options.parts.get(agent_id))
                for agent_id in _in_order(state)
            ),
        )
        return state.model_copy(update={"workers": workers, "phase": "reducing"}), (command,)


def _in_order(state: MapReduceState) -> list[str]:
    """Who gave something, in the order of the configuration, whatever came first."""
    return [agent_id for agent_id in state.workers if agent_id in state.given]


def _finish(state: MapReduceState, status: RunStatus, message: str | None = None) -> _Step:
    given = tuple(state.given[agent_id] for agent_id in _in_order(state))
    winner = state.given.get(state.reducer, given[0] if given else None)
    budget = budget_of(state.workers)
    if budget is None and status == "best_so_far":
        budget = state.workers[
            state.reducer
        ].spent  # without the reducer there is nothing more to do
    command = ended(status, given, winner, message, budget)
    return state.model_copy(update={"phase": "finished"}), (command,)


def check_map_reduce(
    options: MapReduceOptions, agent_ids: Sequence[str]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """What is wrong with the options for these agents."""
    if options.reducer is not None:
        yield from unknown_agents(agent_ids, "reducer", [(None, options.reducer)])
    yield from unknown_agents(agent_ids, "parts", ((name, name) for name in options.parts))
    reducer = options.reducer or agent_ids[-1]
    if reducer in options.parts:
        yield ("parts", reducer), f"the agent {reducer!r} makes the answer, it has no part"
    if len(agent_ids) == 1:
        yield (), "there have to be two agents at least: one that answers, one that reduces"
