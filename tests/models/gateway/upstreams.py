"""Model servers that send exactly what a test says, for what no well-behaved server does."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import h11
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyio.abc import SocketStream

__all__ = ["RawServer", "raw_server", "sse"]


@dataclass
class RawServer:
    """A server that answers every request alike.

    Attributes:
        url: Its address, without a path.
        bodies: What was sent to it.
        paths: Where that went.
        heads: The headers of the requests.
    """

    url: str
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)


@asynccontextmanager
async def raw_server(
    *pieces: bytes,
    content_type: str = "text/event-stream",
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (),
    then: Sequence[bytes] | None = None,
    pause_s: float = 0.0,
) -> AsyncIterator[RawServer]:
    """Serve some bytes, each piece written by itself.

    Args:
        pieces: The body.
        content_type: What it is said to be.
        status: The HTTP status.
        headers: Further headers.
        then: The body from the second request on; the same one by default.
        pause_s: Seconds before the end of each answer.
    """
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - of a socket, not of a database
    server = RawServer(f"http://127.0.0.1:{port}")

    async def handle(stream: SocketStream) -> None:
        async with stream:
            connection = h11.Connection(h11.SERVER)
            body = b""
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive())
                elif isinstance(event, h11.Request):
                    server.paths.append(event.target.decode())
                    server.heads.append({k.decode(): v.decode() for k, v in event.headers})
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
            server.bodies.append(body)
            sent = pieces if then is None or len(server.bodies) == 1 else then
            fields = [("content-type", content_type), ("connection", "close"), *headers]
            head = h11.Response(status_code=status, headers=fields)
            await stream.send(connection.send(head) or b"")
            for piece in sent:
                await stream.send(connection.send(h11.Data(data=piece)) or b"")
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(pause_s)
            await stream.send(connection.send(h11.EndOfMessage()) or b"")

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield server
        tasks.cancel_scope.cancel()


def sse(*events: str) -> bytes:
    """Server-sent events with some data each."""
    return "".join(f"data: {event}\n\n" for event in events).encode()
