"""A conversation: one speaks at a time, and everybody sees all that was said before.

Who speaks next follows from a rule, an order that is gone through again and again, or is named by
a chair on a ballot, never read from what somebody says. The chair also writes the answer at the
end; without one, the last contribution is the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from massgen_bridge.agent import ShownAnswer
from massgen_bridge.events import BudgetReached, DeadlinePassed, Happening, RunStatus, Seat
from massgen_bridge.messages import Frozen
from massgen_bridge.specs import NoOptions
from massgen_bridge.strategies._candidates import Candidate, ended
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
from massgen_bridge.strategy import Command, Speaker, StartTurn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Group", "GroupOptions", "GroupState", "check_group"]

_Step = tuple["GroupState", tuple[Command, ...]]


class GroupOptions(NoOptions):
    """Who speaks when, and what ends the conversation."""

    max_turns: int = Field(
        default=8, ge=1, description="Contributions at most, those that fail included."
    )
    order: tuple[str, ...] = Field(
        default=(),
        description="Ids of the agents in the order in which they speak, again and again; one may "
        "stand there more than once. Default: all but the chair, in the order of the file.",
    )
    chair: str | None = Field(
        default=None,
        description="Id of the agent that names the next speaker before each contribution, may "
        "end the conversation, and writes the answer. If it fails, the order counts.",
    )
    stop_phrase: Annotated[str, Field(pattern=r"^\S(.*\S)?$")] | None = Field(
        default=None,
        description="A contribution whose last line is this ends the conversation.",
    )
    roles: dict[str, str] = Field(
        default_factory=dict,
        description="What the others are told of an agent, by its id, such as `a lawyer`.",
    )


class GroupState(Frozen):
    """Where the conversation stands; `turn` counts contributions, `place` is that in the order."""

    v: Literal[1] = 1
    phase: Literal["choosing", "speaking", "concluding", "finished"] = "speaking"
    workers: dict[str, Worker]
    turn: int = 0
    place: int = 0
    said: tuple[Candidate, ...] = ()
    conclusion: Candidate | None = None


class Group:
    """The reducer of the strategy `group`."""

    def __init__(self, options: GroupOptions | None = None) -> None:
        self._options = options or GroupOptions()

    def begin(self, seats: tuple[Seat, ...]) -> _Step:
        """Let the first one speak."""
        return self._next(GroupState(workers=workers_of(seats)))

    def step(self, state: GroupState, happening: Happening) -> _Step:
        """Let the next one speak, or end."""
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
            case Gave():
                return self._heard(state, news)
            case Chose(choice=str(label)):
                return self._speak(state, self._id_of(state, label))
            case Chose():
                return self._conclude(state)
            case Nothing():
                return self._missed(state, news)
            case _:
                return state, ()

    def _missed(self, state: GroupState, nothing: Nothing) -> _Step:
        if state.phase == "concluding":
            problem = f"the chair wrote no answer: {nothing.message}"
            return _finish(state, "best_so_far", problem)
        return self._by_order(state) if state.phase == "choosing" else self._next(state)

    # --- the conversation -----------------------------------------------------------------------

    def _next(self, state: GroupState) -> _Step:
        """Ask the chair, or go by the order; end where there is nothing left to do."""
        speakers = self._speakers(state)
        if not speakers or state.turn >= self._options.max_turns:
            return self._conclude(state)
        chair = self._chair(state)
        if chair is None or (len(speakers) == 1 and not state.said):
            return self._by_order(state)
        workers, command = assign(
            state.workers,
            chair,
            "chair",
            shown=_shown(state),
            speakers=tuple(self._speaker(state, agent_id) for agent_id in speakers),
            may_end=bool(state.said),
        )
        return state.model_copy(update={"workers": workers, "phase": "choosing"}), (command,)

    def _by_order(self, state: GroupState) -> _Step:
        speakers, order = self._speakers(state), self._order(state)
        if not speakers:
            return self._conclude(state)
        places = range(state.place, state.place + len(order))
        place = next(one for one in places if order[one % len(order)] in speakers)
        following = state.model_copy(update={"place": (place + 1) % len(order)})
        return self._speak(following, order[place % len(order)])

    def _speak(self, state: GroupState, agent_id: str) -> _Step:
        if state.workers[agent_id].out:
            return self._by_order(state)
        workers, command = assign(
            state.workers,
            agent_id,
            "speak",
            shown=_shown(state),
            label=state.workers[agent_id].seat.label,
            speakers=tuple(self._speaker(state, one) for one in self._speakers(state)),
            stop_phrase=self._options.stop_phrase,
        )
        changes = {"workers": workers, "phase": "speaking", "turn": state.turn + 1}
        return state.model_copy(update=changes), (command,)

    def _heard(self, state: GroupState, gave: Gave) -> _Step:
        if state.phase == "concluding":
            conclusion = _contribution(state, gave, gave.text)
            return _finish(state.model_copy(update={"conclusion": conclusion}), "answered")
        text, last = gave.text, False
        if self._options.stop_phrase is not None:
            before, _, line = text.rstrip().rpartition("\n")
            last = line.strip() == self._options.stop_phrase
            text = before.rstrip() if last else text
        if text or gave.media:
            contribution = _contribution(state, gave, text)
            state = state.model_copy(update={"said": (*state.said, contribution)})
        return self._conclude(state) if last else self._next(state)

    def _conclude(self, state: GroupState) -> _Step:
        chair = self._chair(state)
        if chair is None or not state.said:
            return _finish(state, "answered", None if state.said else "nobody said anything")
        workers, command = assign(state.workers, chair, "conclude", shown=_shown(state))
        return state.model_copy(update={"workers": workers, "phase": "concluding"}), (command,)

    # --- who ------------------------------------------------------------------------------------

    def _chair(self, state: GroupState) -> str | None:
        worker = state.workers.get(self._options.chair or "")
        return None if worker is None or worker.out else worker.seat.agent_id

    def _order(self, state: GroupState) -> list[str]:
        named = [agent_id for agent_id in self._options.order if agent_id in state.workers]
        return named or [one for one in state.workers if one != self._options.chair]

    def _speakers(self, state: GroupState) -> list[str]:
        """Who can speak, in the order of the configuration."""
        order = self._order(state)
        return [one for one, worker in state.workers.items() if one in order and not worker.out]

    def _speaker(self, state: GroupState, agent_id: str) -> Speaker:
        label = state.workers[agent_id].seat.label
        return Speaker(label=label, role=self._options.roles.get(agent_id, ""))

    def _id_of(self, state: GroupState, label: str) -> str:
        return next(one for one, worker in state.workers.items() if worker.seat.label == label)


def _shown(state: GroupState) -> tuple[ShownAnswer, ...]:
    return tuple(one.shown() for one in state.said)


def _contribution(state: GroupState, gave: Gave, text: str) -> Candidate:
    """What somebody said; the version counts its contributions."""
    earlier = sum(one.label == gave.seat.label for one in state.said)
    return gave._replace(text=text).answer(1 + earlier)


def _finish(state: GroupState, status: RunStatus, message: str | None = None) -> _Step:
    everything = (*state.said, *([state.conclusion] if state.conclusion else []))
    last = everything[-1] if everything else None
    command = ended(status, everything, last, message, budget_of(state.workers))
    return state.model_copy(update={"phase": "finished"}), (command,)


def check_group(
    options: GroupOptions, agent_ids: Sequence[str]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """What is wrong with the options for these agents."""
    yield from unknown_agents(agent_ids, "order", enumerate(options.order))
    yield from unknown_agents(agent_ids, "roles", ((name, name) for name in options.roles))
    if options.chair is None:
        return
    yield from unknown_agents(agent_ids, "chair", [(None, options.chair)])
    if options.chair in options.order:
        place = options.order.index(options.chair)
        yield ("order", place), f"the chair {options.chair!r} does not take turns"
    if list(agent_ids) == [options.chair]:
        yield ("chair",), "nobody is left to speak"
