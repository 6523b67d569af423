"""Which process owns a run, and whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from massgen_bridge.messages import Frozen

__all__ = ["Owner"]

_DEAD = ("Z", "X")


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
        state, born = _look(self.pid)
        # A process that was killed keeps its number until its parent has noticed, if it ever does.
        return state in _DEAD or (bool(self.born) and born not in {"", self.born})


def _born(pid: int) -> str:
    """When a process started, in the kernel's own unit; empty where the system does not tell."""
    return _look(pid)[1]


def _look(pid: int) -> tuple[str, str]:
    """The state of a process and when it started; empty where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", ""
    fields = status.rpartition(")")[2].split()
    return fields[0], fields[19]
