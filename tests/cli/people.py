"""A person at a terminal: the real command on a pseudo-terminal, which is typed at."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cli.conftest import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.conftest import Shell

_PATIENCE_S = 25.0
_LOCAL_MODES = 3
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_BEGUN = re.compile(r"(?:\r *|\x1b[^A-Za-z]*|\ufffd+)\Z")
_DRAWN = re.compile(r"\r +\r")


class Seat:
    """Where the person sits; `text` is all that came to the screen, without its escape sequences.

    Attributes:
        process: The command.
    """

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int) -> None:
        self.process = process
        self._master, self._slave = master, slave
        self._raw = b""
        self._seen = 0

    @property
    def raw(self) -> str:
        return self._raw.decode(errors="replace")

    @property
    def text(self) -> str:
        whole = _BEGUN.sub("", self.raw)
        return _DRAWN.sub("\n", _SEQUENCES.sub("", whole)).replace("\r\n", "\n")

    def wait_for(self, wanted: str) -> str:
        """Read until this has come, after what was waited for before; all text between."""
        deadline = time.monotonic() + _PATIENCE_S
        while (found := self.text.find(wanted, self._seen)) < 0:
            assert time.monotonic() < deadline, f"{wanted!r} never came: {self.text[-1500:]}"
            self._read(0.1)
        before, self._seen = self._seen, found + len(wanted)
        return self.text[before : self._seen]

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Read on until the command has ended; its exit code."""
        deadline = time.monotonic() + _PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on: {self.text[-1500:]}"
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.process.returncode

    @property
    def echoes(self) -> bool:
        """Whether the terminal is as a shell leaves it: what is typed is shown, line by line."""
        wanted = termios.ECHO | termios.ICANON
        modes: int = termios.tcgetattr(self._slave)[_LOCAL_MODES]
        return modes & wanted == wanted

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return False
        with suppress(OSError):
            self._raw += os.read(self._master, 65_536)
        return True


@contextmanager
def seated(shell: Shell, config: Path, *arguments: str, **env: str) -> Iterator[Seat]:
    """Somebody sits at the terminal of `massgen-bridge run CONFIG`; stdout goes there, too."""
    master, slave = pty.openpty()
    command = [str(SCRIPT), "run", str(config), "Which?", *arguments]
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=shell.home,
        env={**shell.env, **env},
        start_new_session=True,
    )
    try:
        yield Seat(process, master, slave)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(slave)
        os.close(master)
