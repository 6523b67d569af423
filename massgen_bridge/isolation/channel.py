"""One end of the wire between host and worker: frames in, frames out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, Self

import anyio

from massgen_bridge.errors import ProtocolFailed
from massgen_bridge.isolation.wire import LONGEST_FRAME, FromHost, FromWorker, encode

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["Channel"]

_HEAD = 4
_JOINED = 65_536


class _Closed(Protocol):
    def __call__(self, why: str | None, /) -> None: ...


class Channel(asyncio.Protocol):
    """One end of the wire; `open` makes it.

    Args:
        receive: Gets the content of each frame, in the event loop. What it raises as
            `ProtocolFailed` ends the channel.
        closed: Is called once, at the end; with what was wrong with the other side, or with None
            where that has gone.
    """

    def __init__(self, receive: Callable[[bytes], None], closed: _Closed) -> None:
        self._receive = receive
        self._closed = closed
        self._transport: asyncio.Transport | None = None
        self._taken = bytearray()
        self._broken: str | None = None
        self._writable = anyio.Event()
        self._writable.set()

    @classmethod
    async def open(
        cls, link: socket.socket, receive: Callable[[bytes], None], closed: _Closed
    ) -> Self:
        """Take one end of a socket pair into this event loop."""
        link.setblocking(False)  # noqa: FBT003 - it takes no name
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(lambda: cls(receive, closed), sock=link)
        return channel

    def send(self, message: FromHost | FromWorker) -> int:
        """Send a message, or leave it to the event loop; the size of its content.

        Raises:
            pydantic_core.PydanticSerializationError: It holds what JSON cannot.
        """
        content = encode(message)
        self.write(content)
        return len(content)

    def write(self, content: bytes) -> None:
        """Send a frame; nothing where the other side has gone."""
        if self._transport is None or self._transport.is_closing():
            return
        head = len(content).to_bytes(_HEAD, "big")
        if len(content) < _JOINED:
            self._transport.write(head + content)
        else:
            self._transport.write(head)
            self._transport.write(content)

    async def room(self) -> None:
        """Return when the other side has taken most of what was sent."""
        await self._writable.wait()

    def close(self) -> None:
        """Send what is left and close."""
        if self._transport is not None:
            self._transport.close()

    # --- asyncio's side -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a stream, it is one
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._taken += data
        try:
            self._frames()
        except ProtocolFailed as error:
            self._broken = str(error)
            if self._transport is not None:
                self._transport.abort()

    def _frames(self) -> None:
        taken, start = self._taken, 0
        while len(taken) - start >= _HEAD:
            size = int.from_bytes(taken[start : start + _HEAD], "big")
            if size > LONGEST_FRAME:
                raise ProtocolFailed(f"a frame of {size} bytes is longer than any message")
            end = start + _HEAD + size
            if len(taken) < end:
                break
            self._receive(bytes(taken[start + _HEAD : end]))
            start = end
        if start:
            del taken[:start]

    def pause_writing(self) -> None:
        """Let `room` wait."""
        self._writable = anyio.Event()

    def resume_writing(self) -> None:
        """Let `room` return."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that this is the end."""
        del exc
        self._writable.set()
        self._closed(self._broken)
