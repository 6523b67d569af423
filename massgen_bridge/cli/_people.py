"""Asking the person at the terminal: what is shown, and what is made of what is typed."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO, assert_never, cast

import anyio
from anyio import to_thread

from massgen_bridge.cli._people_editor import edited
from massgen_bridge.cli._people_text import order_in, question_text, whom
from massgen_bridge.cli._terminal import Above, Terminal, can_ask
from massgen_bridge.display.base import fitting
from massgen_bridge.display.text import one_line
from massgen_bridge.people import Better, Chosen, Declined, Desk, Ordered, Written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.display import Display
    from massgen_bridge.people import Asking, Question, Reply

__all__ = ["AtTerminal", "people_at_terminal"]

_MINUTE = 60
_HURRY_S = 30.0
_HURRY_SHARE = 0.25
_NEARLY_S = 0.2
_EDIT, _ABSTAIN = "/edit", "/abstain"
_ABSTAINING = {"a", "abstain", _ABSTAIN}


def people_at_terminal(display: Display) -> Asking | None:
    """What asks the person at the terminal; None where there is none.

    Args:
        display: Shows the run there; it gives way while somebody is asked.
    """
    return Desk(AtTerminal(display)) if can_ask() else None


class AtTerminal:
    """Asks at the terminal that stderr is.

    Args:
        display: What is shown there otherwise.
    """

    def __init__(self, display: Display) -> None:
        self._display = display

    async def __call__(self, question: Question, /) -> Reply:
        """Ask; a question that is cancelled is taken back, and the person is told why."""
        began = time.monotonic()
        # The real one: a display may stand in for it until it gives way.
        stream = sys.__stderr__ or sys.stderr
        terminal = Terminal(stream)
        above = cast("TextIO", Above(terminal, stream.encoding))
        with self._display.give_way(above), terminal.typing():
            # What is long may take a while on a slow terminal, and the run goes on meanwhile.
            text = fitting(question_text(question), stream)
            await to_thread.run_sync(terminal.say, text)
            with _diverted(above):
                return await _Dialogue(question, terminal, began).hold()


@contextmanager
def _diverted(above: TextIO) -> Iterator[None]:
    """What others print to stderr goes above what is being typed."""
    own, sys.stderr = sys.stderr, above
    try:
        yield
    finally:
        sys.stderr = own


@dataclass
class _Dialogue:
    """One question at a terminal, and all that is said about it."""

    question: Question
    terminal: Terminal
    began: float

    async def hold(self) -> Reply:
        try:
            match self.question.kind:
                case "answer":
                    return await self._answer()
                case "choice":
                    return await self._choice()
                case "order":
                    return await self._order()
            assert_never(self.question.kind)
        except anyio.get_cancelled_exc_class():
            self.terminal.say(self._taken_back())
            raise
        except EOFError:
            return Declined(reason="the terminal was closed")

    def _taken_back(self) -> str:
        limit_s = self.question.time_limit_s
        if limit_s is not None and self.left_s(limit_s) < _NEARLY_S:
            return f"\nThe {limit_s:g} s are over: {self.question.default}.\n"
        return "\nThis question is void: it is not needed any more.\n"

    # --- what is wanted ---------------------------------------------------------------------------

    async def _answer(self) -> Reply:
        lines: list[str] = []
        while True:
            line = await self.terminal.line(self._prompt("more" if lines else "answer"))
            command = "" if lines or line.pasted else line.text.strip()
            if command == _ABSTAIN:
                return Declined()
            if command == _EDIT:
                text = await edited(self.terminal)
            else:
                lines.append(line.text)
                if line.pasted or (line.text and not line.last):
                    continue
                text, lines = "\n".join(lines).strip("\n"), []
            if text.strip():
                return Written(text=text)
            if line.last:
                return Declined()
            self.terminal.say(f"Nothing was written; {_ABSTAIN} gives no answer.\n")

    async def _choice(self) -> Reply:
        choices = self.question.choices
        while True:
            line = await self.terminal.line(self._prompt("choice"))
            typed = line.text.strip().lower()
            if typed in _ABSTAINING or (line.last and not typed):
                return Declined()
            if typed in {"b", "better"} and self.question.may_improve:
                return Better()
            found = order_in(typed, choices)
            if len(found) == 1:
                return Chosen(label=found[0], reason=await self._reason())
            self.terminal.say(f"Type one of: {whom(self.question)}\n")

    async def _order(self) -> Reply:
        choices = self.question.choices
        while True:
            line = await self.terminal.line(self._prompt("order"))
            typed = line.text.strip().lower()
            if typed in _ABSTAINING or (line.last and not typed):
                return Declined()
            found = order_in(typed, choices)
            if sorted(found) == sorted(choices):
                return Ordered(labels=found, reason=await self._reason())
            self.terminal.say(
                f"Type all numbers, each once, the best first; {len(choices)} in all.\n"
            )

    async def _reason(self) -> str:
        line = await self.terminal.line(self._prompt("why (Enter: no reason)"))
        return one_line(line.text)

    # --- the prompt -------------------------------------------------------------------------------

    def left_s(self, limit_s: float) -> float:
        return self.began + limit_s - time.monotonic()

    def _prompt(self, what: str) -> _Prompt:
        return _Prompt(self, one_line(self.question.agent_id), what)


class _Prompt:
    """The words before what is typed, with the time that is left."""

    def __init__(self, dialogue: _Dialogue, who: str, what: str) -> None:
        self._dialogue = dialogue
        self._words = f"{who}, {what}"

    def __call__(self) -> str:
        limit_s = self._dialogue.question.time_limit_s
        if limit_s is None:
            return f"{self._words} > "
        left = max(0, round(self._dialogue.left_s(limit_s)))
        hurry = "!" if left <= min(_HURRY_S, limit_s * _HURRY_SHARE) else ""
        return f"{self._words} ({left // _MINUTE}:{left % _MINUTE:02}{hurry}) > "
