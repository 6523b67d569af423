"""Requests to the local model and their answers, in the protocol that a client speaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from massgen_bridge.models.gateway.local.answers import Form, Reading
from massgen_bridge.models.gateway.local.asked import Asked, Refused
from massgen_bridge.models.gateway.local.chat import ChatWriter, chat_error, read_chat
from massgen_bridge.models.gateway.local.messages import (
    MessagesWriter,
    messages_error,
    read_messages,
)
from massgen_bridge.models.gateway.local.prompts import chat_request, offered
from massgen_bridge.models.gateway.local.responses import ResponsesWriter, read_responses
from massgen_bridge.models.gateway.local.upstream import Chunk, Upstream, error_text

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols
    from massgen_bridge.models.gateway.local.asked import Call, Finish, Tokens, Tool

__all__ = ["Emulation", "emulate", "refused"]

_WHOLE: Final = "application/json"


class _Writer(Protocol):
    """Writes one answer in a protocol."""

    content_type: str

    def begin(self) -> bytes: ...

    def text(self, piece: str) -> bytes: ...

    def end(self, call: Call | None, finish: Finish, tokens: Tokens | None) -> bytes: ...

    def failure(self, message: str) -> bytes: ...

    def whole(
        self, text: str, call: Call | None, finish: Finish, tokens: Tokens | None
    ) -> dict[str, Any]: ...


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Asked]] = {
    "chat": read_chat,
    "messages": read_messages,
    "responses": read_responses,
}
_WRITERS: Mapping[str, Callable[[Asked], _Writer]] = {
    "chat": ChatWriter,
    "messages": MessagesWriter,
    "responses": ResponsesWriter,
}


def emulate(protocol: Protocols, body: bytes) -> Emulation | None:
    """Translate a request to the local model.

    Args:
        protocol: What the client speaks.
        body: The request.

    Returns:
        The translation; None where the server does by itself what is asked: chat in plain text.

    Raises:
        Refused: The local model cannot do it; the error holds the answer for the client.
    """
    try:
        asked = _READERS[protocol](_object(body))
        tools = offered(asked)
        if protocol == "chat" and _is_plain(asked, body):
            return None
        request = chat_request(asked, tools)
    except Refused as error:
        raise Refused(
            error.message,
            status=error.status,
            body=refused(protocol, error.message, status=error.status),
        ) from None
    return Emulation(protocol, asked, tools, json.dumps(request, ensure_ascii=False).encode())


def refused(protocol: Protocols, message: str, *, status: int, kind: str = "") -> bytes:
    """The body of an answer with an error status, in the form of a protocol.

    Args:
        protocol: What the client speaks.
        message: What is wrong.
        status: The HTTP status.
        kind: The server's word for it, where there is one.
    """
    write = messages_error if protocol == "messages" else chat_error
    return write(message, status=status, kind=kind)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the request is no JSON: {error}") from None
    if not isinstance(value, Mapping):
        raise Refused("the request is no JSON object")
    return value


def _is_plain(asked: Asked, body: bytes) -> bool:
    """Whether the server understands the request of Chat Completions as it is."""
    special = asked.tools or asked.schema is not None or b'"developer"' in body
    return not special and all(said.result_of is None and not said.calls for said in asked.messages)


class Emulation:
    """One request to the local model, and its answer on the way back.

    Attributes:
        body: The request for the server's `/v1/chat/completions`.
        content_type: What the answer to the client is.
        tokens: What the server counted, once it has told.
        failure: What went wrong with the answer, if something did. An answer that is no stream
            is then an error, to be sent with status 500.
    """

    def __init__(
        self, protocol: Protocols, asked: Asked, tools: tuple[Tool, ...], body: bytes
    ) -> None:
        self.body: Final = body
        self.tokens: Tokens | None = None
        self.failure: str | None = None
        self._protocol: Protocols = protocol
        self._stream = asked.stream
        self._writer = _WRITERS[protocol](asked)
        self._upstream = Upstream(stream=asked.stream)
        self._reading = Reading(_form(asked, tools))
        self._texts: list[str] = []
        self._finish: Finish | None = None
        self._begun = False
        self.content_type: Final = self._writer.content_type if asked.stream else _WHOLE

    def feed(self, data: bytes) -> bytes:
        """Take what came of the server's answer; returns what the client gets for it."""
        return b"".join(self._take(chunk) for chunk in self._upstream.take(data))

    def end(self) -> bytes:
        """Take the end of the server's answer; returns the end of the client's.

        An answer that broke off ends with the protocol's form of an error.
        """
        written = b"".join(self._take(chunk) for chunk in self._upstream.end())
        if self.failure is None and self._finish is None:
            self.failure = "the local model's server ended the answer before it was complete"
        if self.failure is not None:
            return written + self._failed(self.failure)
        finish: Finish = self._finish or "stop"
        rest = self._reading.end(cut=finish == "length")
        call = self._reading.call
        if call is not None:
            finish = "tool_calls"
        if not self._stream:
            text = "".join([*self._texts, rest])
            whole = self._writer.whole(text, call, finish, self.tokens)
            return json.dumps(whole, ensure_ascii=False).encode()
        written += self._head()
        if rest:
            written += self._writer.text(rest)
        return written + self._writer.end(call, finish, self.tokens)

    def failed(self, status: int, data: bytes) -> bytes:
        """The client's form of an answer with an error status.

        Args:
            status: The server's HTTP status, which is also the client's.
            data: The body of the server's answer.
        """
        message, kind = error_text(data)
        return refused(self._protocol, message, status=status, kind=kind)

    def _take(self, chunk: Chunk) -> bytes:
        if self.failure is not None:
            return b""
        self.tokens = chunk.tokens or self.tokens
        self._finish = chunk.finish or self._finish
        self.failure = chunk.failure
        if chunk.failure is not None:
            return b""
        said = self._reading.take(chunk.text) if chunk.text else ""
        if not self._stream:
            self._texts.append(said)
            return b""
        return self._head() + (self._writer.text(said) if said else b"")

    def _head(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._writer.begin()

    def _failed(self, message: str) -> bytes:
        if not self._stream:
            return refused(self._protocol, message, status=500)
        return self._head() + self._writer.failure(message)


def _form(asked: Asked, tools: tuple[Tool, ...]) -> Form:
    if not tools:
        return "text"
    return "choice" if asked.schema is None and asked.choice == "auto" else "value"
