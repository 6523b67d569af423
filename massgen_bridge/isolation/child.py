"""The first code of a worker process; `process.py` starts it by path.

It splits in two before anything costly is imported. The one that the host knows only watches: it
adopts what the other one starts and loses, and when the host is gone, or the other one has ended,
it kills all of it, however deep. The other one becomes the worker.

It imports nothing of massgen_bridge: where that is found is only known from the host's first words,
a frame of JSON with `paths`, the worker's `sys.path`, or where it `keeps_paths`, what goes before.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 2.0


def main() -> None:
    """Watch over a worker, and be one."""
    link, lifeline = (int(number) for number in sys.argv[1:3])
    private = sys.argv[3]
    for number in (link, lifeline):
        os.set_inheritable(number, False)  # noqa: FBT003 - it takes no name
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    woken, wake = os.pipe()
    for number in (woken, wake):
        os.set_blocking(number, False)
    for event in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(event, _note)
    signal.set_wakeup_fd(wake)
    watcher = os.getpid()
    worker = os.fork()
    if worker:
        os.close(link)
        _control(_PR_SET_PDEATHSIG, signal.SIGTERM)
        _watch(worker, lifeline, woken, private)
    signal.set_wakeup_fd(-1)
    for event in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(event, signal.SIG_DFL)
    for number in (lifeline, woken, wake):
        os.close(number)
    os.setpgid(0, 0)
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != watcher:
        os._exit(0)
    _work(link)


def _work(link: int) -> None:
    """Import what serves the host, from where the host says that it is."""
    boot = _first_words(link)
    sys.path[:] = [*boot["paths"], *(sys.path if boot["keeps_paths"] else ())]
    sys.argv[:] = [sys.argv[0]]
    gc.disable()  # modules stay: looking for garbage among them again and again finds none
    from massgen_bridge.isolation.worker import serve  # noqa: PLC0415 - found from here on

    gc.freeze()
    gc.enable()
    serve(link)


def _first_words(link: int) -> dict[str, Any]:
    with socket.socket(fileno=os.dup(link)) as host:
        size = int.from_bytes(_exactly(host, 4), "big")
        words: dict[str, Any] = json.loads(_exactly(host, size))
    return words


def _exactly(host: socket.socket, size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        piece = host.recv(size - len(taken))
        if not piece:
            os._exit(0)  # the host has gone
        taken += piece
    return taken


# --- the one that watches -----------------------------------------------------------------------


_asked_to_end = False


def _note(signum: int, _frame: object) -> None:
    global _asked_to_end  # noqa: PLW0603 - a signal has no other way to say what it was
    if signum == signal.SIGTERM:
        _asked_to_end = True


def _watch(worker: int, lifeline: int, woken: int, private: str) -> NoReturn:
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.register(woken, select.POLLIN)
    status = None
    while status is None and not _asked_to_end:
        status = _reaped().get(worker)
        if status is None and any(number == lifeline for number, _ in poll.poll()):
            break
        with suppress(BlockingIOError):
            os.read(woken, 1024)
    killed = _kill_all(worker)
    _remove(private)
    _end_likewise(killed if status is None else status)


def _reaped() -> dict[int, int]:
    """How those ended that have ended by now, by their ids."""
    ended: dict[int, int] = {}
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            ended[pid] = status
    return ended


def _kill_all(worker: int) -> int:
    """Kill the worker's group, and whatever is adopted while its parents die; how it ended."""
    status = signal.SIGKILL.value
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(worker, signal.SIGKILL)
        for pid in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while True:
                pid, ended = os.waitpid(-1, os.WNOHANG)
                if pid == worker:
                    status = ended
                if not pid:
                    break
        except ChildProcessError:
            break
        time.sleep(0.001)
    return status


def _children() -> list[int]:
    """The processes that are this one's own by now; none where the system does not tell."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123 - pathlib is not imported here
            return [int(number) for number in file.read().split()]
    except OSError:
        return []


def _remove(private: str) -> None:
    import shutil  # noqa: PLC0415 - not before the end

    shutil.rmtree(private, ignore_errors=True)


def _end_likewise(status: int) -> NoReturn:
    """End in the way in which the worker did."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        import resource  # noqa: PLC0415 - not before the end

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        code = 128 - code
    os._exit(code)


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    main()
