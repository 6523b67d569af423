"""A transport for HTTP clients that sends nothing: a cassette answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

import anyio

from massgen_bridge.models.tape import NOBODY, caller
from massgen_bridge.runtime.cassette.sending import relative_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from massgen_bridge.models.tape import Caller
    from massgen_bridge.runtime.cassette.lines import Failure
    from massgen_bridge.runtime.cassette.matching import TapedStep

__all__ = ["Answering", "Source"]

_REFUSED = 400  # which no SDK tries again


class Source(Protocol):
    """Where recorded answers come from."""

    def find(
        self, who: Caller, path: str, content: bytes, *, in_loop: bool = True
    ) -> TapedStep | None:
        """The recorded call of a request; with None, everything is being stopped."""

    def content(self, found: TapedStep) -> bytes:
        """The body of a recorded reply."""

    async def wait(self, found: TapedStep, who: Caller) -> None:
        """Wait until it is the turn of an answer."""

    def used(self, found: TapedStep, *, in_loop: bool = True) -> None:
        """An answer has been read, or given up."""

    async def hang(self, who: Caller) -> NoReturn:
        """Wait for what never came."""


class Answering:
    """Answers each request as it was answered when it was recorded.

    Args:
        tape: Knows the answers.
        http: The HTTP library.
        base_url: The endpoint that requests would go to.
    """

    def __init__(self, tape: Source, http: Any, base_url: str) -> None:
        self._tape = tape
        self._http = http
        self._base_url = base_url
        self._made_by = caller()
        # Clients ask that the body is a stream of their own library's.
        self._body = type("_Body", (_Body, http.AsyncByteStream), {})
        self._body_now = type("_BodyNow", (_BodyNow, http.SyncByteStream), {})

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a request when it is its turn."""
        who = self._who()
        path = relative_path(request.url.path, self._base_url)
        found = self._tape.find(who, path, await request.aread())
        if found is None:  # the run is being stopped
            await anyio.sleep_forever()
        assert found is not None  # noqa: S101 - nobody sleeps for ever and wakes
        await self._tape.wait(found, who)
        if found.call.reply is None:
            if found.call.left:
                await self._tape.hang(who)
            self._tape.used(found)
            raise self._error(found.call.error, request)
        return self._response(found, self._body(self, found, who, request))

    def handle_request(self, request: Any) -> Any:
        """Answer a request of code that blocks, at once."""
        path = relative_path(request.url.path, self._base_url)
        found = self._tape.find(self._who(), path, request.read(), in_loop=False)
        if found is None:
            refused = {"x-should-retry": "false"}
            return self._http.Response(_REFUSED, headers=refused, json={})
        if found.call.reply is None:
            self._tape.used(found, in_loop=False)
            raise self._error(found.call.error, request)
        return self._response(found, self._body_now(self, found, request))

    async def aclose(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is open."""

    def content(self, found: TapedStep) -> bytes:
        """The body of a recorded reply."""
        return self._tape.content(found)

    def failure(self, found: TapedStep, request: Any) -> Exception | None:
        """How the body broke off in the recording, if it did."""
        return None if found.call.error is None else self._error(found.call.error, request)

    def used(self, found: TapedStep, *, in_loop: bool = True) -> None:
        """An answer has been read."""
        self._tape.used(found, in_loop=in_loop)

    async def hang(self, who: Caller) -> None:
        """Wait for what never came."""
        await self._tape.hang(who)

    def _who(self) -> Caller:
        now = caller()
        return self._made_by if now is NOBODY else now

    def _response(self, found: TapedStep, body: Any) -> Any:
        reply = found.call.reply
        assert reply is not None  # noqa: S101 - asked for before
        return self._http.Response(reply.status, headers=reply.headers, stream=body)

    def _error(self, failure: Failure | None, request: Any) -> Exception:
        """The recorded error, in the class of this library that has its name."""
        name, message = (failure.type, failure.message) if failure else ("ReadError", "")
        kind = getattr(self._http, name, None)
        if not (isinstance(kind, type) and issubclass(kind, self._http.RequestError)):
            kind = self._http.NetworkError
        make: Callable[..., Exception] = kind
        return make(message, request=request)


class _Body:
    """The body of a recorded reply; whoever reads it again goes on where the first stopped."""

    def __init__(self, wire: Answering, found: TapedStep, who: Caller, request: Any) -> None:
        self._wire = wire
        self._found = found
        self._who = who
        self._request = request
        self._is_given = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if not self._is_given:
            self._is_given = True
            yield self._wire.content(self._found)
        if self._found.call.left:
            await self._wire.hang(self._who)
        failure = self._wire.failure(self._found, self._request)
        if failure is not None:
            raise failure
        self._wire.used(self._found)

    async def aclose(self) -> None:
        self._wire.used(self._found)


class _BodyNow:
    """The same, for clients that block."""

    def __init__(self, wire: Answering, found: TapedStep, request: Any) -> None:
        self._wire = wire
        self._found = found
        self._request = request
        self._is_given = False

    def __iter__(self) -> Iterator[bytes]:
        if not self._is_given:
            self._is_given = True
            yield self._wire.content(self._found)
        failure = self._wire.failure(self._found, self._request)
        if failure is not None:
            raise failure
        self._wire.used(self._found, in_loop=False)

    def close(self) -> None:
        self._wire.used(self._found, in_loop=False)
