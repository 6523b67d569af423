"""The local model's server: a child process that speaks the OpenAI protocols on loopback."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

import anyio
from anyio import to_thread
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import BaseModel, ConfigDict, Field

from massgen_bridge.errors import LocalModelError
from massgen_bridge.models.local.weights import check_weights, own_weights, weights_path

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import Process

__all__ = [
    "LOCAL_MODEL",
    "NOTICE",
    "TRAITS",
    "LocalServer",
    "LocalServers",
    "LocalSettings",
    "LocalStatus",
    "status",
]

LOCAL_MODEL: Final = "local"
"""The model's name in requests."""

NOTICE: Final = (
    "The local model has 135 million parameters: it shows how a run works, not how good an "
    "answer can be; a stronger model is one line of YAML away."
)

TRAITS: Final[dict[str, Any]] = {
    "tools": True,
    "structured": True,
    "inputs": frozenset(),
    "context_window": 8192,
}
"""What the built-in model can do through the gateway. A slot may offer less of the window."""

_MAX_LINE = 65_536
_TAIL_BYTES = 4096
_TAIL_LINES = 4
_PASSED_ON = (
    "APPDATA",
    "CUDA_VISIBLE_DEVICES",
    "DYLD_LIBRARY_PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "USERPROFILE",
)


class LocalSettings(BaseModel):
    """How the local model is served.

    Attributes:
        slots: Requests that run at the same time; more wait for their turn.
        context_per_slot: Tokens that one request may take, prompt and answer together.
        default_max_tokens: Tokens of an answer where a request sets no limit of its own.
        threads: Threads that compute; None takes all cores but one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slots: int = Field(default=4, ge=1, le=64)
    context_per_slot: int = Field(default=4096, ge=256)
    default_max_tokens: int = Field(default=512, ge=1)
    threads: int | None = Field(default=None, ge=1)

    @classmethod
    def for_agents(cls, count: int) -> Self:
        """Settings for `count` agents: a slot for each, but not more than four."""
        return cls(slots=min(max(count, 1), 4))


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalStatus:
    """What of the local model is there.

    Attributes:
        runtime: Version of xllamacpp, None if it is not installed.
        weights: Where the weights are, or would be.
        own: The weights are the user's own (`MASSGEN_BRIDGE_LOCAL_GGUF`).
        size: Bytes of the weights, None if they are not there.
        problem: Why the weights cannot be used, None if they can: ours have the right SHA-256,
            the user's own are a GGUF file.
    """

    runtime: str | None
    weights: Path
    own: bool
    size: int | None
    problem: str | None

    @property
    def ready(self) -> bool:
        """Whether a server could start."""
        return self.runtime is not None and self.problem is None


def status() -> LocalStatus:
    """Look at what is installed; blocks for a tenth of a second or so to hash the weights."""
    try:
        runtime = version("xllamacpp")
    except PackageNotFoundError:
        runtime = None
    path = weights_path()
    problem = None
    try:
        check_weights()
    except LocalModelError as error:
        problem = str(error)
    return LocalStatus(
        runtime=runtime,
        weights=path,
        own=own_weights() is not None,
        size=path.stat().st_size if path.is_file() else None,
        problem=problem,
    )


@dataclass(frozen=True, slots=True)
class _Running:
    process: Process
    stderr: IO[bytes]


class LocalServer:
    """One server process, from `start` to `aclose`; also an async context manager.

    It cannot outlive this process, however that ends.

    Args:
        settings: How to serve.
        start_timeout_s: Seconds that loading the model may take.
    """

    def __init__(
        self, settings: LocalSettings | None = None, *, start_timeout_s: float = 120.0
    ) -> None:
        self.api_key: Final = secrets.token_urlsafe(24)
        self.model: Final = LOCAL_MODEL
        self._settings = settings or LocalSettings()
        self._start_timeout_s = start_timeout_s
        self._running: _Running | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """Base URL of the OpenAI protocols, such as `http://127.0.0.1:40123/v1`.

        Raises:
            LocalModelError: The server is not started, or is closed.
        """
        if self._url is None:
            raise LocalModelError("the local model's server has no address: it is not started")
        return self._url

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._running.process.pid if self.alive and self._running else None

    @property
    def alive(self) -> bool:
        """Whether the process runs; it may end by itself, for want of memory for example."""
        return self._running is not None and self._running.process.returncode is None

    async def start(self) -> None:
        """Start the process and wait until the model is loaded.

        Raises:
            LocalModelError: The runtime or the weights are missing, or the process failed; the
                text says what to do. No process is left, neither then nor after cancellation.
        """
        if self._running is not None:
            raise LocalModelError("the local model's server is started already")
        weights = await to_thread.run_sync(_requirements)
        try:
            # A process must not come into being without being kept here.
            with anyio.CancelScope(shield=True):
                self._running = running = await _spawn()
            self._url = await self._load(running, weights)
        except BaseException:  # cancelled, too: no server may run that was not started
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Kill the process and wait for its end; safe to call twice."""
        running, self._running, self._url = self._running, None, None
        if running is None:
            return
        with anyio.CancelScope(shield=True):
            if running.process.returncode is None:
                running.process.kill()
            await running.process.aclose()
            await to_thread.run_sync(running.stderr.close)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _load(self, running: _Running, weights: Path) -> str:
        process = running.process
        if process.stdin is None or process.stdout is None:
            raise LocalModelError("the local model's server has no pipes")
        settings = self._settings.model_dump() | {
            "weights": str(weights),
            "model": self.model,
            "api_key": self.api_key,
            "threads": self._settings.threads or max(1, _cores() - 1),
        }
        try:
            with anyio.fail_after(self._start_timeout_s):
                await process.stdin.send(json.dumps(settings).encode() + b"\n")
                line = await BufferedByteReceiveStream(process.stdout).receive_until(
                    b"\n", _MAX_LINE
                )
        except TimeoutError:
            raise LocalModelError(
                f"the local model was not loaded within {self._start_timeout_s:g} s: "
                "try again when the machine is less busy, or use a smaller model"
            ) from None
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
            code = await process.wait()
            said = await to_thread.run_sync(_tail, running.stderr)
            raise LocalModelError(
                f"the local model's server ended with code {code} while it loaded '{weights}': "
                f"{said or 'it said nothing'}"
            ) from None
        return f"{json.loads(line)['url']}/v1"


class LocalServers:
    """The one server that all agents of a run share, started when it is first needed.

    It is an async context manager; at its end the server is gone.

    Args:
        settings: How to serve.

    Attributes:
        is_closed: Whether it starts no server any more.
    """

    def __init__(self, settings: LocalSettings | None = None) -> None:
        self._settings = settings or LocalSettings()
        self._lock = anyio.Lock()
        self._server: LocalServer | None = None
        self._failure: str | None = None
        self.is_closed = False

    async def get(self) -> LocalServer:
        """The running server; the first caller starts it, the others wait for that one start.

        A server that has ended by itself is replaced, so ask before each use and do not keep
        the address. A start that failed is not tried again.

        Raises:
            LocalModelError: It cannot be started, or this is closed.
        """
        async with self._lock:
            if self._failure is not None:
                raise LocalModelError(self._failure)
            if self._server is None or not self._server.alive:
                await self._replace()
            if self._server is None:
                raise LocalModelError("the local model's server is closed")
            return self._server

    async def aclose(self) -> None:
        """Kill the server, if one runs; `get` fails from now on."""
        self.is_closed = True
        with anyio.CancelScope(shield=True):
            async with self._lock:
                self._failure = "the local model's server is closed: its run is over"
                if self._server is not None:
                    await self._server.aclose()
                    self._server = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _replace(self) -> None:
        if self._server is not None:
            await self._server.aclose()
        server = LocalServer(self._settings)
        try:
            await server.start()
        except LocalModelError as error:
            self._failure = str(error)
            raise
        self._server = server


def _requirements() -> Path:
    if find_spec("xllamacpp") is None:
        raise LocalModelError(
            "the local model needs the package xllamacpp: run `pip install 'massgen-bridge[local]'`"
        )
    return check_weights()


async def _spawn() -> _Running:
    # A file, not a pipe: nobody has to read along, and it vanishes when it is closed.
    with ExitStack() as stack:
        stderr = stack.enter_context(await to_thread.run_sync(tempfile.TemporaryFile))
        process = await _open_child(stderr)
        stack.pop_all()
    return _Running(process, stderr)


async def _open_child(stderr: IO[bytes]) -> Process:
    try:
        return await anyio.open_process(
            # By path, not by module name: that would import all of massgen_bridge. -P: the
            # modules beside it must not hide those of the same name.
            [sys.executable, "-P", str(Path(__file__).with_name("child.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_child_environment(),
            # Ctrl-C in the terminal is for the parent, which then ends this process.
            start_new_session=True,
        )
    except OSError as error:
        raise LocalModelError(
            f"the local model's server cannot be started with {sys.executable!r} "
            f"({error.strerror or error}): check that this Python can be run"
        ) from error


def _child_environment() -> dict[str, str]:
    """No provider key goes to the child."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # llama.cpp's threads otherwise spin while they wait, which halves the speed on small
    # machines; the OpenMP library reads this when it is loaded.
    return {**environment, "OMP_WAIT_POLICY": "passive"}


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tail(stderr: IO[bytes]) -> str:
    """The last lines that the process wrote, as one line."""
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - _TAIL_BYTES))
    lines = [line.strip() for line in stderr.read().decode(errors="replace").splitlines()]
    return "; ".join([line for line in lines if line][-_TAIL_LINES:])
