"""One request for a model's answer, and what is remembered of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from massgen_bridge.testing.servers.wire_values import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ModelRequest",
    "OfferedTool",
    "RecordedRequest",
    "RequestState",
    "SentCall",
    "SentMedia",
    "SentMessage",
    "api_key",
]

_SAMPLING = (
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "stop_sequences",
    "temperature",
    "top_k",
    "top_p",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A tool that the request lets the model call.

    Attributes:
        name: as the model has to call it.
        description: what it is said to do; None where nothing is said.
        parameters: the JSON Schema of its arguments.
    """

    name: str
    description: str | None
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCall:
    """A call of a tool in the history that a client sent.

    Attributes:
        call_id: what its result refers to.
        name: of the tool.
        arguments: as parsed from JSON, or the raw text where it is none.
    """

    call_id: str
    name: str
    arguments: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMedia:
    """A picture, sound, film or document that a client sent.

    Without `data` and `url` it was sent as the id of an uploaded file.

    Attributes:
        media_type: such as `image/png`; `image/*` and the like where the protocol does not say.
        data: the bytes, decoded.
        url: where they are, if they were not sent along.
    """

    media_type: str
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None

    @classmethod
    def at(cls, url: str, media_type: str) -> Self:
        """What an address stands for, which may hold the bytes itself.

        Args:
            url: The address.
            media_type: Of what is elsewhere, where nothing says more.

        Raises:
            ValueError: the bytes are not in base64.
        """
        if not url.startswith("data:"):
            return cls(media_type=media_type, url=url)
        head, _, data = url.partition(",")
        named = head.removeprefix("data:").partition(";")[0]
        return cls(media_type=named or media_type, data=decoded(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message that a client sent, the same for every wire protocol.

    Parts of a protocol's own that have no place here are left out; the body has them.

    Attributes:
        role: `system` also stands for what newer models call `developer`.
        text: of all its text parts, joined without a separator.
        calls: what the assistant called.
        media: what else it shows.
        answers: the id of the call whose result this is; None for other roles.
        is_error: whether that result is an error; None where the protocol does not say.
        reasoning: what the assistant is said to have thought.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str = ""
    calls: tuple[SentCall, ...] = ()
    media: tuple[SentMedia, ...] = ()
    answers: str | None = None
    is_error: bool | None = None
    reasoning: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """What a script sees of a request, the same for every wire protocol.

    Attributes:
        number: counts the calls of a model at this server, from 1.
        protocol: name of the wire protocol, such as `chat_completions`.
        model: as asked for.
        stream: whether the answer is to be streamed.
        last_text: text of the last message, a user's or a tool's result.
        ends_with_tool_result: whether the last message is a tool's result.
        tools: what the model may call.
        output_schema: the JSON Schema that the answer has to satisfy.
        max_tokens: the most that the answer may have.
        headers: names in lower case.
        body: as parsed from JSON.
        read_messages: reads `messages` out of a body, as the protocol has them.
        settings: of how to generate, by their usual names; None: they stand in the body.
    """

    number: int
    protocol: str
    model: str
    stream: bool
    last_text: str
    ends_with_tool_result: bool
    tools: tuple[OfferedTool, ...]
    output_schema: Mapping[str, Any] | None
    max_tokens: int | None
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any]
    read_messages: Callable[[Mapping[str, Any]], tuple[SentMessage, ...]] = field(
        repr=False, compare=False
    )
    settings: Mapping[str, Any] | None = None

    @cached_property
    def messages(self) -> tuple[SentMessage, ...]:
        """The history: the system prompt first, and one message for each tool result.

        Read when it is first asked for, so that nobody else pays for it.

        Raises:
            ValueError: media are not in base64.
        """
        return self.read_messages(self.body)

    @property
    def sampling(self) -> Mapping[str, Any]:
        """What the request says of how to generate, such as `temperature`, as it says it."""
        given = self.body if self.settings is None else self.settings
        return {name: given[name] for name in _SAMPLING if name in given}


class RequestState(enum.Enum):
    """How far the server is with a request."""

    RUNNING = "running"
    """The response is being sent, or is held back."""
    FINISHED = "finished"
    """The whole response was handed to the operating system."""
    CLIENT_LEFT = "client_left"
    """The client closed the connection before the response was complete."""
    SERVER_LEFT = "server_left"
    """The server cut the connection: the script wanted it, or the server ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """What a server remembers of a request: a copy, taken when it was asked for.

    Attributes:
        number: of the model's call; None for other requests, such as the list of models.
        method: such as `POST`.
        path: as sent, without the query.
        headers: all of them, names in lower case; not shown by `repr`, since a key is among them.
        body: parsed from JSON; None when it was empty or not JSON.
        asked: what it asks of a model; None for other requests and for those that were refused.
        status: the HTTP status answered, also when a fault kept it from being sent.
        started_at: when it had been read, in seconds of `time.monotonic()`.
        finished_at: when its response ended; None while it runs.
        tokens_sent: of the answer, handed to the operating system so far.
        state: how far the server is with it.
        query: of the path, as sent.
    """

    number: int | None
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: Any
    asked: ModelRequest | None
    status: int
    started_at: float
    finished_at: float | None
    tokens_sent: int
    state: RequestState
    query: str = ""

    @property
    def closed_early(self) -> bool:
        """Whether the client left before the response was complete."""
        return self.state is RequestState.CLIENT_LEFT

    @property
    def api_key(self) -> str | None:
        """The key that the client sent, by any of the providers' headers."""
        return api_key(self.headers)


def api_key(headers: Mapping[str, str]) -> str | None:
    """The key in a request's headers.

    Args:
        headers: names in lower case.
    """
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials
    return headers.get("x-api-key") or headers.get("x-goog-api-key")
