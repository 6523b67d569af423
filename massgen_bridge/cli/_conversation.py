"""Sessions on the command line: which one, what was said in it, what of a turn enters it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._output import DONE, Stopped
from massgen_bridge.display.text import clean, clip, one_line
from massgen_bridge.display.words import count, moment, saved_words, use_words
from massgen_bridge.events import Use
from massgen_bridge.messages import MediaPart
from massgen_bridge.runtime.sessions import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from massgen_bridge.messages import Message
    from massgen_bridge.runtime.sessions import SessionTurn

__all__ = ["SessionName", "entered", "note_unfinished", "told", "total", "turn_lines"]

SessionName = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="NAME",
        help="Go on with the conversation that is kept under this name, or begin it.",
    ),
]

_SHORT = 60
_NO_ANSWER = {
    "running": "a process is working on it",
    "interrupted": "its process is gone; `massgen-bridge runs resume {run_id}` completes it",
    "cancelled": "cancelled; `massgen-bridge runs resume {run_id}` completes it",
}


def note_unfinished(session: Session) -> None:
    """Say that the last question was left in the middle, if it was."""
    last = next(reversed(session.all_turns), None)
    if last is not None and last.status == "interrupted":
        typer.echo(
            f"note: the last question of the session {session.name!r}"
            f" ({clip(one_line(last.question.text), _SHORT)!r}) has no answer and is no part of the"
            f" conversation; `massgen-bridge runs resume {last.run_id}` completes it",
            err=True,
        )


def entered(session: Session | None, turn: Callable[[], int]) -> int:
    """Make a turn of a session; say so where its question does not become part of it.

    Returns:
        The exit code of the turn.

    Raises:
        Stopped: The turn was stopped.
    """
    try:
        code = turn()
    except Stopped:
        _say_left_out(session)
        raise
    if code != DONE:
        _say_left_out(session)
    return code


def told(turns: Iterable[SessionTurn]) -> str:
    """Turns as a person reads them, safe for a terminal."""
    return "\n".join(line for turn in turns for line in (*turn_lines(turn), ""))


def total(turns: Iterable[SessionTurn]) -> str:
    """What all turns have used together, in a line."""
    asked = tuple(turns)
    used = sum((turn.used for turn in asked if turn.used is not None), Use())
    return f"In all: {count(len(asked), 'question')} · {use_words(used)}"


def turn_lines(turn: SessionTurn) -> list[str]:
    """One turn: what was asked, what was answered."""
    lines = [
        f"{turn.number}. {moment(turn.asked_at)}, run {turn.run_id}",
        *_said("You", _question(turn.question)),
    ]
    if turn.answer is not None:
        saved = "\n".join(map(saved_words, turn.media))
        return [*lines, *_said("Team", f"{turn.answer}\n{saved}".strip("\n"))]
    why = _NO_ANSWER.get(turn.status, turn.status).format(run_id=turn.run_id)
    return [*lines, f"(no answer: {why})"]


def _question(question: Message) -> str:
    media = [part for part in question.parts if isinstance(part, MediaPart)]
    names = [f"[{part.type}{f' {part.name!r}' if part.name else ''}]" for part in media]
    return " ".join((question.text, *names))


def _said(who: str, text: str) -> list[str]:
    first, *rest = clean(text).rstrip().split("\n")
    indent = " " * (len(who) + 2)
    return [f"{who}: {first}", *(f"{indent}{line}".rstrip() for line in rest)]


def _say_left_out(session: Session | None) -> None:
    if session is not None:
        name = "" if session.name is None else f" {session.name!r}"
        typer.echo(
            f"note: this question has no answer and does not become part of the session{name}",
            err=True,
        )
