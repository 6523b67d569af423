"""Asks everybody every question and grades what comes; nothing is paid for twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from massgen_bridge.errors import JournalError
from massgen_bridge.evaluation.results import Begun, Cell, Graded
from massgen_bridge.events import RunFinished
from massgen_bridge.runtime.execution import execute, resume
from massgen_bridge.runtime.index import RunIndex, new_run_id
from massgen_bridge.runtime.journal_file import read_ends
from massgen_bridge.runtime.stopped import StoppedRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from massgen_bridge.evaluation.contestants import Contestant
    from massgen_bridge.evaluation.dataset import Question
    from massgen_bridge.evaluation.results import Results
    from massgen_bridge.events import RunResult

__all__ = ["Evaluator", "Task"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One question for one contestant."""

    question: Question
    repeat: int
    contestant: Contestant

    @property
    def cell(self) -> Cell:
        """Where its answer stands in the results."""
        return Cell(self.question.key, self.repeat, self.contestant.agent)


class Evaluator:
    """Works through the tasks of an evaluation that its results do not hold yet.

    Args:
        contestants: Who is asked.
        questions: What they are asked.
        repeats: How often each is asked each question.
        results: Holds what was found before, and gets the rest.
        again: Whether questions that had no answer are asked once more.
    """

    def __init__(
        self,
        contestants: Sequence[Contestant],
        questions: Sequence[Question],
        *,
        repeats: int,
        results: Results,
        again: bool = False,
    ) -> None:
        self._results = results
        self._again = again
        self._writing = anyio.Lock()
        self.tasks = tuple(_tasks(contestants, questions, repeats))
        """Everything that is asked for, in the order in which it is done."""

    def open(self) -> tuple[Task, ...]:
        """The tasks that are not done yet."""
        return tuple(task for task in self.tasks if not self._is_done(task))

    async def work(
        self,
        *,
        concurrency: int = 1,
        tell: Callable[[Graded], Awaitable[None]] | None = None,
    ) -> None:
        """Do what is not done yet. A cancellation loses no answer that was given.

        Args:
            concurrency: So many runs at the same time.
            tell: Awaited with each answer that was graded.

        Raises:
            JournalError: A run or the results cannot be written or read.
        """
        waiting = iter(self.open())
        async with anyio.create_task_group() as tasks:
            for _ in range(concurrency):
                tasks.start_soon(self._work_through, waiting, tell)

    async def _work_through(
        self, waiting: Iterator[Task], tell: Callable[[Graded], Awaitable[None]] | None
    ) -> None:
        for task in waiting:
            graded = await self._do(task)
            if tell is not None:
                await tell(graded)

    def _is_done(self, task: Task) -> bool:
        graded = self._results.graded.get(task.cell)
        return graded is not None and not (self._again and graded.answer is None)

    async def _do(self, task: Task) -> Graded:
        path = await self._ended(task)
        graded = await to_thread.run_sync(_graded, task, path)
        await self._write(graded)
        return graded

    async def _ended(self, task: Task) -> Path:
        """The journal of the task's run, which has ended; an earlier one goes on."""
        begun = self._results.begun.get(task.cell)
        if begun is not None and task.cell not in self._results.graded:
            path = RunIndex().path(begun)
            if await to_thread.run_sync(_has_ended, path):
                return path
            stopped = await to_thread.run_sync(_stopped, path)
            if stopped is not None:
                await resume(task.contestant.prepared, stopped)
                return path
        run_id = new_run_id()
        cell = task.cell
        await self._write(
            Begun(question=cell.question, repeat=cell.repeat, agent=cell.agent, run_id=run_id)
        )
        asked = await to_thread.run_sync(task.question.message)
        await execute(task.contestant.prepared, asked, run_id=run_id)
        return RunIndex().path(run_id)

    async def _write(self, line: Begun | Graded) -> None:
        # A line that is half written when everything is cancelled would be lost.
        with anyio.CancelScope(shield=True):
            async with self._writing:
                await to_thread.run_sync(self._results.append, line)


def _tasks(
    contestants: Sequence[Contestant], questions: Iterable[Question], repeats: int
) -> Iterator[Task]:
    """Question by question, so that what is there early can be compared; nobody is always first."""
    number = 0
    for repeat in range(1, repeats + 1):
        for question in questions:
            first = number % len(contestants)
            for contestant in (*contestants[first:], *contestants[:first]):
                yield Task(question=question, repeat=repeat, contestant=contestant)
            number += 1


def _has_ended(path: Path) -> bool:
    ends = read_ends(path) if path.is_file() else None
    last = ends[1].event if ends else None
    return isinstance(last, RunFinished) and last.result.status != "cancelled"


def _stopped(path: Path) -> StoppedRun | None:
    """A run that can go on; None where it left nothing to go on from."""
    if not path.is_file() or read_ends(path) is None:
        return None
    return StoppedRun.find(path)


def _graded(task: Task, path: Path) -> Graded:
    ends = read_ends(path)
    last = None if ends is None else ends[1].event
    if not isinstance(last, RunFinished):
        raise JournalError(f"the run {path.stem!r} has no end in its journal")
    result = last.result
    return Graded(
        question=task.cell.question,
        repeat=task.repeat,
        agent=task.contestant.agent,
        run_id=path.stem,
        status=result.status,
        answer=result.answer,
        correct=task.question.is_right(result.answer),
        winner=result.winner,
        message=None if result.answer is not None else _why(result),
        calls=result.calls,
        input_tokens=result.usage.input_tokens,
        output_tokens=result.usage.output_tokens,
        cost_usd=result.cost.usd,
        unpriced_calls=result.cost.unpriced_calls,
        duration_s=result.duration_s,
    )


def _why(result: RunResult) -> str:
    if result.errors:
        return f"{result.errors[-1].kind}: {result.errors[-1].message}"
    return result.message or "no answer"
