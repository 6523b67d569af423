"""Which display suits the streams and the surroundings."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Literal, TextIO, assert_never

from massgen_bridge.display.base import QuietDisplay
from massgen_bridge.display.plain import PlainDisplay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from massgen_bridge.display.base import Display

__all__ = ["DisplayMode", "choose_display", "is_live"]

DisplayMode = Literal["auto", "rich", "plain", "none"]


def choose_display(
    mode: DisplayMode,
    *,
    stdout: TextIO,
    stderr: TextIO,
    environ: Mapping[str, str],
    answer: bool = True,
    clock: Callable[[], float] = time.time,
) -> Display:
    """Choose a display.

    Args:
        mode: `rich` asks for live panels and gets them wherever stderr is a UTF-8 terminal that
            can move its cursor; `auto` does so too, but not in CI. Otherwise there are plain lines.
        stdout: Gets the answer and nothing else, so that it can be piped.
        stderr: Gets everything else.
        environ: The environment: TERM, CI and NO_COLOR count.
        answer: Whether the answer is written to `stdout`; False where something else is.
        clock: Unix time in seconds; of a run of the past, the time that it was then.
    """
    if mode == "none":
        return QuietDisplay(stdout=stdout, stderr=stderr, answer=answer)
    if not is_live(mode, stderr, environ):
        return PlainDisplay(stdout=stdout, stderr=stderr, answer=answer, clock=clock)
    from massgen_bridge.display.live import LiveDisplay  # noqa: PLC0415 - Rich, only where used

    no_color = bool(environ.get("NO_COLOR"))
    return LiveDisplay(stdout=stdout, stderr=stderr, answer=answer, no_color=no_color, clock=clock)


def is_live(mode: DisplayMode, stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether what is on a stream is written anew in its place, for a mode of display."""
    match mode:
        case "none" | "plain":
            return False
        case "rich":
            return _can_move_cursor(stream, environ)
        case "auto":
            return _can_move_cursor(stream, environ) and not _in_ci(environ)
        case _:
            assert_never(mode)


def _can_move_cursor(stream: TextIO, environ: Mapping[str, str]) -> bool:
    # Windows sets no TERM. Without UTF-8, frames and widths fall apart.
    term = environ.get("TERM", "dumb" if os.name == "posix" else "")
    utf_8 = (stream.encoding or "").lower().startswith("utf")
    return stream.isatty() and utf_8 and term.lower() not in {"dumb", "unknown"}


def _in_ci(environ: Mapping[str, str]) -> bool:
    return environ.get("CI", "").lower() not in {"", "0", "false"}
