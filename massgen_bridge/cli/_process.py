"""The beginning and the end of this process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from io import TextIOWrapper
from itertools import takewhile
from typing import TYPE_CHECKING, NoReturn

from massgen_bridge.cli._stdout import flush, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["end", "is_given", "prepare", "silence"]


def prepare(arguments: Sequence[str]) -> None:
    """Never fail for a stream that is closed, or a character that a terminal lacks.

    Show tracebacks to those who ask.
    """
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    if not is_given("--debug", arguments):
        threading.excepthook = _tell_of_thread
        sys.unraisablehook = _ignore


def _open_what_is_closed() -> None:
    """Send what a closed stream gets nowhere, and find nothing in a closed stdin.

    What is opened next would take the number of a closed stream, and be written to as if it was it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        os.set_inheritable(number, True)  # noqa: FBT003 - it takes no keywords
        mode = "w" if number else "r"
        stream = os.fdopen(number, mode, encoding="utf-8", errors="replace")
        for place in (name, f"__{name}__"):
            setattr(sys, place, stream)


def is_given(option: str, arguments: Sequence[str]) -> bool:
    """Whether an option stands among arguments, also where those cannot be parsed."""
    return option in takewhile(lambda argument: argument != "--", arguments)


def _tell_of_thread(hook: threading.ExceptHookArgs) -> None:
    name = hook.thread.name if hook.thread else "?"
    what = hook.exc_type.__name__
    sys.stderr.write(f"Error: the thread {name!r} broke: {what}: {hook.exc_value}\n")


def _ignore(hook: object) -> None:
    """What cannot be raised, such as an error in a destructor, helps nobody but developers."""


def end(code: int, *, at_once: bool = False) -> NoReturn:
    """End the process.

    The interpreter is not taken apart piece by piece: that takes a fifth of a short command's
    time, and it would wait for threads that an agent left behind in foreign code.

    Args:
        code: The exit code.
        at_once: Leave out what plugins registered to be done at exit.
    """
    if not at_once:
        atexit._run_exitfuncs()  # noqa: SLF001 - the only way to it, as old as the module
    try:
        flush()
    except OSError:
        silence()
    os._exit(code)


def silence() -> None:
    """Send what is still to be written to a pipe without a reader nowhere, instead of failing."""
    for stream in (stdout(), sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a stream without a file cannot break either
            stream.flush()
            continue
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
