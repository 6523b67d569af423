"""Stands where a worker's first process would be: it has that one forked, and ends as it does.

It is copied, to where the socket is that leads to its origin. It is started for every worker, so it
imports little, and nothing of massgen_bridge.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys

__all__ = ["SOCKET", "main"]

SOCKET = "socket"
"""The name of the socket, in the folder that this is copied to."""


def main() -> None:
    """Hand everything that was given to this process on to a fork, and end when that ends."""
    program, *arguments = sys.argv
    link, lifeline = (int(number) for number in arguments[-3:-1])
    words = {"arguments": arguments, "variables": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109 - pathlib is not imported here
    content = json.dumps(words).encode()
    held = [0, 1, 2, link, lifeline]
    with socket.socket(socket.AF_UNIX) as origin:
        origin.connect(f"{program.rpartition('/')[0]}/{SOCKET}")
        socket.send_fds(origin, [len(content).to_bytes(4, "big")], held)
        origin.sendall(content)
        for number in held:
            os.close(number)
        told = origin.recv(4)
    _end(int.from_bytes(told, "big", signed=True) if told else -signal.SIGKILL)


def _end(code: int) -> None:
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), -code)
        code = 128 - code
    os._exit(code)


if __name__ == "__main__":
    main()
