"""Stdout belongs to the result: foreign code that prints does so on stderr.

A plugin or a framework may print while it is imported, in a turn, in C, or in a process of its own.
What commands print goes to `stdout()`, which none of them knows of.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["columns", "divert", "flush", "is_full", "restore", "stdout", "unwritten"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Diverted:
    """What stdout was: `before` as an object, `own` as what this command writes to now."""

    def __init__(self, before: TextIO, own: TextIO) -> None:
        self.before = before
        self.own = own

    @property
    def has_descriptor(self) -> bool:
        """Whether the file descriptor was diverted, not the object alone."""
        return self.own is not self.before


_diverted: list[_Diverted] = []


def stdout() -> TextIO:
    """Where a command writes its result."""
    return _diverted[0].own if _diverted else sys.stdout


def columns() -> int | None:
    """The width of the terminal that `stdout()` is; None where it is no terminal."""
    if not stdout().isatty():
        return None
    import shutil  # noqa: PLC0415 - seldom needed, and it brings much along

    size = (80, 24)
    with suppress(OSError, ValueError):
        size = os.get_terminal_size(stdout().fileno())
    return shutil.get_terminal_size(fallback=size).columns


def divert() -> None:
    """From here on, what others print to stdout goes to stderr."""
    before = sys.stdout
    if _diverted or before is None:
        return
    if not isinstance(before, TextIOWrapper) or not _is_descriptor(before):
        _diverted.append(_Diverted(before, before))
        sys.stdout = sys.stderr
        return
    before.flush()
    # Opened first: where stderr is closed, what is opened next may take its number.
    others = 2 if sys.stderr is not None else os.open(os.devnull, os.O_WRONLY)
    # What dup returns is not inherited by processes that foreign code starts.
    own = os.fdopen(os.dup(1), "w", encoding=before.encoding, errors=before.errors)
    _diverted.append(_Diverted(before, own))
    os.dup2(others, 1)
    # Told when it happens, and in its place among what is on stderr.
    before.reconfigure(line_buffering=True)


def restore() -> None:
    """Undo `divert`."""
    if not _diverted:
        return
    was = _diverted.pop()
    sys.stdout = was.before
    if was.has_descriptor and isinstance(was.before, TextIOWrapper):
        with suppress(OSError):
            was.before.flush()
        os.dup2(was.own.fileno(), 1)
        was.before.reconfigure(line_buffering=was.before.isatty())
        was.own.close()


def flush() -> None:
    """Write what is still to be written to stdout and stderr.

    Raises:
        OSError: Nobody reads it.
    """
    for stream in (stdout(), sys.stdout, sys.stderr):
        stream.flush()


def is_full(error: OSError) -> bool:
    """Whether a stream, and not a file with a name, cannot be written."""
    return error.filename is None and error.errno in _FULL


def unwritten(error: OSError) -> str:
    """What to say where stdout cannot be written."""
    return f"stdout cannot be written ({error.strerror}): send it where there is room"


def _is_descriptor(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 1
    except (OSError, ValueError):  # a stream that is no file
        return False
