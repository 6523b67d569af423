"""CrewAI's locks, beside what they protect; it leaves them in the system's temporary folder."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

import portalocker
from crewai_core.lock_store import set_lock_backend

__all__ = ["keep_locks"]


def keep_locks(storage: Path) -> None:
    """Put the locks of this process into a folder, unless the user has Redis for them; blocks.

    Args:
        storage: Where CrewAI stores.
    """
    if not os.environ.get("REDIS_URL"):
        # Here, not by the lock: a thread that goes on must not make anew what its run has deleted.
        folder = storage / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        set_lock_backend(partial(_lock, folder))


def _lock(folder: Path, name: str, *, timeout: float) -> portalocker.Lock:
    # Names are paths and the like, which are no names of files.
    file = hashlib.sha256(name.encode()).hexdigest()[:32]
    return portalocker.Lock(folder / f"{file}.lock", timeout=timeout)
