"""What happens at a server, written by its thread and read by any."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio

from massgen_bridge.testing.servers.http_response import Gate, Outcome
from massgen_bridge.testing.servers.model_request import RecordedRequest, RequestState

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from massgen_bridge.testing.servers.http_request import HttpRequest
    from massgen_bridge.testing.servers.model_request import ModelRequest

__all__ = ["Recorder"]

_STATES = {
    Outcome.FINISHED: RequestState.FINISHED,
    Outcome.CLIENT_LEFT: RequestState.CLIENT_LEFT,
    Outcome.SERVER_LEFT: RequestState.SERVER_LEFT,
}


class Recorder:
    """Records requests.

    Only the server's thread changes it; what others read are numbers and copies.

    Args:
        keep: how many of the last requests to remember; None: all.
        lock: held by the server's thread from a change until what it says is true.
        together: how many have to run at one time before the gate opens.

    Attributes:
        gate: where replies wait until so many run.
        calls: requests for a model's answer so far, the refused ones included.
        most_running: the most that ever ran at one time.
        closed_early: responses that the client did not wait for.
    """

    def __init__(self, *, keep: int | None, lock: threading.RLock, together: int) -> None:
        self.gate = Gate()
        self._together = together
        self._lock = lock
        self.calls = 0
        self._running = 0
        self.most_running = 0
        self.closed_early = 0
        self._entries: deque[_Entry] = deque(maxlen=keep)
        self._changed: anyio.Event | None = None

    @property
    def running(self) -> int:
        """Requests whose response is not complete."""
        with self._lock:
            return self._running

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Copies of what is known of each request, in the order of their arrival."""
        with self._lock:
            return tuple(entry.copy() for entry in self._entries)

    def begin(
        self,
        request: HttpRequest,
        *,
        body: Any,
        asked: ModelRequest | None,
        number: int | None,
        status: int,
    ) -> _Entry:
        """Record a request; the entry is the observer of its response."""
        entry = _Entry(self, request, body=body, asked=asked, number=number, status=status)
        self._entries.append(entry)
        self._running += 1
        self.most_running = max(self.most_running, self._running)
        if self._running >= self._together:
            self.gate.open()
        self.changed()
        return entry

    def ended(self, outcome: Outcome) -> None:
        """A response is over."""
        self._running -= 1
        if outcome is Outcome.CLIENT_LEFT:
            self.closed_early += 1
        self.changed()

    def changed(self) -> None:
        """Wake those who wait."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait, in the server's event loop, until the condition holds."""
        while not holds():
            if self._changed is None:
                self._changed = anyio.Event()
            await self._changed.wait()


class _Entry:
    """One request while it is recorded."""

    __slots__ = (
        "_asked",
        "_body",
        "_finished_at",
        "_number",
        "_recorder",
        "_request",
        "_started_at",
        "_state",
        "_status",
        "_tokens",
    )

    def __init__(
        self,
        recorder: Recorder,
        request: HttpRequest,
        *,
        body: Any,
        asked: ModelRequest | None,
        number: int | None,
        status: int,
    ) -> None:
        self._recorder = recorder
        self._request = request
        self._body = body
        self._asked = asked
        self._number = number
        self._status = status
        self._started_at = time.monotonic()
        self._finished_at: float | None = None
        self._tokens = 0
        self._state = RequestState.RUNNING

    def sent(self, units: int) -> None:
        self._tokens += units
        self._recorder.changed()

    def ended(self, outcome: Outcome) -> None:
        self._finished_at = time.monotonic()
        self._state = _STATES[outcome]
        self._recorder.ended(outcome)

    def copy(self) -> RecordedRequest:
        return RecordedRequest(
            number=self._number,
            method=self._request.method,
            path=self._request.path,
            headers=self._request.headers,
            body=self._body,
            asked=self._asked,
            status=self._status,
            started_at=self._started_at,
            finished_at=self._finished_at,
            tokens_sent=self._tokens,
            state=self._state,
            query=self._request.query,
        )
