"""Processes that an agent under test has started, however deep below this one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process", "processes_below"]

_STARTED = 19  # the field of its start among those behind the name in /proc/ID/stat
_PARENT = 1
_STATE = 0


@dataclass(frozen=True, order=True)
class Process:
    """A process, told from later ones with its number.

    Attributes:
        number: Its id.
        started: When it was started, in clock ticks since the system was.
    """

    number: int
    started: int

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended; one that nobody has waited for yet has."""
        fields = _fields(self.number)
        return fields is not None and fields[_STATE] != "Z" and self.started == _start(fields)


def processes_below() -> frozenset[Process]:
    """The children of this process, and theirs; none on systems that do not list processes."""
    children: dict[int, list[Process]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _fields(int(folder.name))
        if fields is not None and fields[_STATE] != "Z":
            process = Process(number=int(folder.name), started=_start(fields))
            children.setdefault(int(fields[_PARENT]), []).append(process)
    found: set[Process] = set()
    level = children.get(os.getpid(), [])
    while level:
        found.update(level)
        level = [below for one in level for below in children.get(one.number, ())]
    return frozenset(found)


def _start(fields: list[str]) -> int:
    return int(fields[_STARTED])


def _fields(number: int) -> list[str] | None:
    """What the system tells of a process behind its name; None where there is none."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
