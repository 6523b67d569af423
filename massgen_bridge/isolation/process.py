"""A worker's process: how it is started, what it prints, and how it ends, whatever it does."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Literal, Protocol

import anyio
from anyio import to_thread

from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.isolation.channel import Channel
from massgen_bridge.isolation.lines import Lines
from massgen_bridge.isolation.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Launch", "Listener", "WorkerProcess"]

Stream = Literal["stdout", "stderr"]

_STREAMS: Final[dict[int, Stream]] = {1: "stdout", 2: "stderr"}
_END_S: Final = 1.0
_LAST_WORDS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How workers of an agent are started.

    Attributes:
        python: The interpreter.
        paths: Its `sys.path`, absolute; or what goes before its own where it `keeps_paths`.
        keeps_paths: Whether the interpreter has packages of its own.
        kind: The kind of the agent.
        variables: Environment variables.
        held: A file that is open as long as the worker lives; it keeps its environment there.
    """

    python: str = sys.executable
    paths: tuple[str, ...] = ()
    keeps_paths: bool = False
    kind: str
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    held: IO[bytes] | None = None


class Listener(Protocol):
    """Who hears of a worker; called in the event loop."""

    def said(self, content: bytes, /) -> None:
        """A frame came."""

    def printed(self, stream: Stream, line: str, /) -> None:
        """A line was printed."""

    def gone(self, why: str | None, /) -> None:
        """It says nothing any more; with what was wrong with what it said, if anything."""


class WorkerProcess(asyncio.SubprocessProtocol):
    """A process that runs until it is closed or killed; `start` makes it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.SubprocessTransport | None = None
        self._lifeline: int | None = None
        self._lines = {number: Lines() for number in _STREAMS}
        self._said_last: deque[str] = deque(maxlen=_LAST_WORDS)
        self._exited = anyio.Event()
        self._silent = anyio.Event()
        self._private: Path | None = None
        self._held: IO[bytes] | None = None
        self.channel: Channel

    @classmethod
    async def start(cls, launch: Launch, listener: Listener) -> WorkerProcess:
        """Start a process.

        Raises:
            EnvironmentFailed: It cannot be started.
        """
        if os.name != "posix":
            raise EnvironmentFailed(
                "agents in processes of their own need a POSIX system (Linux, macOS or WSL): set"
                " `isolation: none` in the agent's backend"
            )
        process = cls(listener)
        # A process must not come into being without being kept here.
        with anyio.CancelScope(shield=True):
            await process._start(launch)
        return process

    async def _start(self, launch: Launch) -> None:
        self._held = launch.held
        around = await to_thread.run_sync(Surroundings, launch.kind)
        self._private = around.private
        try:
            with ExitStack() as stack:
                host, worker = socket.socketpair()
                stack.callback(worker.close)
                lifeline, self._lifeline = os.pipe()
                stack.callback(os.close, lifeline)
                self.channel = await Channel.open(host, self._listener.said, self._listener.gone)
                await self._spawn(launch, around, worker.fileno(), lifeline)
        except OSError as error:
            await self._clear()
            raise EnvironmentFailed(
                f"a worker cannot be started with {launch.python!r} ({error.strerror or error}):"
                " check that this Python can be run"
            ) from error
        boot = {"paths": launch.paths, "keeps_paths": launch.keeps_paths}
        self.channel.write(json.dumps(boot).encode())

    async def _spawn(
        self, launch: Launch, around: Surroundings, worker: int, lifeline: int
    ) -> None:
        await asyncio.get_running_loop().subprocess_exec(
            lambda: self,
            launch.python,
            # By path, not by name: that would import all of massgen_bridge. -P: the modules beside
            # it must not hide those of the same name.
            "-P",
            str(Path(__file__).with_name("child.py")),
            str(worker),
            str(lifeline),
            str(around.private),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**launch.variables, **around.variables},
            pass_fds=(worker, lifeline),
            # Ctrl-C in the terminal is for this process, which then ends that one.
            start_new_session=True,
        )

    async def end(self) -> None:
        """Return when the process has ended, and everything that it started with it."""
        await self._exited.wait()
        with anyio.move_on_after(_END_S):
            await self._silent.wait()
        await self._clear()

    async def kill(self) -> None:
        """End the process with all that it started, and wait for it; safe to call twice."""
        with anyio.CancelScope(shield=True):
            self._let_go()
            with anyio.move_on_after(_END_S):
                await self._exited.wait()
            if not self._exited.is_set() and self._transport is not None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._transport.get_pid(), signal.SIGKILL)
            await self.end()

    async def _clear(self) -> None:
        self._let_go()
        if self._transport is not None:
            self._transport.close()
        with suppress(AttributeError):  # it was not opened
            self.channel.close()
        if self._held is not None:
            self._held.close()
        if self._private is not None:
            private, self._private = self._private, None
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(lambda: shutil.rmtree(private, ignore_errors=True))

    def _let_go(self) -> None:
        """Let the process that watches the worker end, and everything with it."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    @property
    def last_words(self) -> str:
        """How it ended, as far as that is known, and the last lines on its stderr."""
        words = "; ".join(self._said_last)
        how = self._how_it_ended()
        return f"{how}: {words}" if words else how

    def _how_it_ended(self) -> str:
        code = None if self._transport is None else self._transport.get_returncode()
        if code is None:
            return "it cut itself off"
        if code >= 0:
            return f"exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"killed by {name}"

    def pause_output(self) -> None:
        """Read no more of what it prints: it then waits."""
        for pipe in self._pipes():
            pipe.pause_reading()

    def resume_output(self) -> None:
        """Read on."""
        for pipe in self._pipes():
            pipe.resume_reading()

    def _pipes(self) -> list[asyncio.ReadTransport]:
        if self._transport is None:
            return []
        pipes = [self._transport.get_pipe_transport(number) for number in _STREAMS]
        return [
            pipe
            for pipe in pipes
            if isinstance(pipe, asyncio.ReadTransport) and not pipe.is_closing()
        ]

    # --- asyncio's side -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.SubprocessTransport)  # noqa: S101 - it is one
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Take what was printed."""
        assert isinstance(data, bytes)  # noqa: S101 - no encoding was asked for
        for line in self._lines[fd].feed(data):
            self._print(fd, line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Take the rest."""
        del exc
        if fd in self._lines:
            for line in self._lines[fd].rest():
                self._print(fd, line)

    def _print(self, fd: int, line: str) -> None:
        if fd == 2 and line.strip():  # noqa: PLR2004 - stderr
            self._said_last.append(line.strip()[:300])
        self._listener.printed(_STREAMS[fd], line)

    def process_exited(self) -> None:
        """Note its end."""
        self._exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more will be heard of it."""
        del exc
        self._silent.set()
