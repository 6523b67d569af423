"""The folders of a run's agents: what frameworks store, and what code that they run writes."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

__all__ = ["Workspaces"]


class Workspaces:
    """A folder for each agent of a run, made when the agent asks for it.

    Args:
        folder: Where they are, beside the run's journal; None for a run that is not kept: they are
            temporary then.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._temporary: Path | None = None
        self._around: tuple[Workspaces, str] | None = None
        self._lock = threading.Lock()

    def within(self, team_id: str) -> Workspaces:
        """Those of the agents of a team that is itself an agent here."""
        inner = Workspaces()
        inner._around = self, team_id
        return inner

    @property
    def is_kept(self) -> bool:
        """Whether they outlive the run."""
        return self._around[0].is_kept if self._around is not None else self._folder is not None

    @property
    def root(self) -> Path | None:
        """The folder that they are in, there or not; None before a temporary one is made."""
        if self._around is None and self._folder is None:
            return self._temporary
        return None if self._around is not None and self._around[0].root is None else self._base()

    def path(self, agent_id: str) -> Path:
        """An agent's folder, which is not made by this."""
        # An agent may be called as the folder above is.
        return self._base() / (agent_id if agent_id.strip(".") else f"agent{agent_id}")

    def make(self, agent_id: str) -> Path:
        """An agent's folder, which is there then."""
        folder = self.path(agent_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def close(self) -> None:
        """Delete what is temporary."""
        with self._lock:
            temporary, self._temporary = self._temporary, None
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)

    def _base(self) -> Path:
        if self._around is not None:
            around, team_id = self._around
            return around.path(team_id)
        if self._folder is not None:
            return self._folder
        with self._lock:
            if self._temporary is None:
                self._temporary = Path(tempfile.mkdtemp(prefix="massgen-bridge-run-"))
            return self._temporary
