"""What has to be settled before CrewAI is imported."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
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
    """Keep CrewAI from the network, and its files in the agent's workspace.

    A variable that the user has set stays as it is.

    Args:
        workspace: Gives the agent's own folder.
    """
    global _ours  # noqa: PLW0603 - of the process, as the variable is
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if os.environ.get(_STORAGE, _ours) == _ours:
        _ours = os.environ[_STORAGE] = str(_folder(workspace))


def _folder(workspace: Callable[[], Path]) -> Path:
    try:
        return workspace() / "crewai"
    except AgentCrashed:  # a host that gives agents no folder
        return Path(tempfile.gettempdir()) / f"massgen-bridge-crewai-{os.getpid()}"
