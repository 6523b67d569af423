"""What has to be settled before CrewAI is imported."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from massgen_bridge import AgentCrashed

__all__ = ["prepare"]

# CrewAI reports home, traces and looks for newer releases unless it is told not to.
_QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
}
_STORAGE = "CREWAI_STORAGE_DIR"
_ours: str | None = None


def prepare(workspace: Callable[[], Path]) -> None:
    """Keep CrewAI from the network, and its files and locks in the agent's workspace.

    A variable that the user has set stays as it is.

    Args:
        workspace: Gives the agent's own folder.
    """
    global _ours  # noqa: PLW0603 - of the process, as the variable is
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if os.environ.get(_STORAGE, _ours) == _ours:
        storage = _folder(workspace)
        _ours = os.environ[_STORAGE] = str(storage)
        # What CrewAI reads when it is imported has to be settled by now.
        from massgen_bridge_crewai._locks import keep_locks  # noqa: PLC0415 - see above

        keep_locks(storage)


def _folder(workspace: Callable[[], Path]) -> Path:
    try:
        return workspace() / "crewai"
    except AgentCrashed:  # a host that gives agents no folder
        return _own_folder()


@cache
def _own_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="massgen-bridge-crewai-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "crewai"
