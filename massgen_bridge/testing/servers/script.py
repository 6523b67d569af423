"""What a loopback model server does with requests: answers, errors, faults, and their choice.

None of it belongs to a wire protocol, so the same script serves every protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from massgen_bridge.testing.servers.answers import Answer, Text

if TYPE_CHECKING:
    from massgen_bridge.testing.servers.model_request import ModelRequest

__all__ = [
    "AutoToolCall",
    "ContextOverflow",
    "Disconnect",
    "Drip",
    "Echo",
    "EndsEarly",
    "ErrorEvent",
    "Hang",
    "HttpError",
    "MalformedSSE",
    "QuotaExhausted",
    "Reply",
    "ReplyFunction",
    "Script",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """The default: the text of the last message; a value that fits, where a schema is asked for.

    Attributes:
        fit_schema: whether a requested schema is obeyed; otherwise it is ignored.
    """

    fit_schema: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoToolCall:
    """Calls an offered tool with arguments that fit its schema and differ from call to call.

    They differ because some frameworks stop by themselves when a model repeats a call.

    Attributes:
        name: the tool; None: the first that is offered.
        again: call also when the last message is a tool's result, so that only a limit or a
            cancellation ends the turn; otherwise that result is echoed.
    """

    name: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpError:
    """An HTTP error instead of an answer, with the body that a provider gives for it.

    Attributes:
        status: such as 429.
        message: the error's text; None: one that is usual for the status.
        code: the provider's code, such as `insufficient_quota`; None: the usual one.
        retry_after: seconds, or any text, for the `retry-after` header; None: no header.
        body: sent as it is in place of the protocol's error body.
        content_type: of `body`.
        headers: further headers.
    """

    status: int
    message: str | None = None
    code: str | None = None
    retry_after: float | str | None = None
    body: str | None = None
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextOverflow:
    """The error of a prompt that is longer than the model's window.

    Attributes:
        window: tokens that the model takes.
    """

    window: int = 8192

    @property
    def tokens(self) -> int:
        """Tokens that the prompt is said to have."""
        return self.window + 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaExhausted:
    """The error of an account that has no credit left; trying again does not help."""


_DEFAULT_ANSWER = Text("This is the beginning of an answer that has a fault in it")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsEarly:
    """An answer that stops in order, but without its finish reason and its end marker.

    Not streamed: the JSON body is cut in half.

    Attributes:
        after: tokens sent before.
        answer: what is cut.
    """

    after: int = 2
    answer: Answer = field(default=_DEFAULT_ANSWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """The connection is closed. Not streamed: in the middle of the body.

    Attributes:
        after: tokens sent before; None: closed before the first byte, the status included.
        answer: what is cut.
        reset: by a TCP reset, which may also destroy what was sent before.
    """

    after: int | None = None
    answer: Answer = field(default=_DEFAULT_ANSWER)
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Nothing more comes and the connection stays open. Not streamed: in the middle of the body.

    Attributes:
        after: tokens sent before; None: not even the status is sent.
        answer: what stops.
    """

    after: int | None = None
    answer: Answer = field(default=_DEFAULT_ANSWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedSSE:
    """An event whose data is not JSON, with a good stream around it.

    Not streamed: that data is the body.

    Attributes:
        after: tokens sent before.
        data: of the event.
        answer: the stream around it.
    """

    after: int = 2
    data: str = '{"id": "chatcmpl-1", "choices": [{"ind'
    answer: Answer = field(default=_DEFAULT_ANSWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent:
    """An error of the provider in the middle of a stream, which then ends.

    Not streamed: the same error as an HTTP status.

    Attributes:
        after: tokens sent before.
        error: what is reported.
        answer: what is cut.
    """

    after: int = 2
    error: HttpError = field(default=HttpError(status=500))
    answer: Answer = field(default=_DEFAULT_ANSWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drip:
    """A good answer in small pieces that respect neither events nor characters.

    Attributes:
        answer: what is sent.
        bytes_per_write: size of a piece.
        pause_s: seconds between two pieces.
    """

    answer: Answer = field(default=_DEFAULT_ANSWER)
    bytes_per_write: int = 7
    pause_s: float = 0.001

    def __post_init__(self) -> None:
        if self.bytes_per_write < 1:
            raise ValueError(f"bytes_per_write is {self.bytes_per_write!r}; expected 1 or more")


Reply = (
    Answer
    | Echo
    | AutoToolCall
    | HttpError
    | ContextOverflow
    | QuotaExhausted
    | EndsEarly
    | Disconnect
    | Hang
    | MalformedSSE
    | ErrorEvent
    | Drip
)
"""What the server does with one request."""

ReplyFunction = Callable[["ModelRequest"], Reply | None]
"""Chooses a reply by the request; None: the server's default. It runs in the server's
event loop: it must not block."""

Script = Reply | Sequence[Reply] | Mapping[str, Reply | ReplyFunction] | ReplyFunction
"""One reply for all requests, a queue of them, replies by model name, or a function."""
