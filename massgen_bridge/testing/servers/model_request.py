"""One request for a model's answer, and what is remembered of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ModelRequest", "OfferedTool", "RecordedRequest", "RequestState", "api_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A tool that the request lets the model call.

    Attributes:
        name: as the model has to call it.
        parameters: the JSON Schema of its arguments.
    """

    name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
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
        status: the HTTP status answered, also when a fault kept it from being sent.
        started_at: when it had been read, in seconds of `time.monotonic()`.
        finished_at: when its response ended; None while it runs.
        tokens_sent: of the answer, handed to the operating system so far.
        state: how far the server is with it.
    """

    number: int | None
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: Any
    status: int
    started_at: float
    finished_at: float | None
    tokens_sent: int
    state: RequestState

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
    return credentials if scheme.lower() == "bearer" else headers.get("x-api-key")
