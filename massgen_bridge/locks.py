"""Locks between processes: the system frees one when its holder ends, however it ends."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["try_lock"]


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file for this process alone, until it is closed; never waits.

    Args:
        descriptor: The open file.
        shared: Let others share it too, so that only those who want it alone are kept out. Windows
            has no such locks, and says yes: there, a file that is in use cannot be deleted anyway.

    Returns:
        Whether it is ours; False where another process, or another opening of it, has it.
    """
    try:
        if sys.platform == "win32":
            if shared:
                return True
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
