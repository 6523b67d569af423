"""The loopback model server, in a thread of the process that uses it."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from massgen_bridge.testing.servers.anthropic_messages import AnthropicMessages
from massgen_bridge.testing.servers.application import ModelApplication, Selector
from massgen_bridge.testing.servers.chat_completions import ChatCompletions
from massgen_bridge.testing.servers.delivery import Delivery
from massgen_bridge.testing.servers.files import FileStore
from massgen_bridge.testing.servers.gemini import Gemini
from massgen_bridge.testing.servers.gemini_files import GeminiFiles
from massgen_bridge.testing.servers.http import HttpServer
from massgen_bridge.testing.servers.openai_responses import OpenAIResponses
from massgen_bridge.testing.servers.protocol import base_url
from massgen_bridge.testing.servers.recorder import Recorder
from massgen_bridge.testing.servers.script import Echo
from massgen_bridge.testing.servers.vector_stores import VectorStores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from massgen_bridge.connection import Protocols
    from massgen_bridge.testing.servers.model_request import RecordedRequest
    from massgen_bridge.testing.servers.script import Reply, ReplyFunction, Script

__all__ = ["STATS_PATH", "ModelServer", "ScriptFailed"]

STATS_PATH = "/stats"
"""Where the server's figures are read as JSON, next to the protocols' paths."""

_FIGURES = (
    "calls",
    "closed_early",
    "connections_opened",
    "most_running_calls",
    "open_connections",
    "running_calls",
)
_TIMEOUT_S = 5.0


class ScriptFailed(Exception):
    """A function of the test's script raised, or its reply did not fit the request.

    The client saw an HTTP error 500. Raised when the server ends, from the first such error.
    """


class ModelServer:
    """Answers as a model provider would, on a port of this machine, by a script.

    It has a thread and an event loop of its own, so that blocking tests, async tests and
    benchmarks can use it alike:

        with ModelServer([Text("Hello"), HttpError(status=429, retry_after=1)]) as server:
            client = OpenAI(base_url=server.url, api_key="any", max_retries=0)

    Args:
        script: one reply, a queue of replies, replies by model name, or a function of the request.
        default: the reply to whatever the script leaves open.
        latency_s: seconds before the first byte of every reply.
        together: no reply begins before so many calls have run at one time: proves that they do,
            however long a busy machine takes to make them.
        tokens_per_second: the pace of streams that have none of their own; None: no pauses, the
            whole stream is one write.
        models: names for the list of models, beside those of the script.
        api_key: any other key is answered with 401; None: all are let in.
        strict: whether requests that the provider refuses are refused here, too.
        keep_requests: how many of the last requests to remember; None: all.
        host: the address to listen at.
        port: 0 for any that is free.

    Attributes:
        files: what clients keep here, at `/v1/files`, or as those of Gemini do.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        default: Reply | ReplyFunction = Echo(),  # noqa: B008 frozen
        latency_s: float = 0.0,
        together: int = 1,
        tokens_per_second: float | None = None,
        models: Sequence[str] = ("scripted",),
        api_key: str | None = None,
        strict: bool = True,
        keep_requests: int | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._address = (host, port)
        self._selector = Selector(script, default)
        self.files = FileStore()
        lock = threading.RLock()
        self._recorder = Recorder(keep=keep_requests, lock=lock, together=together)
        self.vector_stores = VectorStores(self.files)
        gemini = Gemini(strict=strict)
        protocols = (
            ChatCompletions(strict=strict),
            AnthropicMessages(strict=strict),
            OpenAIResponses(self.files, strict=strict),
            gemini,
        )
        self._application = ModelApplication(
            selector=self._selector,
            recorder=self._recorder,
            deliveries=[
                Delivery(
                    protocol=protocol,
                    gate=self._recorder.gate,
                    latency_s=latency_s,
                    tokens_per_second=tokens_per_second,
                )
                for protocol in protocols
            ],
            models=models,
            key=api_key,
            documents={
                STATS_PATH: self._stats,
                gemini.models_path: partial(
                    gemini.models_document, (*self._selector.models, *models)
                ),
            },
            files=self.files,
            gemini_files=GeminiFiles(self.files),
            stores=self.vector_stores,
        )
        self._http = HttpServer(self._application, lock=lock)
        self._running: ExitStack | None = None
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError(f"the model server at {self.url} was started before; make another")
        listener = socket.create_server(self._address)
        self._address = listener.getsockname()[:2]
        with ExitStack() as starting:
            starting.callback(listener.close)
            self._portal = starting.enter_context(start_blocking_portal(name="model-server"))
            serving = self._portal.start_task_soon(self._http.serve, listener)
            starting.callback(serving.cancel)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._running is not None:
            self._running.close()
            self._portal = None
        if exc_type is None and self._application.failures:
            first = self._application.failures[0]
            raise ScriptFailed(f"{type(first).__name__}: {first}") from first

    @property
    def url(self) -> str:
        """The base URL for OpenAI clients, `/v1` included."""
        return self.base_url("chat")

    def base_url(self, protocol: Protocols) -> str:
        """The base URL as clients of a protocol expect it: with `/v1` for OpenAI's."""
        host, port = self._address
        return base_url(f"http://{host}:{port}", protocol)

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Copies of what is known of every request, in the order of their arrival."""
        return self._recorder.requests

    @property
    def calls(self) -> int:
        """Requests for a model's answer so far, the refused ones included."""
        return self._recorder.calls

    @property
    def running_calls(self) -> int:
        """Requests whose response is not complete."""
        return self._recorder.running

    @property
    def most_running_calls(self) -> int:
        """The most that ever ran at one time."""
        return self._recorder.most_running

    @property
    def closed_early(self) -> int:
        """Responses that the client did not wait for."""
        return self._recorder.closed_early

    @property
    def open_connections(self) -> int:
        """Connections open now."""
        return self._http.open_connections

    @property
    def connections_opened(self) -> int:
        """Connections accepted so far; below `calls` where clients keep connections."""
        return self._http.opened

    def _stats(self) -> bytes:
        figures = {name: getattr(self, name) for name in _FIGURES}
        return json.dumps({**figures, "cpu_s": time.process_time()}).encode()

    def enqueue(self, *replies: Reply) -> None:
        """Add replies that are given, once each, before anything else is."""
        self._selector.enqueue(*replies)

    def close_idle(self) -> None:
        """Close the connections that wait for a request, as servers do after some idle seconds.

        Whoever asks afterwards finds them closed.

        Raises:
            RuntimeError: the server does not run.
        """
        self._running_portal().call(self._http.close_idle)

    def wait_until(
        self, holds: Callable[[], bool], *, what: str, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Block until a condition on this server's own figures holds.

        Args:
            holds: runs in the server's thread at every change.
            what: the condition in words, for the error.
            timeout_s: how long to wait.

        Raises:
            TimeoutError: it did not come to hold in time.
            RuntimeError: the server does not run.
        """
        portal = self._running_portal()

        async def wait() -> bool:
            with anyio.move_on_after(timeout_s):
                await self._recorder.until(holds)
                return True
            return False

        if not portal.call(wait):
            raise TimeoutError(
                f"waited {timeout_s:g} s for {what}; the server has {self.calls} calls, "
                f"{self.running_calls} running, {self.closed_early} closed early, "
                f"{self.open_connections} open connections"
            )

    def _running_portal(self) -> BlockingPortal:
        if self._portal is None:
            raise RuntimeError("the model server does not run; use it inside its `with` block")
        return self._portal

    def wait_for_calls(self, count: int = 1, *, timeout_s: float = _TIMEOUT_S) -> None:
        """Block until so many calls have arrived.

        Raises:
            TimeoutError: fewer came within `timeout_s` seconds.
        """
        self.wait_until(lambda: self.calls >= count, what=f"{count} calls", timeout_s=timeout_s)

    def wait_for_tokens(self, count: int = 1, *, timeout_s: float = _TIMEOUT_S) -> None:
        """Block until a request, any one, was sent so many tokens.

        Raises:
            TimeoutError: none was within `timeout_s` seconds.
        """
        self.wait_until(
            lambda: any(request.tokens_sent >= count for request in self.requests),
            what=f"a request that was sent {count} tokens",
            timeout_s=timeout_s,
        )

    def wait_for_close(self, count: int = 1, *, timeout_s: float = _TIMEOUT_S) -> None:
        """Block until so many responses were closed early by their clients.

        Raises:
            TimeoutError: fewer were within `timeout_s` seconds.
        """
        self.wait_until(
            lambda: self.closed_early >= count,
            what=f"{count} responses closed early",
            timeout_s=timeout_s,
        )

    def wait_for_idle(self, *, timeout_s: float = _TIMEOUT_S) -> None:
        """Block until no response is being sent.

        Raises:
            TimeoutError: one still was after `timeout_s` seconds.
        """
        self.wait_until(
            lambda: self.running_calls == 0, what="no running call", timeout_s=timeout_s
        )

    async def await_calls(self, count: int = 1, *, timeout_s: float = _TIMEOUT_S) -> None:
        """`wait_for_calls` for async code."""
        await _in_thread(lambda: self.wait_for_calls(count, timeout_s=timeout_s))

    async def await_tokens(self, count: int = 1, *, timeout_s: float = _TIMEOUT_S) -> None:
        """`wait_for_tokens` for async code."""
        await _in_thread(lambda: self.wait_for_tokens(count, timeout_s=timeout_s))

    async def await_close(self, count: int = 1, *, timeout_s: float = _TIMEOUT_S) -> None:
        """`wait_for_close` for async code."""
        await _in_thread(lambda: self.wait_for_close(count, timeout_s=timeout_s))

    async def await_idle(self, *, timeout_s: float = _TIMEOUT_S) -> None:
        """`wait_for_idle` for async code."""
        await _in_thread(lambda: self.wait_for_idle(timeout_s=timeout_s))


async def _in_thread(wait: Callable[[], None]) -> None:
    # A cancelled test need not sit out the time limit.
    await anyio.to_thread.run_sync(wait, abandon_on_cancel=True)
