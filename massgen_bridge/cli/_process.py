"""The beginning and the end of this process."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn

__all__ = ["end", "prepare", "silence"]


def prepare() -> None:
    """Never fail for a character that a terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


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
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        silence()
    os._exit(code)


def silence() -> None:
    """Send what is still to be written to a pipe without a reader nowhere, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a stream without a file cannot break either
            stream.flush()
            continue
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
