"""How far an evaluation is: a line for each answer, or one line that is written anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from massgen_bridge.cli._eval_text import name_of
from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import TextIO

    from massgen_bridge.evaluation import Graded, Task

__all__ = ["EvalProgress"]

_LONG = 160


class EvalProgress:
    """Tells of answers as they are graded.

    Args:
        stream: Where to.
        columns: Width of the one line that is written anew; None for a line each.
        tasks: Everything that is asked for.
        graded: The answers that were there before.
        clock: Seconds that only go on.
    """

    def __init__(
        self,
        stream: TextIO,
        columns: int | None,
        tasks: Sequence[Task],
        graded: Sequence[Graded],
        clock: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._columns = columns
        self._total = len(tasks)
        self._counts: dict[str | None, list[int]] = {}
        for task in tasks:
            self._counts.setdefault(task.contestant.agent, [0, 0])
        for one in graded:
            self._count(one)
        self._before = len(graded)
        self._done = len(graded)
        self._clock = clock
        self._began = clock()
        self._shown = 0

    def __enter__(self) -> Self:
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._columns is not None:
            self._clear()

    def tell(self, graded: Graded) -> None:
        """An answer was graded."""
        self._count(graded)
        self._done += 1
        if self._columns is None:
            self._stream.write(f"[{self._done}/{self._total}] {_line(graded)}\n")
        elif graded.answer is None:
            self._clear()
            self._stream.write(f"{clip(_line(graded), self._columns - 1)}\n")
        self._show()
        self._stream.flush()

    def _count(self, graded: Graded) -> None:
        count = self._counts.setdefault(graded.agent, [0, 0])
        count[0] += graded.correct
        count[1] += 1

    def _show(self) -> None:
        if self._columns is None:
            return
        right = (f"{name_of(who)} {r}/{n}" for who, (r, n) in self._counts.items())
        parts = [f"{self._done} of {self._total}", *right]
        here = self._done - self._before
        if here and self._done < self._total:
            left = (self._clock() - self._began) / here * (self._total - self._done)
            parts.append(f"about {seconds(left)} left")
        line = clip("  ".join(parts), self._columns - 1)
        self._clear()
        self._stream.write(line)
        self._stream.flush()
        self._shown = len(line)

    def _clear(self) -> None:
        if self._shown:
            self._stream.write(f"\r{' ' * self._shown}\r")
            self._shown = 0


def _line(graded: Graded) -> str:
    if graded.answer is None:
        verdict = f"no answer: {clip(one_line(graded.message or ''), _LONG)}"
    else:
        verdict = "right" if graded.correct else "wrong"
    again = f" (answer {graded.repeat})" if graded.repeat > 1 else ""
    who = name_of(graded.agent)
    return f"{one_line(graded.question)}{again}: {who}: {verdict} ({seconds(graded.duration_s)})"
