"""Locks between processes: the system frees one when its holder ends, however it ends."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["try_lock"]


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process alone, until it is closed; never waits.

    Returns:
        Whether it is ours; False where another process, or another opening of it, has it.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
