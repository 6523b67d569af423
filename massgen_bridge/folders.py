"""Where massgen-bridge keeps what it can make or fetch again."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["CACHE_VARIABLE", "cache_path"]

CACHE_VARIABLE = "MASSGEN_BRIDGE_CACHE"
"""The environment variable that moves the cache."""


def cache_path() -> Path:
    """This user's folder for what can be made again; it need not be there yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return user_cache_path("massgen-bridge", appauthor=False)
