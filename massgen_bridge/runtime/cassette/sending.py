"""A transport for HTTP clients that sends as ever, and has all that comes back written down."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from massgen_bridge.models.tape import NOBODY, caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from massgen_bridge.models.tape import Caller
    from massgen_bridge.runtime.cassette.taped_call import TapedCall

__all__ = ["Sending", "Writer", "relative_path"]

# What comes further on is decoded already.
_DECODED = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class Writer(Protocol):
    """Writes down what comes back."""

    def call(self, who: Caller, path: str, content: bytes) -> TapedCall:
        """Note that a request is about to be sent."""

    async def end(
        self, call: TapedCall, error: BaseException | None = None, *, left: bool = False
    ) -> None:
        """Write down a call that ends, with an error or because it is given up, once."""

    def end_now(
        self, call: TapedCall, error: BaseException | None = None, *, left: bool = False
    ) -> None:
        """The same, for code that blocks."""


class Sending:
    """Sends by a client of its own, which does all that one without a recording would do.

    Args:
        tape: Takes what comes back.
        http: The HTTP library.
        settings: What the client is made with.
        base_url: The endpoint.
    """

    def __init__(self, tape: Writer, http: Any, settings: Mapping[str, Any], base_url: str) -> None:
        self._tape = tape
        self._http = http
        self._settings = settings
        self._base_url = base_url
        self._made_by = caller()
        self._asynchronous: Any = None
        self._synchronous: Any = None
        self._making = anyio.Lock()
        self._making_now = threading.Lock()
        # Clients ask that the body is a stream of their own library's.
        self._body = type("_Body", (_Body, http.AsyncByteStream), {})
        self._body_now = type("_BodyNow", (_BodyNow, http.SyncByteStream), {})

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request; the response has a body that is written down as it is read."""
        async with self._making:
            if self._asynchronous is None:
                # It may read certificates from disk.
                make = partial(self._http.AsyncClient, **self._settings)
                self._asynchronous = await to_thread.run_sync(make)
        call = self._call(request, await request.aread())
        try:
            response = await self._asynchronous.send(request, stream=True, auth=None)
        except anyio.get_cancelled_exc_class():
            await self._tape.end(call, left=True)
            raise
        except Exception as error:  # whatever the HTTP library raises is noted, and goes on
            await self._tape.end(call, error)
            raise
        call.answered(response)
        return self._response(response, self._body(self._tape, call, response))

    def handle_request(self, request: Any) -> Any:
        """The same, for clients that block."""
        with self._making_now:
            if self._synchronous is None:
                self._synchronous = self._http.Client(**self._settings)
        call = self._call(request, request.read())
        try:
            response = self._synchronous.send(request, stream=True, auth=None)
        except Exception as error:  # whatever the HTTP library raises is noted, and goes on
            self._tape.end_now(call, error)
            raise
        call.answered(response)
        return self._response(response, self._body_now(self._tape, call, response))

    async def aclose(self) -> None:
        """Close the client."""
        if self._asynchronous is not None:
            await self._asynchronous.aclose()

    def close(self) -> None:
        """Close the client that blocks."""
        if self._synchronous is not None:
            self._synchronous.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _call(self, request: Any, content: bytes) -> TapedCall:
        path = relative_path(request.url.path, self._base_url)
        return self._tape.call(_known(caller(), self._made_by), path, content)

    def _response(self, response: Any, body: Any) -> Any:
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in _DECODED
        ]
        return self._http.Response(
            response.status_code, headers=headers, stream=body, extensions=response.extensions
        )


class _Body:
    """The body of a response, decoded; whoever reads it again goes on where the first stopped."""

    def __init__(self, tape: Writer, call: TapedCall, response: Any) -> None:
        self._tape = tape
        self._call = call
        self._response = response
        self._pieces = response.aiter_bytes()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._pieces:
                self._call.content += data
                yield data
        except anyio.get_cancelled_exc_class():
            await self._tape.end(self._call, left=True)
            raise
        except Exception as error:  # whatever the HTTP library raises is noted, and goes on
            await self._tape.end(self._call, error)
            raise
        await self._tape.end(self._call)

    async def aclose(self) -> None:
        try:
            await self._tape.end(self._call, left=True)
        finally:
            await self._response.aclose()


class _BodyNow:
    """The same, for clients that block."""

    def __init__(self, tape: Writer, call: TapedCall, response: Any) -> None:
        self._tape = tape
        self._call = call
        self._response = response
        self._pieces = response.iter_bytes()

    def __iter__(self) -> Iterator[bytes]:
        try:
            for data in self._pieces:
                self._call.content += data
                yield data
        except Exception as error:  # whatever the HTTP library raises is noted, and goes on
            self._tape.end_now(self._call, error)
            raise
        self._tape.end_now(self._call)

    def close(self) -> None:
        try:
            self._tape.end_now(self._call, left=True)
        finally:
            self._response.close()


def relative_path(path: str, base_url: str) -> str:
    """The path of a request without that of its endpoint, which may hold a secret."""
    return path.removeprefix(urlsplit(base_url).path.rstrip("/"))


def _known(now: Caller, before: Caller) -> Caller:
    """Who asks: in a thread of the user's own, whoever the client was made for."""
    return before if now is NOBODY else now
