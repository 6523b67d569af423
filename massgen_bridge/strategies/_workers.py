"""The turns of agents: who is busy with what, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, assert_never

from massgen_bridge.agent import AnswerRef, Source, StopReason
from massgen_bridge.errors import ErrorKind
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
from massgen_bridge.messages import Frozen, MediaPart
from massgen_bridge.strategies._candidates import Candidate
from massgen_bridge.strategy import StartTurn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "PASSING",
    "Chose",
    "Gave",
    "InTheRun",
    "Nothing",
    "Ordered",
    "Worker",
    "assign",
    "budget_of",
    "busy",
    "ends_at_once",
    "hear",
    "spent",
    "unknown_agents",
    "workers_of",
]

PASSING: frozenset[ErrorKind] = frozenset(
    {"rate_limit", "server", "network", "protocol", "truncated"}
)
"""Failures that may have passed by the agent's next turn; after any other it stays out."""


class InTheRun(Frozen):
    """An agent's part in the run: who is `out` gets no further turn.

    `spent` is the budget that is the reason, where one is.
    """

    out: bool = False
    spent: BudgetReached | None = None


AgentT = TypeVar("AgentT", bound=InTheRun)


class Worker(InTheRun):
    """One agent's part in the run; `task` is the turn it is busy with."""

    seat: Seat
    task: StartTurn | None = None
    turns: int = 0
    repaired: bool = False


class Gave(NamedTuple):
    """An agent wrote what it was asked for."""

    seat: Seat
    text: str
    stop_reason: StopReason
    media: tuple[MediaPart, ...] = ()
    sources: tuple[Source, ...] = ()

    def answer(self, version: int = 1) -> Candidate:
        """As an answer under the agent's own label."""
        return Candidate(
            label=self.seat.label,
            version=version,
            text=self.text,
            media=self.media,
            sources=self.sources,
            authors=(self.seat.agent_id,),
            stop_reason=self.stop_reason,
        )


class Chose(NamedTuple):
    """An agent voted for an answer or, as the chair, for a speaker (None: for the end)."""

    seat: Seat
    choice: AnswerRef | str | None
    reason: str


class Ordered(NamedTuple):
    """An agent put all that it was shown in order, the best one first."""

    seat: Seat
    ranking: tuple[AnswerRef, ...]
    reason: str


class Nothing(NamedTuple):
    """A turn led to nothing, also after a second try where there was one."""

    seat: Seat
    message: str


Workers = dict[str, Worker]
News = Gave | Chose | Ordered | Nothing | StartTurn | None


def workers_of(seats: Iterable[Seat]) -> Workers:
    """Everybody at leisure, by agent id, in the order of the configuration."""
    return {seat.agent_id: Worker(seat=seat) for seat in seats}


def busy(workers: Mapping[str, Worker]) -> bool:
    """Whether a turn is running."""
    return any(worker.task is not None for worker in workers.values())


def assign(
    workers: Mapping[str, Worker], agent_id: str, purpose: Purpose, **about: Any
) -> tuple[Workers, StartTurn]:
    """Give an agent a turn: the workers with it, and the command; `about` is the rest of that."""
    worker = workers[agent_id]
    turns = worker.turns + 1
    task = StartTurn(turn_id=f"{agent_id}.{turns}", agent_id=agent_id, purpose=purpose, **about)
    repaired = purpose == "repair"
    changed = worker.model_copy(update={"task": task, "turns": turns, "repaired": repaired})
    return {**workers, agent_id: changed}, task


def hear(workers: Workers, happening: Happening) -> tuple[Workers, News]:
    """Take in what came of a turn.

    Returns:
        The workers, and what there is to know: what the agent gave or chose, nothing, or a second
        try that was started. None: no running turn has ended.
    """
    if isinstance(happening, BudgetReached):
        return spent(workers, happening), None
    if isinstance(happening, DeadlinePassed | TieBroken | TurnIdle):
        return workers, None
    worker = workers.get(happening.agent_id)
    if worker is None or worker.task is None or worker.task.turn_id != happening.turn_id:
        return workers, None
    if isinstance(happening, TurnLost):
        lost = Nothing(worker.seat, happening.message)
        return _settled(workers, worker, out=happening.kind not in PASSING), lost
    if isinstance(happening, Abstained):
        # It has been asked and has spoken: asking it once more would not be heeding that.
        why = f"it abstained: {happening.reason}" if happening.reason else "it abstained"
        return _settled(workers, worker), Nothing(worker.seat, why)
    news = _said(worker.seat, worker.task, happening)
    if not isinstance(news, str):
        return _settled(workers, worker), news
    if worker.repaired or worker.out:
        return _settled(workers, worker), Nothing(worker.seat, news)
    return _again(workers, worker.task, news)


def _said(seat: Seat, task: StartTurn, happening: TurnHappening) -> Gave | Chose | Ordered | str:
    """What was given or chosen; a problem in words where it is not what was asked for."""
    asked = task.repairs or task.purpose
    ballot = asked in {"evaluate", "judge", "chair", "rank"}
    match happening:
        case Answered(text=text, stop_reason=stop, media=media, sources=sources):
            return "a vote was expected" if ballot else Gave(seat, text, stop, media, sources)
        case Voted(choice=choice, reason=reason):
            if not ballot or asked in {"chair", "rank"}:
                return "no vote for an answer was expected"
            seen = any((s.label, s.version) == (choice.label, choice.version) for s in task.shown)
            return Chose(seat, choice, reason) if seen else f"{choice.label!r} is not shown"
        case SpeakerChosen(label=label, reason=reason):
            if asked != "chair":
                return "nobody is asked who speaks next"
            known = any(speaker.label == label for speaker in task.speakers)
            if known or (label is None and task.may_end):
                return Chose(seat, label, reason)
            return f"{label!r} cannot speak next"
        case ImprovementPromised():
            return "no better answer is asked for"
        case Ranked(ranking=ranking, reason=reason):
            return _ordered(task, ranking) or Ordered(seat, ranking, reason)
        case (
            BallotSpoiled(problem=problem)
            | AnswerRejected(reason=problem)
            | TurnLost(message=problem)
            | Abstained(reason=problem)
        ):
            return problem
    assert_never(happening)


def _ordered(task: StartTurn, ranking: tuple[AnswerRef, ...]) -> str | None:
    """What is wrong with a ranking, None where nothing is."""
    if (task.repairs or task.purpose) != "rank":
        return "no order of answers is asked for"
    shown = sorted((one.label, one.version) for one in task.shown)
    if sorted((one.label, one.version) for one in ranking) != shown:
        return "each answer that is shown has to be ranked once"
    return None


def _again(workers: Workers, task: StartTurn, problem: str) -> tuple[Workers, StartTurn]:
    """The same turn once more, with what was wrong."""
    kept = {
        name: getattr(task, name)
        for name in StartTurn.model_fields
        if name not in {"type", "turn_id", "agent_id", "purpose", "problem", "repairs"}
    }
    return assign(
        workers,
        task.agent_id,
        "repair",
        problem=problem,
        repairs=task.repairs or task.purpose,
        **kept,
    )


def _settled(workers: Workers, worker: Worker, *, out: bool = False) -> Workers:
    changed = worker.model_copy(update={"task": None, "out": out or worker.out})
    return {**workers, worker.seat.agent_id: changed}


def spent(workers: Mapping[str, AgentT], reached: BudgetReached) -> dict[str, AgentT]:
    """Nobody whom the budget is for gets a further turn; what runs goes on."""
    return {
        agent_id: one.model_copy(update={"out": True, "spent": reached})
        if reached.agent_id is None or (reached.agent_id == agent_id and one.spent is None)
        else one
        for agent_id, one in workers.items()
    }


def budget_of(workers: Mapping[str, InTheRun]) -> BudgetReached | None:
    """The budget that ends the run: its own, or that of one of the agents if all of them are out.

    Then nothing more can be done than to take what there is, once nobody is busy any more.
    """
    if not all(one.out for one in workers.values()):
        return None
    return next((one.spent for one in workers.values() if one.spent), None)


def ends_at_once(workers: Mapping[str, InTheRun], reached: BudgetReached, *, is_busy: bool) -> bool:
    """Whether a budget leaves nothing to wait for: that of the run's time, or nobody is busy."""
    if budget_of(workers) is None:
        return False
    return not is_busy or (reached.agent_id is None and reached.budget == "wall_s")


def unknown_agents(
    agent_ids: Sequence[str], option: str, named: Iterable[tuple[int | str | None, str]]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """The problems of an option that names agents who do not take part.

    Args:
        agent_ids: Who takes part.
        option: The option's name.
        named: Each id, with its key or position in the option; None where the option is the id.
    """
    for place, name in named:
        if name not in agent_ids:
            path = (option,) if place is None else (option, place)
            yield path, f"there is no agent {name!r} (there are: {', '.join(agent_ids)})"
