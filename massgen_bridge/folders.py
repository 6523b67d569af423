"""Where massgen-bridge keeps what it can make or fetch again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["CACHE_VARIABLE", "cache_advice", "cache_path"]

CACHE_VARIABLE = "MASSGEN_BRIDGE_CACHE"
"""The environment variable that moves the cache."""


def cache_path() -> Path:
    """This user's folder for what can be made again; it need not be there yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return user_cache_path("massgen-bridge", appauthor=False)


def cache_advice(error: OSError) -> str:
    """What to do where the file system refuses something in the cache."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "free some disk space"
    return f"make the folder usable, or set {CACHE_VARIABLE} to one that is"
