"""A small HTTP/1.1 server whose answers are step-by-step programs.

A test server must do what no web framework lets it do: stop in the middle of a body, cut the
connection there, and notice at once that the client has gone. Answers are therefore sequences
of steps, run by timers and not by tasks, which also makes the common case cheap: an answer
without a pause is written by one call while its request is being read.
"""

from __future__ import annotations

import asyncio
import enum
import json
import socket
import struct
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, assert_never, cast

import anyio
import anyio.lowlevel

from massgen_bridge.testing.servers.http_request import ProtocolViolation, RequestParser
from massgen_bridge.testing.servers.http_response import (
    Drop,
    Gate,
    Outcome,
    Pause,
    Response,
    Send,
    Stall,
    Step,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from massgen_bridge.testing.servers.http_request import HttpRequest
    from massgen_bridge.testing.servers.http_response import Observer

__all__ = ["Application", "HttpServer"]

_MAX_PIPELINED_BYTES = 1024 * 1024
_BACKLOG = 4096
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# SO_LINGER switched on with zero seconds makes close() send a reset.
_LINGER_RESET = struct.pack("ii", 1, 0)


class Application(Protocol):
    """Answers requests. It runs in the event loop: it must not block and must not raise."""

    def respond(self, request: HttpRequest) -> Response:
        """The response to a request."""

    def connections_changed(self) -> None:
        """A connection was opened or closed."""


class HttpServer:
    """Serves an application on a listening socket.

    Args:
        application: answers the requests.
        lock: held whenever the application or an observer is called, until what they said is
            written. Whoever holds it, in any thread, sees no response that is sent but not yet
            recorded.

    Attributes:
        opened: connections accepted so far.
    """

    def __init__(self, application: Application, *, lock: threading.RLock) -> None:
        self._lock = lock
        self.opened = 0
        self._application = application
        self._connections: set[_Connection] = set()
        self._emptied: anyio.Event | None = None

    @property
    def open_connections(self) -> int:
        """Connections open now."""
        return len(self._connections)

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled; then cut what is open and close the socket."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connect, sock=listener, backlog=_BACKLOG)
        try:
            await anyio.sleep_forever()
        finally:
            server.close()
            await self._cut_connections()

    async def close_idle(self) -> None:
        """Close the connections that wait for a request, as servers do after a while.

        They are closed when it returns: a request that comes later finds them closed, and is not
        cut off.
        """
        for connection in tuple(self._connections):
            connection.close_if_idle()
        await anyio.lowlevel.checkpoint()  # the loop closes transports one turn late

    async def _cut_connections(self) -> None:
        self._emptied = anyio.Event()
        # The loop opens and closes transports one turn late, also while this task is cancelled.
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
            for connection in tuple(self._connections):
                connection.abort()
            if self._connections:
                await self._emptied.wait()

    def _connect(self) -> asyncio.Protocol:
        return _Connection(
            self._application.respond, lock=self._lock, joined=self._joined, left=self._left
        )

    def _joined(self, connection: _Connection) -> None:
        self.opened += 1
        self._connections.add(connection)
        self._application.connections_changed()

    def _left(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        if self._emptied is not None and not self._connections:
            self._emptied.set()
        self._application.connections_changed()


@dataclass(slots=True, kw_only=True)
class _Exchange:
    steps: Iterator[Step]
    observer: Observer | None
    head: bytes
    framing: _Framing
    keep_alive: bool
    due: float
    written: bool = False


class _Framing(enum.Enum):
    LENGTH = "content-length"
    CHUNKS = "chunked"
    UNTIL_CLOSE = "until close"
    NO_BODY = "no body"


class _Connection(asyncio.Protocol):
    """One client: reads requests, runs the steps of the answers, one exchange at a time."""

    def __init__(
        self,
        respond: Callable[[HttpRequest], Response],
        *,
        lock: threading.RLock,
        joined: Callable[[_Connection], None],
        left: Callable[[_Connection], None],
    ) -> None:
        self._respond = respond
        self._lock = lock
        self._joined = joined
        self._left = left
        self._parser = RequestParser()
        self._exchange: _Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._unsent = False
        self._steps_done = False
        self._outcome_of_loss = Outcome.CLIENT_LEFT

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Zero makes the loop tell about every byte that the client has not taken.
        self._transport.set_write_buffer_limits(high=0)
        self._joined(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        if self._exchange is None:
            with self._lock:
                self._serve()
        elif self._parser.buffered > _MAX_PIPELINED_BYTES:
            self._transport.abort()

    def pause_writing(self) -> None:
        self._unsent = True

    def resume_writing(self) -> None:
        self._unsent = False
        if self._steps_done:
            with self._lock:
                self._end(Outcome.FINISHED)
                self._serve()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 every loss means the same here
        with self._lock:
            self._end(self._outcome_of_loss)
            self._left(self)

    def close_if_idle(self) -> None:
        """Close the connection unless an answer is under way."""
        if self._exchange is None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection because the server ends."""
        self._outcome_of_loss = Outcome.SERVER_LEFT
        self._transport.abort()

    # Exchanges.

    def _serve(self) -> None:
        while self._exchange is None and not self._transport.is_closing():
            try:
                request = self._parser.next_request()
            except ProtocolViolation as violation:
                self._refuse(violation)
                return
            if request is None:
                if self._parser.wants_continue:
                    self._transport.write(_CONTINUE)
                return
            self._begin(request)

    def _begin(self, request: HttpRequest) -> None:
        response = self._respond(request)
        framing = _framing(request, response)
        keep_alive = request.keep_alive and framing is not _Framing.UNTIL_CLOSE
        self._exchange = _Exchange(
            steps=iter(response.steps if framing is not _Framing.NO_BODY else (Send(b""),)),
            observer=response.observer,
            head=_head(response, chunked=framing is _Framing.CHUNKS, keep_alive=keep_alive),
            framing=framing,
            keep_alive=keep_alive,
            due=self._loop.time(),
        )
        self._advance(self._exchange)

    def _refuse(self, violation: ProtocolViolation) -> None:
        body = json.dumps({"error": {"message": str(violation)}}).encode()
        response = Response(
            status=violation.status,
            headers=(("content-type", "application/json"),),
            steps=(),
            length=len(body),
        )
        self._transport.write(_head(response, chunked=False, keep_alive=False) + body)
        self._transport.close()

    def _resume(self) -> None:
        self._timer = None
        if self._exchange is not None:
            with self._lock:
                self._advance(self._exchange)
                self._serve()

    def _pass(self) -> None:
        """A gate has opened: the wait there is over, and pauses count from here."""
        if self._exchange is not None:
            self._exchange.due = self._loop.time()
            self._resume()

    def _advance(self, exchange: _Exchange) -> None:
        output: list[bytes] = []
        units = 0
        for step in exchange.steps:
            match step:
                case Send(data, more):
                    units += more
                    self._frame(exchange, data, output)
                case Pause(seconds):
                    exchange.due += seconds
                    self._timer = self._loop.call_at(exchange.due, self._resume)
                    break
                case Gate():
                    if step.holds(self._pass):
                        break
                case Stall():
                    break
                case Drop(reset):
                    self._flush(exchange, output, units)
                    self._drop(reset=reset)
                    return
                case _:
                    assert_never(step)
        else:
            self._complete(exchange, output)
        self._flush(exchange, output, units)
        if self._steps_done and not self._unsent and not self._transport.is_closing():
            self._end(Outcome.FINISHED)

    def _complete(self, exchange: _Exchange, output: list[bytes]) -> None:
        if not exchange.written:
            self._frame(exchange, b"", output)
        if exchange.framing is _Framing.CHUNKS:
            output.append(b"0\r\n\r\n")
        self._steps_done = True

    def _frame(self, exchange: _Exchange, data: bytes, output: list[bytes]) -> None:
        if not exchange.written:
            exchange.written = True
            output.append(exchange.head)
        if not data:
            return
        if exchange.framing is _Framing.CHUNKS:
            output += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            output.append(data)

    def _flush(self, exchange: _Exchange, output: list[bytes], units: int) -> None:
        if output and not self._transport.is_closing():
            self._transport.write(b"".join(output))
            if units and exchange.observer is not None:
                exchange.observer.sent(units)

    def _drop(self, *, reset: bool) -> None:
        self._outcome_of_loss = Outcome.SERVER_LEFT
        if not reset:
            self._transport.close()
            return
        connection: socket.socket = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self._transport.abort()

    def _end(self, outcome: Outcome) -> None:
        exchange, self._exchange, self._steps_done = self._exchange, None, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if exchange is None:
            return
        if not exchange.keep_alive and not self._transport.is_closing():
            self._transport.close()
        if exchange.observer is not None:
            exchange.observer.ended(outcome)


def _framing(request: HttpRequest, response: Response) -> _Framing:
    if request.method == "HEAD":
        return _Framing.NO_BODY
    if response.length is not None:
        return _Framing.LENGTH
    return _Framing.CHUNKS if request.version == "HTTP/1.1" else _Framing.UNTIL_CLOSE


def _head(response: Response, *, chunked: bool, keep_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {_reason(response.status)}", _date(int(time.time()))]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.length is not None:
        lines.append(f"content-length: {response.length}")
    elif chunked:
        lines.append("transfer-encoding: chunked")
    if not keep_alive:
        lines.append("connection: close")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def _reason(status: int) -> str:
    # Providers use codes that no standard names, such as 529.
    return _PHRASES.get(status, "Unassigned")


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return f"date: {formatdate(second, usegmt=True)}"
