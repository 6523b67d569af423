"""What is there of the turns of a team that began in earlier processes."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge.agent import FinishedTurn, Usage
from massgen_bridge.errors import JournalError
from massgen_bridge.events import ModelCallFinished, RunFinished, RunStarted, TurnDone, TurnStarted
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal_file import read_ends, read_run
from massgen_bridge.runtime.stopped import StoppedRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_bridge.agent import Turn
    from massgen_bridge.events import RunResult
    from massgen_bridge.runtime.plan import PlannedAgent

__all__ = ["counted_usage", "earlier_turns", "found_run", "inner_run_id", "with_finished"]


def inner_run_id(run_id: str, turn_id: str) -> str:
    """The id of the run that is the work of a team's turn."""
    return f"{run_id}-{sha256(turn_id.encode()).hexdigest()[:8]}"


def found_run(run_id: str) -> RunResult | StoppedRun | None:
    """What there is of an inner run: its result, the run itself, or nothing."""
    index = RunIndex()
    path = index.path(run_id)
    ends = read_ends(path) if path.is_file() else None
    if ends is None or not isinstance(ends[0].event, RunStarted):
        index.discard(run_id)  # it was stopped before its first record
        return None
    last = ends[1].event
    if isinstance(last, RunFinished) and last.result.status != "cancelled":
        return last.result
    # Whoever has taken over the outer run has taken over this one as well.
    return StoppedRun.find(path, elsewhere=True, inner=True)


def counted_usage(run_id: str, turn_id: str) -> Usage:
    """What the journal of the outer run says that a turn has used."""
    path = RunIndex().path(run_id)
    calls = (
        record.event.usage
        for record in read_run(path)
        if record.turn_id == turn_id and isinstance(record.event, ModelCallFinished)
    )
    return sum((usage for usage in calls if usage is not None), Usage())


def earlier_turns(
    agent_id: str, begun: Iterable[str]
) -> tuple[list[str], dict[str, list[FinishedTurn]]]:
    """The inner runs that an agent's turns have led to, and what each member finished in them."""
    index = RunIndex()
    runs: list[str] = []
    finished: dict[str, list[FinishedTurn]] = {}
    for outer in begun:
        for record in _records(index.path(outer)):
            if record.agent_id == agent_id and isinstance(record.event, TurnStarted):
                run_id = inner_run_id(outer, record.turn_id or "")
                if run_id not in runs:
                    runs.append(run_id)
    for run_id in runs:
        turns: dict[str | None, Turn] = {}
        for record in _records(index.path(run_id)):
            if isinstance(record.event, TurnStarted):
                turns[record.turn_id] = record.event.turn
            elif isinstance(record.event, TurnDone):
                done = FinishedTurn(turn=turns[record.turn_id], result=record.event.result)
                finished.setdefault(record.agent_id or "", []).append(done)
    return runs, finished


def _records(path: Path) -> Iterable[Any]:
    try:
        return tuple(read_run(path)) if path.is_file() else ()
    except JournalError:
        return ()  # it was stopped before its first record


def with_finished(
    agent: PlannedAgent, finished: Mapping[str, Sequence[FinishedTurn]]
) -> PlannedAgent:
    """An agent that is told what it finished in earlier processes."""
    done = tuple(finished.get(agent.seat.agent_id, ()))
    return replace(agent, setup=agent.setup.model_copy(update={"finished": done}))
