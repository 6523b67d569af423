"""The gateway's HTTP server: HTTP/1.1 by h11, on a port of this machine's loopback alone.

Connections are driven by callbacks and not by tasks: whoever answers a request brings a task of
its own, which ends with the turn that the request belongs to.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.lowlevel
import h11

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Exchange", "HttpServer", "Request", "Responder"]

_MAX_HEAD = 64 * 1024
_MAX_BODY = 256 * 1024 * 1024
_MAX_CONNECTIONS = 1000
_MAX_PIPELINED = 1024 * 1024
_LARGE = 64 * 1024
_BACKLOG = 1024
_HEAD_S = 30.0
_BODY_S = 30.0
_IDLE_S = 300.0
_logger = logging.getLogger("massgen_bridge.models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came.

    Attributes:
        method: Such as `POST`.
        path: Without the query, not decoded.
        query: What stands behind the `?`, not decoded; empty where there is none.
        headers: Names in lower case; the last one counts where there are several of a name.
        body: All of it.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def token(self) -> str:
        """What the client shows as its key, in either of the usual forms; empty for none."""
        scheme, _, credentials = self.headers.get("authorization", "").partition(" ")
        bearer = credentials.strip() if scheme.lower() == "bearer" else ""
        names = ("x-api-key", "api-key", "x-goog-api-key")
        return bearer or next(filter(None, (self.headers.get(name) for name in names)), "")


class Responder(Protocol):
    """Answers requests; it runs in the event loop and must not block."""

    def check(self, request: Request) -> tuple[int, bytes] | None:
        """Why a request is refused before its body is kept: status and a body in JSON."""

    def respond(self, exchange: Exchange) -> None:
        """See that a request is answered, in a task of whoever it belongs to."""


class Exchange:
    """One request, and the way to answer it.

    Attributes:
        request: The request.
        owner: Whose it is; `HttpServer.close_of` closes its connection then.
        on_gone: Called once when the client has left before the answer was complete.
    """

    __slots__ = ("_connection", "_head", "has_begun", "is_gone", "on_gone", "owner", "request")

    def __init__(self, connection: _Connection, request: Request) -> None:
        self._connection = connection
        self._head = b""
        self.request = request
        self.owner: object = None
        self.on_gone: Callable[[], None] | None = None
        self.is_gone = False
        self.has_begun = False

    def begin(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Give the head of the answer, which is sent with the first bytes of the body."""
        self.has_begun = True
        if not self.is_gone:
            fields = [
                (name.encode(), value.encode("latin-1", "replace")) for name, value in headers
            ]
            self._head = self._connection.encode(h11.Response(status_code=status, headers=fields))

    async def write(self, data: bytes) -> None:
        """Send a piece of the body; waits while the client does not read."""
        if self.is_gone or not data:
            return
        head, self._head = self._head, b""
        self._connection.send(head + self._connection.encode(h11.Data(data=data)))
        await self._connection.drained()

    def end(self) -> None:
        """Say that the answer is complete."""
        if not self.is_gone:
            head, self._head = self._head, b""
            self._connection.send(head + self._connection.encode(h11.EndOfMessage()))
            self._connection.answered()

    def answer(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Give a whole answer."""
        self.begin(status, [*headers, ("content-length", str(len(body)))])
        if body and not self.is_gone:
            self._head += self._connection.encode(h11.Data(data=body))
        self.end()

    def break_off(self) -> None:
        """Close the connection in the middle of the answer, so that no client takes it for all."""
        if not self.is_gone:
            self._connection.send(self._head)
            self._connection.close()

    def left(self) -> None:
        """Take note that the client has left."""
        self.is_gone = True
        if self.on_gone is not None:
            self.on_gone()


class HttpServer:
    """Serves on 127.0.0.1, in the event loop that started it.

    Args:
        responder: Answers the requests.

    Attributes:
        port: Where it listens, once it runs.
    """

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._emptied: anyio.Event | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen at a free port."""
        loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self.port = listener.getsockname()[1]
        self._server = await loop.create_server(self._connect, sock=listener, backlog=_BACKLOG)

    async def aclose(self) -> None:
        """Stop listening and cut what is open."""
        if self._server is None:
            return
        self._server.close()
        # The loop opens and closes transports one turn late, also while this task is cancelled.
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
            for connection in tuple(self._connections):
                connection.abort()
            if self._connections:
                self._emptied = anyio.Event()
                await self._emptied.wait()

    def close_of(self, owner: object) -> None:
        """Cut all connections on which a request of an owner is open.

        Those that wait for another request stay: a client may just send one, for another turn.
        """
        for connection in tuple(self._connections):
            if connection.owner is owner:
                connection.abort()

    def _connect(self) -> asyncio.Protocol:
        return _Connection(self, self._responder)

    def joined(self, connection: _Connection) -> bool:
        """Whether there is room for one more connection, which then counts."""
        if len(self._connections) >= _MAX_CONNECTIONS:
            _logger.warning("the gateway has %d open connections: no more", _MAX_CONNECTIONS)
            return False
        self._connections.add(connection)
        return True

    def left(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if self._emptied is not None and not self._connections:
            self._emptied.set()


class _Connection(asyncio.Protocol):
    """One client's connection; its requests are answered one after the other."""

    def __init__(self, server: HttpServer, responder: Responder) -> None:
        self._server = server
        self._responder = responder
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        self._head: Request | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._pending = 0
        self._refusal: tuple[int, bytes] | None = None
        self._exchange: Exchange | None = None
        self._writable: anyio.Event | None = None
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self.owner: object = None

    # --- what the event loop calls ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP
        self._transport = transport
        # The event loop does it for sockets alone that were made for TCP by number.
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._server.joined(self):
            transport.abort()
            return
        self._expect(_HEAD_S)

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        if self._exchange is not None:
            self._pending += len(data)
            if self._pending > _MAX_PIPELINED:
                self.abort()
            return
        if self._head is not None:
            self._expect(_BODY_S)
        self._read()

    def eof_received(self) -> None:
        """The client has left; the transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._expect(None)
        self._server.left(self)
        if self._writable is not None:
            self._writable.set()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.left()

    def pause_writing(self) -> None:
        self._writable = anyio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # --- what an exchange calls ------------------------------------------------------------------

    def encode(self, event: h11.Event) -> bytes:
        """What an event is in bytes."""
        return self._http.send(event) or b""

    def send(self, data: bytes) -> None:
        """Write; what comes until the event loop has its next turn goes out together."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(data)
        if len(data) > _LARGE:
            self._flush()

    def _flush(self) -> None:
        if self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    async def drained(self) -> None:
        """Wait until the client has read most of what was sent."""
        if self._writable is not None:
            await self._writable.wait()

    def answered(self) -> None:
        """Go on to the next request."""
        if self._exchange is not None:
            self._exchange.is_gone = True  # nothing more is to be sent by it
        self._exchange = self.owner = None
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._pending = 0
            self._expect(_IDLE_S)
            self._read()
        else:
            self.close()

    def close(self) -> None:
        """Close the connection once all is sent."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    # --- reading ---------------------------------------------------------------------------------

    def _expect(self, seconds: float | None) -> None:
        """Close the connection unless something comes in time."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._transport.abort)

    def _read(self) -> None:
        try:
            while self._exchange is None and not self._transport.is_closing():
                event = self._http.next_event()
                if not self._take(event):
                    break
        except h11.RemoteProtocolError as error:
            self._misread(error)

    def _take(self, event: object) -> bool:
        match event:
            case h11.Request():
                self._begin(event)
            case h11.Data():
                self._keep(bytes(event.data))
            case h11.EndOfMessage():
                self._dispatch()
            case _:
                return False
        return True

    def _begin(self, event: h11.Request) -> None:
        self._expect(_BODY_S)
        path, _, query = event.target.decode("latin-1").partition("?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        self._head = Request(
            method=event.method.decode("latin-1"), path=path, query=query, headers=headers
        )
        self._pieces.clear()
        self._size = 0
        self._refusal = self._foreign(headers) or self._responder.check(self._head)
        if self._http.they_are_waiting_for_100_continue:
            self.send(self.encode(h11.InformationalResponse(status_code=100, headers=[])))

    def _foreign(self, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        """Requests from a web page, which may have been led here under another name."""
        known = {f"{host}:{self._server.port}" for host in ("127.0.0.1", "localhost")}
        if headers.get("host", "").lower() in known and "origin" not in headers:
            return None
        return 403, b'{"error": {"message": "this address is for programs of this machine"}}'

    def _keep(self, data: bytes) -> None:
        # What is refused is read nevertheless: a client that still writes would not see why.
        self._size += len(data)
        if self._size <= _MAX_BODY:
            if self._refusal is None:
                self._pieces.append(data)
            return
        if self._refusal is None:
            self._pieces.clear()
            self._refusal = (
                413,
                b'{"error": {"message": "the request is larger than 256 MiB"}}',
            )
        if self._size > 2 * _MAX_BODY:
            self.abort()

    def _dispatch(self) -> None:
        self._expect(None)
        head, self._head = self._head, None
        assert head is not None  # noqa: S101 - the end of a request comes after its head
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            self._refuse(*refusal)
            return
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        request = Request(
            method=head.method, path=head.path, query=head.query, headers=head.headers, body=body
        )
        self._exchange = Exchange(self, request)
        self._responder.respond(self._exchange)
        if self._exchange is not None:
            self.owner = self._exchange.owner

    def _refuse(self, status: int, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> None:
        fields = [
            ("content-type", "application/json"),
            ("x-should-retry", "false"),
            ("content-length", str(len(body))),
            *headers,
        ]
        self.send(
            self.encode(h11.Response(status_code=status, headers=fields))
            + self.encode(h11.Data(data=body))
            + self.encode(h11.EndOfMessage())
        )
        self.answered()

    def _misread(self, error: h11.RemoteProtocolError) -> None:
        """Tell a client that what it sent is no HTTP, or too large."""
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            body = b'{"error": {"message": "this is not a request that HTTP/1.1 allows"}}'
            self._refuse(error.error_status_hint, body, [("connection", "close")])
        self.close()


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
