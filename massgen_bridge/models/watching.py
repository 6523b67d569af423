"""The time limits of one model call, and what is heard of it meanwhile below the SDK."""

from __future__ import annotations

import math
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from massgen_bridge.errors import AgentError, TimedOut
from massgen_bridge.models.quotas import quota_wait_s

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from massgen_bridge.connection import Connection

__all__ = [
    "CallWatch",
    "current_watch",
    "first_token_hook",
    "hear_quota",
    "is_silence",
    "with_limit",
]

T = TypeVar("T")

# Events without any of these only tell that an answer is being worked on.
_CONTENT: Final = re.compile(
    rb'"(content|reasoning|reasoning_content|refusal)"\s*:\s*"[^"]|"tool_calls"|"finish_reason"\s*:\s*"'
    rb'|content_block_|\.delta"|output_item|"response\.(completed|failed|inc)|"candidates"|"error"'
)
_LONGEST_MARK: Final = 64  # bytes, of which the end of a piece may hold a part


class CallWatch:
    """Holds one attempt at a model call to the time limits of its connection.

    Args:
        connection: Has the limits.
        pause: Told, in seconds, how long the provider has no room for a further call.

    Attributes:
        is_passed_on: Whether a part of the answer is with somebody who cannot give it back.
        pause: As it was given.
    """

    def __init__(
        self, connection: Connection, pause: Callable[[float], None] | None = None
    ) -> None:
        self.is_passed_on = False
        self.pause = pause
        self._connection = connection
        self._scope = anyio.CancelScope()
        self._ends = math.inf
        self._is_begun = False

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make the attempt.

        Raises:
            TimedOut: One of the limits has passed; the text says which.
        """
        connection = self._connection
        first_s, total_s = connection.first_token_timeout_s, connection.total_timeout_s
        began = anyio.current_time()
        self._ends = math.inf if total_s is None else began + total_s
        self._scope.deadline = min(self._ends, math.inf if first_s is None else began + first_s)
        token = _WATCH.set(self)
        try:
            with self._scope:
                return await attempt()
        except AgentError as error:
            if self.is_passed_on or not is_silence(error):
                raise
            raise with_limit(error, connection) from error
        finally:
            _WATCH.reset(token)
        where = f"{connection.name!r} (model {connection.model!r})"
        if self._is_begun or first_s is None or began + first_s > self._ends:
            raise TimedOut(f"{where}: not done after {total_s:g} s ('total_timeout_s')")
        raise TimedOut(f"{where}: no first token after {first_s:g} s ('first_token_timeout_s')")

    def first_token(self) -> None:
        """Take note that the answer has begun."""
        self._is_begun = True
        self._scope.deadline = self._ends


_WATCH: ContextVar[CallWatch | None] = ContextVar("massgen_bridge_call_watch", default=None)


def current_watch() -> CallWatch | None:
    """What watches the model call that is being made here."""
    return _WATCH.get()


async def hear_quota(response: Any) -> None:
    """Take note of what a response says of the quota; what the responses of a client go through.

    Args:
        response: The HTTP library's.
    """
    watch = current_watch()
    if watch is not None and watch.pause is not None:
        seconds = quota_wait_s(response.headers.raw)
        if seconds > 0:
            watch.pause(seconds)


def with_limit(error: AgentError, connection: Connection) -> AgentError:
    """The same error, which also names the limit of a connection by which silence was ended."""
    return type(error)(
        f"{error} (nothing came for {connection.timeout_s:g} s: 'timeout_s')",
        agent_id=error.agent_id,
    )


def is_silence(error: BaseException | None) -> bool:
    """Whether an HTTP library has waited for bytes in vain."""
    for _ in range(8):
        if error is None:
            return False
        if type(error).__name__ in {"ReadTimeout", "WriteTimeout"}:
            return True
        error = error.__cause__
    return False


class _Look:
    """Looks for the first token in the pieces of a stream."""

    def __init__(self, watch: CallWatch) -> None:
        self._watch: CallWatch | None = watch
        self._rest = b""

    def at(self, data: bytes) -> None:
        if self._watch is None:
            return
        data = self._rest + data
        if _CONTENT.search(data):
            self._watch.first_token()
            self._watch = None
        self._rest = data[-_LONGEST_MARK:]


def first_token_hook(http: Any) -> Callable[[Any], Awaitable[None]]:
    """What a client's responses go through, so that their first token is noticed.

    Args:
        http: The HTTP library: `httpx`, or its successor.
    """

    class Watched(http.AsyncByteStream):  # type: ignore[misc]  # known at run time
        def __init__(self, stream: Any, look: _Look) -> None:
            self._stream = stream
            self._look = look

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for data in self._stream:
                self._look.at(data)
                yield data

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def notice(response: Any) -> None:
        watch = current_watch()
        if watch is not None and "event-stream" in response.headers.get("content-type", ""):
            response.stream = Watched(response.stream, _Look(watch))

    return notice
