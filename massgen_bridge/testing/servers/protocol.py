"""What a wire protocol has to provide, so that scripts, faults and records work with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from massgen_bridge.testing.servers.script import ContextOverflow, HttpError, QuotaExhausted

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from massgen_bridge.connection import Protocols
    from massgen_bridge.testing.servers.answers import Answer
    from massgen_bridge.testing.servers.http_request import HttpRequest
    from massgen_bridge.testing.servers.model_request import ModelRequest

__all__ = [
    "AnswerParts",
    "RefusedRequest",
    "Rendered",
    "WireProtocol",
    "base_url",
    "whole_document",
]

# What follows the host in the base URL that clients of a protocol are given.
_BASES: Mapping[str, str] = {"chat": "/v1", "gemini": "", "messages": "", "responses": "/v1"}


class RefusedRequest(Exception):
    """The request is one that the provider refuses, too.

    Attributes:
        error: what is answered.
    """

    def __init__(self, error: HttpError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerParts:
    """An answer as bytes, in parts between which a fault can strike.

    A document that is not streamed has no tokens: its opening and closing are its two halves.

    Attributes:
        opening: what precedes the first token.
        tokens: one event each.
        closing: what follows the last token, the end marker included.
    """

    opening: bytes
    tokens: tuple[bytes, ...]
    closing: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """An answer as bytes.

    Attributes:
        whole: all of it.
        count: tokens in it.
        streamed: whether it is a stream of events.
        split: takes it apart; only paced and faulty answers need that.
    """

    whole: bytes
    count: int
    streamed: bool
    split: Callable[[], AnswerParts]


class WireProtocol(Protocol):
    """One way to ask for a model's answer over HTTP."""

    @property
    def name(self) -> str:
        """Its name, such as `chat_completions`."""

    @property
    def path(self) -> str:
        """Where answers are asked for by `POST`; `{name}` stands for one step, or a part of it."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What stands in the head of every response."""

    def speaks(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from a client of the protocol, as far as its headers tell."""

    def parse(self, body: Mapping[str, Any], request: HttpRequest, number: int) -> ModelRequest:
        """What the request asks for.

        Raises:
            RefusedRequest: the provider would refuse it.
        """

    def render(self, request: ModelRequest, answer: Answer) -> Rendered:
        """The answer to the request, as a stream or a document, as the request wants it."""

    def error_of(self, reply: ContextOverflow | QuotaExhausted) -> HttpError:
        """The HTTP error that stands for the reply."""

    def error_document(self, error: HttpError) -> bytes:
        """The body of an HTTP error."""

    def error_event(self, error: HttpError) -> bytes:
        """An error in the middle of a stream."""

    def malformed_event(self, data: str) -> bytes:
        """An event that carries the data as it is."""

    def models_document(self, models: tuple[str, ...]) -> bytes:
        """The answer to a request for the list of models."""


def base_url(root: str, protocol: Protocols) -> str:
    """The base URL as clients of a protocol expect it.

    Args:
        root: scheme, host and port.
        protocol: as connections name it.
    """
    return f"{root}{_BASES[protocol]}"


def whole_document(document: bytes, count: int) -> Rendered:
    """An answer that is not streamed, of so many tokens."""
    half = len(document) // 2
    return Rendered(
        whole=document,
        count=count,
        streamed=False,
        split=lambda: AnswerParts(opening=document[:half], tokens=(), closing=document[half:]),
    )
