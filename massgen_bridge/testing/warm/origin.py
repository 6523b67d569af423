"""A process that imports an adapter once, and is forked for each of its workers.

It has one thread and no event loop, so that a fork finds everything as it is here. `front.py` asks
for the forks. It ends with its stdin, and takes the folder of its socket along.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

__all__ = ["READY", "THREADED", "main"]

READY: Final = b"ready\n"
"""Said on stdout when everything is imported."""

THREADED: Final = b"threaded\n"
"""Said in place of that where the import has started threads, and then it ends."""

_SIZE: Final = 4  # bytes of a number
_DESCRIPTORS: Final = 5
_BACKLOG: Final = 100
_MUCH: Final = 1 << 16


class _Wish(NamedTuple):
    """What a fork is to become: the process that would have been started with all this."""

    arguments: list[str]
    variables: dict[str, str]
    folder: str
    descriptors: list[int]


def main() -> None:
    """Serve forks to the end of stdin; what comes back from here is a fork."""
    address, module, *paths = sys.argv[1:]
    sys.path[:] = [*paths, *(path for path in sys.path if path not in paths)]
    told = os.dup(1)
    os.dup2(2, 1)  # an import may print
    _import(module)
    is_threaded = len(list(Path("/proc/self/task").iterdir())) > 1
    origin = _Origin(address)
    os.write(told, THREADED if is_threaded else READY)
    os.close(told)
    gc.collect()
    gc.freeze()
    wish = None if is_threaded else origin.serve()
    if wish is not None:
        _become(wish)
    else:
        shutil.rmtree(Path(address).parent, ignore_errors=True)


def _import(module: str) -> None:
    _imported("massgen_bridge.isolation.worker")
    adapter = _imported(module)
    for found in pkgutil.walk_packages(getattr(adapter, "__path__", ()), f"{module}."):
        with suppress(Exception):  # it fails again in the worker that needs it
            _imported(found.name)


def _imported(name: str) -> ModuleType:
    return importlib.import_module(name)  # noqa: TID251 - the plugins' own place is the host


class _Origin:
    """Forks, and tells each front how its fork has ended."""

    def __init__(self, address: str) -> None:
        self._fronts: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(_BACKLOG)
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.settimeout(0)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno())
        self._selector.register(0, selectors.EVENT_READ)
        for one in (self._listener, self._woken):
            self._selector.register(one, selectors.EVENT_READ)

    def serve(self) -> _Wish | None:
        """Serve to the end; in a fork, come back with what it is to become."""
        while True:
            for key, _ in self._selector.select():
                match key.fileobj:
                    case 0:
                        return None
                    case self._listener:
                        wish = self._fork(self._listener.accept()[0])
                        if wish is not None:
                            return wish
                    case self._woken:
                        self._woken.recv(_MUCH)
                    case _:  # the host has killed the front
                        os.kill(key.data, signal.SIGTERM)
                        self._let_go(key.data)
            self._reap()

    def _fork(self, front: socket.socket) -> _Wish | None:
        wish = _wish(front)
        if wish is None:  # it has gone already
            front.close()
            return None
        pid = os.fork()
        if not pid:
            front.close()
            self._close()
            return wish
        for number in wish.descriptors:
            os.close(number)
        self._fronts[pid] = front
        self._selector.register(front, selectors.EVENT_READ, pid)
        return None

    def _reap(self) -> None:
        """Tell the fronts of those that have ended."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid in self._fronts:
                    code = os.waitstatus_to_exitcode(status)
                    with suppress(OSError):  # it has gone, too
                        self._fronts[pid].send(code.to_bytes(_SIZE, "big", signed=True))
                    self._let_go(pid)

    def _let_go(self, pid: int) -> None:
        front = self._fronts.pop(pid)
        self._selector.unregister(front)
        front.close()

    def _close(self) -> None:
        """Hold on to nothing, in a fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for one in (self._listener, self._woken, self._wake, *self._fronts.values()):
            one.close()


def _wish(front: socket.socket) -> _Wish | None:
    size, descriptors, _, _ = socket.recv_fds(front, _SIZE, _DESCRIPTORS)
    content = b""
    while size and len(content) < int.from_bytes(size, "big"):
        piece = front.recv(_MUCH)
        if not piece:
            size = b""
        content += piece
    return _Wish(**json.loads(content), descriptors=descriptors) if size else None


def _become(wish: _Wish) -> None:
    """Be the process that would have been started."""
    os.setsid()
    *standard, link, lifeline = wish.descriptors
    for number, given in enumerate(standard):
        os.dup2(given, number)
        os.close(given)
    os.chdir(wish.folder)
    os.environ.clear()
    os.environ.update(wish.variables)
    tempfile.tempdir = None  # an import may have asked for it
    *_, child, _, _, private = wish.arguments
    sys.argv[:] = [child, str(link), str(lifeline), private]

    from massgen_bridge.isolation.child import main as begin  # noqa: PLC0415 - found from here on

    begin()


if __name__ == "__main__":
    main()
