"""Runs the conformance suite in a process of its own, and loses nothing should that one die.

An adapter may end the process that it runs in, or never come back. The check that it was in has
failed then, and another process goes on with those that follow.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

import anyio
from anyio import to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

from massgen_bridge.cli._output import BadUsage
from massgen_bridge.cli._suite_wire import (
    EVENTS,
    CheckEnded,
    CheckStarted,
    SuiteDone,
    SuiteReady,
    SuiteRefused,
)
from massgen_bridge.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import Process

    from massgen_bridge.cli._suite_wire import SuiteEvent, SuiteRequest

__all__ = ["SuiteRun"]

MOST_LOST: Final = 5
"""After so many processes lost, the checks that are left are not run."""

_SETUP_S = 60.0
_LONGEST_LINE = 16 * 2**20
_TAIL_BYTES = 8192


class SuiteRun:
    """One run of the suite, over as many processes as it takes.

    Args:
        request: What to run.
        timeout_s: Longest check, in seconds.
        tell: Gets each event as it comes.

    Attributes:
        ready: What the suite consists of; None before it is set up.
        ended: How each check ended, by its name, in the order of their ends.
        lost: How many processes ended before their time.
        interrupted: Whether it was given up.
    """

    def __init__(
        self, request: SuiteRequest, *, timeout_s: float, tell: Callable[[SuiteEvent], None]
    ) -> None:
        self.ready: SuiteReady | None = None
        self.ended: dict[str, CheckEnded] = {}
        self.lost = 0
        self.interrupted = False
        self._request = request
        self._timeout_s = timeout_s
        self._tell = tell
        self._current: str | None = None
        self._last: str | None = None
        self._done = False

    async def run(self) -> None:
        """Run the suite to its end.

        Raises:
            BadUsage: The request names something that is not there.
            PluginError: The adapter keeps the suite from being set up.
        """
        while True:
            self._current = self._last = None
            why, said = await self._process()
            if self._done:
                return
            self.lost += 1
            at_fault = self._current or self._last
            if at_fault is not None:
                self._note_loss(at_fault, why, said)
            elif self.ready is None:
                raise PluginError(
                    f"the suite for agent kind {self._request.kind!r} cannot be set up: {why}"
                    f"{f': {said.splitlines()[-1]}' if said else ''}"
                )
            if at_fault is None or self.lost >= MOST_LOST:
                self._leave_out(f"not run: the adapter had ended {self.lost} processes before")
                return

    def interrupt(self) -> bool:
        """Note that `run` was cancelled; whether anything was found before."""
        if self.ready is None or not self.ended:
            return False
        self.interrupted = True
        so_far = f"{len(self.ended)} of {len(self.ready.checks)}"
        self._leave_out(f"not run: interrupted after {so_far} checks")
        return True

    def _note_loss(self, name: str, why: str, said: str) -> None:
        before = self.ended.get(name)
        if before is not None:
            if before.outcome == "failed":
                return
            why = f"after it had passed, {why}"
        self._take(CheckEnded(name=name, outcome="failed", reason=why, details=said))

    def _leave_out(self, reason: str) -> None:
        assert self.ready is not None  # noqa: S101 - a check has run, so there are checks
        for check in self.ready.checks:
            if check.name not in self.ended:
                self._take(CheckEnded(name=check.name, outcome="not_run", reason=reason))

    # --- one process ---------------------------------------------------------------------------

    async def _process(self) -> tuple[str, str]:
        """Run what is not done yet; why the process ended early, and what it said last."""
        # A file, not a pipe: nobody has to read along.
        with await to_thread.run_sync(tempfile.TemporaryFile) as stderr:
            process = await _start(stderr)
            try:
                why = await self._follow(process)
            finally:
                with anyio.CancelScope(shield=True):
                    _kill(process)
                    await process.aclose()
            said = await to_thread.run_sync(_tail, stderr)
        return why or _how_it_ended(process.returncode), said

    async def _follow(self, process: Process) -> str:
        """Take events until there are none any more; why that is, where the exit code is not."""
        assert process.stdin is not None  # noqa: S101 - they are pipes
        assert process.stdout is not None  # noqa: S101 - as above
        request = self._request.model_copy(update={"done": tuple(self.ended)})
        lines = BufferedByteReceiveStream(process.stdout)
        patience = max(self._timeout_s, _SETUP_S)
        try:
            await process.stdin.send(request.model_dump_json().encode() + b"\n")
            while not self._done:
                with anyio.fail_after(patience):
                    line = await lines.receive_until(b"\n", _LONGEST_LINE)
                self._take(EVENTS.validate_json(line))
                patience = self._timeout_s  # it is set up, and checks follow
        except TimeoutError:
            return f"there was no end to it within {patience:g} s"
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
            with anyio.move_on_after(self._timeout_s):
                await process.wait()
        return ""

    def _take(self, event: SuiteEvent) -> None:
        match event:
            case SuiteRefused(usage=True):
                raise BadUsage(event.message)
            case SuiteRefused():
                said = f": {event.details.splitlines()[-1]}" if event.details else ""
                raise PluginError(f"agent kind {self._request.kind!r}: {event.message}{said}")
            case SuiteReady():
                if self.ready is not None:
                    return
                self.ready = event
            case CheckStarted():
                self._current = event.name
            case CheckEnded():
                self.ended[event.name] = event
                self._last, self._current = event.name, None
            case SuiteDone():
                self._done = True
        self._tell(event)


async def _start(stderr: IO[bytes]) -> Process:
    return await anyio.open_process(
        # -P: modules in the working directory must not hide installed ones.
        [sys.executable, "-P", "-X", "faulthandler", "-m", "massgen_bridge.testing.command"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        # Ctrl-C in the terminal is for this process, which then ends that one.
        start_new_session=True,
    )


def _kill(process: Process) -> None:
    """End the process with everything that the adapter has started in it."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "its process cut itself off"
    if code < 0:
        with suppress(ValueError):
            return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _tail(stderr: IO[bytes]) -> str:
    """The last lines that the process wrote."""
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - _TAIL_BYTES))
    return stderr.read().decode(errors="replace").strip()
