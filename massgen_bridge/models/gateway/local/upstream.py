"""What the local server's chat endpoint sends, streamed or whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from massgen_bridge.models.gateway.local.asked import Finish, Tokens

__all__ = ["Chunk", "Upstream", "error_text"]


class Chunk(NamedTuple):
    """One thing that came.

    Attributes:
        text: What the model wrote.
        finish: Why it stopped, if it did.
        tokens: What was counted, if that was told.
        failure: What went wrong, if something did.
    """

    text: str = ""
    finish: Finish | None = None
    tokens: Tokens | None = None
    failure: str | None = None


class Upstream:
    """Bytes of one answer, read as they come.

    Args:
        stream: Whether they are server-sent events, rather than one document.
    """

    __slots__ = ("_pending", "_stream")

    def __init__(self, *, stream: bool) -> None:
        self._stream = stream
        self._pending = bytearray()

    def take(self, data: bytes) -> Iterator[Chunk]:
        """Read some bytes."""
        self._pending += data
        if not self._stream:
            return
        *lines, rest = self._pending.split(b"\n")
        self._pending = rest
        for line in lines:
            yield from _event(bytes(line).strip())

    def end(self) -> Iterator[Chunk]:
        """Read the end."""
        left, self._pending = bytes(self._pending), bytearray()
        if self._stream:
            yield from _event(left.strip())
        else:
            yield _document(left)


def _event(line: bytes) -> Iterator[Chunk]:
    name, colon, data = line.partition(b":")
    data = data.strip()
    if not colon or data == b"[DONE]" or name not in {b"data", b"error"}:
        return
    try:
        value = json.loads(data)
    except ValueError:
        yield Chunk(failure=f"the local model's server sent no JSON: {data!r:.200}")
        return
    yield _chunk(value, "delta") if name == b"data" else Chunk(failure=_said_wrong(value))


def _document(data: bytes) -> Chunk:
    try:
        value = json.loads(data)
    except ValueError:
        return Chunk(failure=f"the local model's server sent no JSON: {data!r:.200}")
    return _chunk(value, "message")


def _chunk(value: Any, key: str) -> Chunk:
    if not isinstance(value, Mapping) or value.get("error"):
        return Chunk(failure=_said_wrong(value))
    choice: Mapping[str, Any] = next(iter(value.get("choices") or ()), {})
    return Chunk(
        text=(choice.get(key) or {}).get("content") or "",
        finish="length" if choice.get("finish_reason") == "length" else _stop(choice),
        tokens=_tokens(value.get("usage")),
    )


def _stop(choice: Mapping[str, Any]) -> Finish | None:
    return None if choice.get("finish_reason") is None else "stop"


def _tokens(usage: Any) -> Tokens | None:
    if not isinstance(usage, Mapping):
        return None
    details = usage.get("prompt_tokens_details") or {}
    return Tokens(
        prompt=usage.get("prompt_tokens") or 0,
        cached=details.get("cached_tokens") or 0,
        answer=usage.get("completion_tokens") or 0,
    )


def error_text(data: bytes) -> tuple[str, str]:
    """What the body of an answer with an error status says, and the error's type."""
    try:
        value = json.loads(data)
    except ValueError:
        return data.decode(errors="replace").strip() or "the local model's server failed", ""
    error = value.get("error") if isinstance(value, Mapping) else None
    kind = error.get("type") if isinstance(error, Mapping) else None
    return _said_wrong(value), kind if isinstance(kind, str) else ""


def _said_wrong(value: Any) -> str:
    error = value.get("error", value) if isinstance(value, Mapping) else value
    message = error.get("message") if isinstance(error, Mapping) else error
    return message if isinstance(message, str) and message else "the local model's server failed"
