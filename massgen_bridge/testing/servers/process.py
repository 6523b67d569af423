"""The loopback model server in a process of its own, so that a benchmark does not pay for it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from urllib.request import urlopen

from pydantic import BaseModel, ConfigDict

from massgen_bridge.testing.servers.protocol import base_url
from massgen_bridge.testing.servers.server import STATS_PATH

if TYPE_CHECKING:
    from types import TracebackType

    from massgen_bridge.connection import Protocols

__all__ = ["ModelServerProcess", "ServerStats"]

_TIMEOUT_S = 20.0


class ServerStats(BaseModel):
    """The figures of a server.

    Attributes:
        calls: requests for a model's answer so far.
        closed_early: responses that the client did not wait for.
        connections_opened: connections accepted so far.
        most_running_calls: the most that ever ran at one time.
        open_connections: connections open now, the one that asks included.
        running_calls: requests whose response is not complete, the one that asks not included.
        cpu_s: CPU seconds of the server's process.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int
    closed_early: int
    connections_opened: int
    most_running_calls: int
    open_connections: int
    running_calls: int
    cpu_s: float


class ModelServerProcess:
    """Runs `python -m massgen_bridge.testing.servers` for the time of a `with` block.

    Models are named by scenario there: `echo`, `tokens-100`, `http-429` and so on. The process
    ends with its parent, however that ends.

    Args:
        latency_s: seconds before the first byte of every reply.
        together: no reply begins before so many calls have run at one time.
        tokens_per_second: the pace of streams; None: no pauses.
    """

    def __init__(
        self,
        *,
        latency_s: float = 0.0,
        together: int = 1,
        tokens_per_second: float | None = None,
    ) -> None:
        self._arguments = ["--latency", str(latency_s), "--together", str(together)]
        self._arguments.append("--while-stdin-is-open")
        if tokens_per_second is not None:
            self._arguments += ["--tokens-per-second", str(tokens_per_second)]
        self._process: subprocess.Popen[str] | None = None
        self._url = ""

    def __enter__(self) -> Self:
        process = subprocess.Popen(  # noqa: S603 our own module by the running interpreter
            [sys.executable, "-m", "massgen_bridge.testing.servers", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._process = process
        assert process.stdout is not None  # noqa: S101 narrows: it is a pipe
        self._url = process.stdout.readline().strip()
        if not self._url:
            self.__exit__(None, None, None)
            raise RuntimeError(
                f"the model server's process ended with {process.returncode} before it served; "
                "what it wrote to stderr says why"
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        with self._process as process:
            try:
                # Closes its stdin, which it takes as the end.
                process.communicate(timeout=_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise

    @property
    def url(self) -> str:
        """The base URL for OpenAI clients, `/v1` included."""
        return self._url

    def base_url(self, protocol: Protocols) -> str:
        """The base URL as clients of a protocol expect it: with `/v1` for OpenAI's."""
        return base_url(self._url.removesuffix("/v1"), protocol)

    @property
    def pid(self) -> int:
        """The id of the process.

        Raises:
            RuntimeError: it was not started.
        """
        if self._process is None:
            raise RuntimeError("the model server's process does not run; use it in a `with` block")
        return self._process.pid

    def stats(self) -> ServerStats:
        """The server's figures."""
        address = urlsplit(self._url)._replace(path=STATS_PATH).geturl()
        with urlopen(address, timeout=_TIMEOUT_S) as response:  # noqa: S310 loopback, the URL is our own
            return ServerStats.model_validate(json.load(response))
