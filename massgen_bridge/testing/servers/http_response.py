"""HTTP responses as programs: what to write, when to wait, where to break off."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from massgen_bridge.testing.servers.wire_values import encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "Drop",
    "Gate",
    "Observer",
    "Outcome",
    "Pause",
    "Response",
    "Send",
    "Stall",
    "Step",
    "json_response",
    "whole_response",
]

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Send:
    """Write bytes of the body; `units` of content (tokens, say) are reported as sent with them."""

    data: bytes
    units: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait; counted from the end of the pause before, so that a pace does not drift."""

    seconds: float


class Gate:
    """Wait until it is opened; who comes later passes."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] | None = []

    def holds(self, go_on: Callable[[], None]) -> bool:
        """Whether it is closed; if so, `go_on` is called once it opens."""
        if self._waiting is not None:
            self._waiting.append(go_on)
        return self._waiting is not None

    def open(self) -> None:
        """Let all pass, now and from now on."""
        waiting, self._waiting = self._waiting or (), None
        for go_on in waiting:
            go_on()


@dataclass(frozen=True, slots=True)
class Stall:
    """Write nothing more and keep the connection open until the client leaves."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection, either in order after what was written, or by a TCP reset."""

    reset: bool = False


Step = Send | Pause | Gate | Stall | Drop


class Outcome(enum.Enum):
    """How an exchange ended."""

    FINISHED = "finished"
    """The whole response was handed to the operating system."""
    CLIENT_LEFT = "client_left"
    """The client closed the connection before the response was complete."""
    SERVER_LEFT = "server_left"
    """The server cut the connection: a `Drop`, or its own end."""


class Observer(Protocol):
    """Is told how an exchange goes on, in the server's thread."""

    def sent(self, units: int) -> None:
        """So many units more were written."""

    def ended(self, outcome: Outcome) -> None:
        """The exchange is over; called once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What to answer.

    Attributes:
        status: the HTTP status.
        headers: further header lines, without framing and date.
        steps: the body. Nothing at all is written before the first `Send`, the status included.
        length: bytes of the body, or None to send it in chunks.
        observer: is told what was sent and how it ended.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    steps: Iterable[Step]
    length: int | None
    observer: Observer | None = None


def whole_response(
    body: bytes, content_type: str = _JSON, *, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """A document, at once and whole."""
    return Response(
        status=200,
        headers=(("content-type", content_type), *headers),
        steps=(Send(body),),
        length=len(body),
    )


def json_response(value: Any, *headers: tuple[str, str]) -> Response:
    """A value as a JSON document, with further header lines."""
    return whole_response(encoded(value), headers=headers)
