"""Which process owns a run, and whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from massgen_bridge.messages import Frozen

__all__ = ["Owner"]


class Owner(Frozen):
    """A process of a machine; `born` tells it from a later one with the same number, if known."""

    host: str
    pid: int
    born: str = ""

    @classmethod
    def this_process(cls) -> Owner:
        """The process that asks."""
        pid = os.getpid()
        return cls(host=socket.gethostname(), pid=pid, born=_born(pid))

    @property
    def is_gone(self) -> bool:
        """Whether the process is known to have ended; that of another machine never is."""
        if self.host != socket.gethostname() or os.name != "posix":
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # it lives and is another user's
        return bool(self.born) and _born(self.pid) not in {"", self.born}


def _born(pid: int) -> str:
    """When a process started, in the kernel's own unit; empty where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return status.rpartition(")")[2].split()[19]
