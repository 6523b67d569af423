"""What every display is, and what displays share: a queue of records, read at their own pace."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from massgen_bridge.display.state import RunView
from massgen_bridge.display.summary import outcome
from massgen_bridge.display.text import clean
from massgen_bridge.display.words import answer_words
from massgen_bridge.events import RunFinished, RunStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from massgen_bridge.events import Record, RunResult

__all__ = ["BaseDisplay", "Display", "Meter", "QuietDisplay", "fitting", "write_answer"]

# For each second of one core that showing takes it rests so many: it adds 2.5 % at most.
_REST = 39


class Display(Protocol):
    """Shows runs while they happen, one after the other.

    Enter it, `finish` and leave it outside the event loop: they write to the terminal.
    """

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was. A run that was cancelled is summed up."""

    def listen(self, record: Record, /) -> None:
        """Take note of a record: a listener for the run, cheap and never blocking."""

    def give_way(self, above: TextIO, /) -> AbstractContextManager[None]:
        """Leave the terminal to a person who is asked something, as long as this is entered.

        Args:
            above: Where lines may be written meanwhile; they appear above what is being typed.
        """

    def finish(self, result: RunResult, /) -> None:
        """Show the end of a run: all around the answer on stderr, the answer itself on stdout."""

    def progress(self, title: str) -> Callable[[int, int], None]:
        """Announce work that takes long, such as a download.

        Args:
            title: What is being done.

        Returns:
            To be called with the amount that is done and the whole amount; cheap, never blocks.
        """


class Meter:
    """How far some work has come; the numbers are taken over as they are given."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.done = self.total = 0
        self.step = -1
        """The last step that a display has told of."""

    def __call__(self, done: int, total: int) -> None:
        """Take note of the progress."""
        self.done, self.total = done, total

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0


class BaseDisplay:
    """Takes records in the event loop and reads them in a thread of its own, at its own pace.

    Args:
        stdout: Gets the answer, and nothing else.
        stderr: Gets everything else.
        answer: Whether the answer is written to `stdout`.
        interval_s: Seconds between two looks at what has come, at least.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        *,
        stdout: TextIO,
        stderr: TextIO,
        answer: bool = True,
        interval_s: float = 0.1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.view = RunView()
        self._stdout, self._stderr = stdout, stderr
        self._answer = answer
        self._interval_s = interval_s
        self._clock = clock
        self._queue: deque[Record] = deque()
        self._meters: list[Meter] = []
        self._lock = threading.RLock()
        self._left = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: str | None = None
        self._aside = False

    def __enter__(self) -> Self:
        """Begin to show."""
        self._left.clear()
        self._thread = threading.Thread(target=self._watch, name="display", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was. A run that was cancelled is summed up."""
        self._left.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with suppress(OSError), self._lock:
            self._look()
            self._close()
        if kind is not None and self.view.result is not None:
            self.finish(self.view.result)

    def listen(self, record: Record, /) -> None:
        """Take note of a record."""
        # Appending to a deque needs no lock: the event loop never waits for the terminal.
        self._queue.append(record)

    def progress(self, title: str) -> Meter:
        """Announce work that takes long."""
        meter = Meter(title)
        self._meters.append(meter)
        return meter

    @contextmanager
    def give_way(self, above: TextIO, /) -> Iterator[None]:
        """Leave the terminal to a person; lines go above what is being typed."""
        own = self._stderr
        with self._lock:
            self._aside = True
            with suppress(OSError):
                self._look()
                self._close()
            self._stderr = above
        try:
            yield
        finally:
            with self._lock:
                self._stderr, self._aside = own, False

    def finish(self, result: RunResult, /) -> None:
        """Show the end of a run, once."""
        with self._lock:
            if self._told == result.run_id:
                return
            self._told = result.run_id
            with suppress(OSError):
                self._look()
                self._close()
            self._meters.clear()
            self.view.finish(result)
            with suppress(OSError):
                self._before_answer()
            if self._answer and result.answer is not None:
                self._write_answer(answer_words(result))
            with suppress(OSError):
                self._after_answer()

    # --- what a display does --------------------------------------------------------------------

    def _look(self) -> None:
        """Take in and show what has come."""
        raise NotImplementedError

    def _close(self) -> None:
        """Give the terminal back."""

    def _before_answer(self) -> None:
        """Show what led to the answer."""

    def _write_answer(self, text: str) -> None:
        write_answer(text, self._stdout)

    def _after_answer(self) -> None:
        """Show what it cost."""

    # --- for displays ---------------------------------------------------------------------------

    def _arrived(self) -> Iterator[Record]:
        while self._queue:
            record = self._queue.popleft()
            self.view.apply(record)
            yield record

    def _watch(self) -> None:
        pause = self._interval_s
        while not self._left.wait(pause):
            began = time.thread_time()
            try:
                with self._lock:
                    self._look()
            except OSError:
                return  # the terminal is gone; the run goes on without it
            pause = max(self._interval_s, _REST * (time.thread_time() - began))


class QuietDisplay:
    """Shows nothing but the answer, or why there is none."""

    def __init__(self, *, stdout: TextIO, stderr: TextIO, answer: bool = True) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._answer = answer
        self._ends: list[Record] = []

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to give back."""

    def listen(self, record: Record, /) -> None:
        """Keep what tells who took part, and how it ended."""
        if isinstance(record.event, RunStarted | RunFinished):
            self._ends.append(record)

    def progress(self, title: str) -> Meter:
        """Announce work that nobody watches."""
        return Meter(title)

    def give_way(self, above: TextIO, /) -> AbstractContextManager[None]:
        """Nothing is in the way."""
        del above
        return nullcontext()

    def finish(self, result: RunResult, /) -> None:
        """Write the answer; where there is none, say so on stderr."""
        ends, self._ends = self._ends, []
        if not self._answer:
            return
        if result.answer is not None:
            write_answer(answer_words(result), self._stdout)
            return
        text = "".join(f"{' ' * line.indent}{line.text}\n" for line in outcome(RunView(ends)))
        self._stderr.write(fitting(text, self._stderr))
        self._stderr.flush()


def write_answer(text: str, stdout: TextIO) -> None:
    """Write an answer: to a file or a pipe as it is, to a terminal without what it would act on."""
    shown = clean(text) if stdout.isatty() else text
    stdout.write(fitting(shown if shown.endswith("\n") else f"{shown}\n", stdout))
    stdout.flush()


def fitting(text: str, stream: TextIO) -> str:
    """The text with a question mark for each character that the stream's encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
