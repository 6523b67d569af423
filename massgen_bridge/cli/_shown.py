"""How a command shows what it does: on stderr, and the answer on stdout."""

from __future__ import annotations

import os
import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._stdout import stdout
from massgen_bridge.display import choose_display

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_bridge.display import Display, DisplayMode

__all__ = ["DisplayChoice", "ShownAs", "new_display"]


class DisplayChoice(StrEnum):
    """How a run is shown on stderr."""

    AUTO = "auto"
    RICH = "rich"
    PLAIN = "plain"
    NONE = "none"


ShownAs = Annotated[
    DisplayChoice | None,
    typer.Option("--display", help="How the run is shown on stderr. Default: `ui.display`."),
]


def new_display(
    mode: DisplayMode, *, answer: bool = True, clock: Callable[[], float] = time.time
) -> Display:
    """The display of this process.

    Args:
        mode: What is asked for; the streams and the environment may allow less.
        answer: Whether the answer is written to stdout; False where something else is.
        clock: Unix time in seconds; of a run of the past, the time that it was then.
    """
    return choose_display(
        mode,
        stdout=stdout(),
        stderr=sys.stderr,
        environ=os.environ,
        answer=answer,
        clock=clock,
    )
