"""Requests to the local model and their answers, in the protocol that a client speaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from massgen_bridge.errors import BadRequest, UnsupportedContent
from massgen_bridge.models.gateway.local.answers import Form, Reading
from massgen_bridge.models.gateway.local.asked import Asked
from massgen_bridge.models.gateway.local.chat import ChatWriter, read_chat
from massgen_bridge.models.gateway.local.messages import MessagesWriter, read_messages
from massgen_bridge.models.gateway.local.prompts import chat_request, offered
from massgen_bridge.models.gateway.local.responses import ResponsesWriter, read_responses
from massgen_bridge.models.gateway.local.upstream import Upstream

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols
    from massgen_bridge.models.gateway.local.asked import Call, Finish, Tokens, Tool
    from massgen_bridge.models.gateway.local.upstream import Chunk

__all__ = ["Emulation", "emulate"]

_STREAM: Final = "text/event-stream"
_WHOLE: Final = "application/json"


class _Writer(Protocol):
    """Writes one answer in a protocol."""

    def begin(self) -> bytes: ...

    def text(self, piece: str) -> bytes: ...

    def end(self, call: Call | None, finish: Finish, tokens: Tokens | None) -> bytes: ...

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
        BadRequest: It is no request of this protocol.
        UnsupportedContent: The local model cannot do it.
    """
    asked = _READERS[protocol](_object(body))
    tools = offered(asked)
    if protocol == "chat" and _is_plain(asked, body):
        return None
    _check_wishes(asked)
    request = json.dumps(chat_request(asked, tools), ensure_ascii=False).encode()
    return Emulation(protocol, asked, tools, request)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the request is no JSON: {error}") from None
    if not isinstance(value, Mapping):
        raise BadRequest("the request is no JSON object")
    return value


def _check_wishes(asked: Asked) -> None:
    """Refuse what a translated answer does not have."""
    if asked.settings.get("n") not in {None, 1}:
        raise UnsupportedContent(
            "n: the local model gives one answer where it has tools or a form; leave it out"
        )
    for name in ("logprobs", "top_logprobs"):
        if asked.settings.get(name):
            raise UnsupportedContent(
                f"{name}: the local model tells none where it has tools or a form; leave it out"
            )


def _is_plain(asked: Asked, body: bytes) -> bool:
    """Whether the server understands the request of Chat Completions as it is."""
    special = asked.tools or asked.schema is not None or b'"developer"' in body
    return not special and all(said.result_of is None and not said.calls for said in asked.messages)


class Emulation:
    """One request to the local model, and its answer on the way back.

    Attributes:
        body: The request for the server's `/v1/chat/completions`.
        content_type: What the answer to the client is.
    """

    def __init__(
        self, protocol: Protocols, asked: Asked, tools: tuple[Tool, ...], body: bytes
    ) -> None:
        self.body: Final = body
        self.content_type: Final = _STREAM if asked.stream else _WHOLE
        self._made = protocol, asked, tools, body
        self._stream = asked.stream
        self._writer = _WRITERS[protocol](asked)
        self._upstream = Upstream(stream=asked.stream)
        self._reading = Reading(_form(asked, tools))
        self._texts: list[str] = []
        self._tokens: Tokens | None = None
        self._finish: Finish | None = None
        self._begun = False

    def again(self) -> Emulation:
        """The same request, of which no answer has been read: for another attempt."""
        return Emulation(*self._made)

    def feed(self, data: bytes) -> bytes:
        """Take what came of the server's answer; returns what the client gets for it."""
        return b"".join(map(self._take, self._upstream.take(data)))

    def end(self) -> bytes:
        """Take the end of the server's answer; returns the end of the client's.

        That is nothing for an answer that broke off.
        """
        written = b"".join(map(self._take, self._upstream.end()))
        if self._finish is None:
            return written
        rest = self._reading.end(cut=self._finish == "length")
        call = self._reading.call
        finish = self._finish if call is None else "tool_calls"
        if not self._stream:
            text = "".join([*self._texts, rest])
            whole = self._writer.whole(text, call, finish, self._tokens)
            return json.dumps(whole, ensure_ascii=False).encode()
        if rest:
            written += self._writer.text(rest)
        return written + self._writer.end(call, finish, self._tokens)

    def _take(self, chunk: Chunk) -> bytes:
        self._tokens = chunk.tokens or self._tokens
        self._finish = chunk.finish or self._finish
        said = self._reading.take(chunk.text) if chunk.text else ""
        if not self._stream:
            self._texts.append(said)
            return b""
        head = b"" if self._begun else self._writer.begin()
        self._begun = True
        return head + (self._writer.text(said) if said else b"")


def _form(asked: Asked, tools: tuple[Tool, ...]) -> Form:
    if not tools:
        return "text"
    return "choice" if asked.schema is None and asked.choice == "auto" else "value"
