"""The live display: a panel an agent, redrawn in place while they work."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.rule import Rule
from rich.segment import ControlType, Segment
from rich.text import Text

from massgen_bridge.display.base import BaseDisplay
from massgen_bridge.display.frame import Frame
from massgen_bridge.display.layout import wrapped
from massgen_bridge.display.summary import outcome, totals
from massgen_bridge.display.text import clean, one_line
from massgen_bridge.display.words import listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from massgen_bridge.display.summary import Line, Tone

__all__ = ["LiveDisplay", "styled"]

_TONES: dict[Tone, str] = {
    "plain": "",
    "head": "bold",
    "good": "bold green",
    "bad": "red",
    "dim": "dim",
}


class LiveDisplay(BaseDisplay):
    """Draws on stderr, which has to be a terminal; redraws at most ten times a second.

    While it draws, what others print to stdout (if that is a terminal too) and stderr appears
    above the panels. At the end the panels give way to a summary that stays.

    Args:
        stdout: Gets the answer.
        stderr: The terminal.
        answer: Whether the answer is written to `stdout`.
        no_color: Whether to do without colours.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        *,
        stdout: TextIO,
        stderr: TextIO,
        answer: bool = True,
        no_color: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(stdout=stdout, stderr=stderr, answer=answer, clock=clock)
        self._console = Console(
            file=stderr, force_terminal=True, no_color=no_color, highlight=False, emoji=False
        )
        self._live: Live | None = None
        self._drawn: tuple[object, ...] = ()
        self._size = self._console.size

    def _look(self) -> None:
        for _ in self._arrived():
            pass
        for meter in [meter for meter in self._meters if meter.total and meter.share >= 1]:
            self._meters.remove(meter)
            self._console.print(Text(f"{one_line(meter.title)}: done", "dim"))
        busy = bool(self._meters) or (bool(self.view.agents) and self.view.result is None)
        if self._live is None and busy and not self._left.is_set() and not self._aside:
            self._open()
        if self._live is not None:
            self._draw(self._live)

    def _open(self) -> None:
        self._live = Live(
            get_renderable=self._frame,
            console=self._console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
            # Which may be another than the one for the answer.
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._size = self._console.size
        self._live.start()

    def _frame(self) -> Frame:
        return Frame(view=self.view, now=self._clock(), meters=tuple(self._meters))

    def _draw(self, live: Live) -> None:
        size = self._console.size
        meters = tuple(meter.done for meter in self._meters)
        state = (self.view.version, size, int(self._clock()), meters)
        if state == self._drawn:
            return
        with _one_stroke(self._console):
            if size != self._size:
                # The terminal has wrapped what was drawn: nobody knows where it stands now.
                self._console.clear()
            live.refresh()
        self._size, self._drawn = size, state

    def _close(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            with _one_stroke(self._console):
                live.stop()

    def _before_answer(self) -> None:
        for line in outcome(self.view):
            self._console.print(styled(line, self._console))

    def _write_answer(self, text: str) -> None:
        if not self._stdout.isatty():
            super()._write_answer(text)
            return
        winning = self.view.winning
        authors = listing(map(one_line, winning.authors)) if winning else "the run"
        self._console.print(Rule(Text(f"answer of {authors}"), style="green"))
        lines = wrapped(clean(text).rstrip("\n"), self._console, self._console.width)
        super()._write_answer("\n".join(lines))
        self._console.print(Rule(style="green"))

    def _after_answer(self) -> None:
        self._console.print(styled(totals(self.view), self._console))


def styled(line: Line, console: Console) -> Text:
    """A line of a summary for Rich; where it is wrapped, it keeps its indent."""
    indent = " " * line.indent
    parts = wrapped(line.text, console, max(console.width - line.indent, 1))
    return Text("\n".join(f"{indent}{part}" for part in parts), _TONES[line.tone])


@contextmanager
def _one_stroke(console: Console) -> Iterator[None]:
    """Everything printed inside appears at once, and no line that is too long breaks the picture.

    Terminals disagree on the width of some characters; without automatic wrapping, that costs
    the end of a line and not the place of all that follow. Every write leaves it switched on.
    """
    with console:
        console.control(_private_modes("\x1b[?2026h\x1b[?7l"))
        try:
            yield
        finally:
            console.control(_private_modes("\x1b[?7h\x1b[?2026l"))


def _private_modes(code: str) -> Control:
    control = Control()
    # Rich knows no private modes; a control segment is what it passes through unmeasured.
    control.segment = Segment(code, None, [(ControlType.CARRIAGE_RETURN,)])
    return control
