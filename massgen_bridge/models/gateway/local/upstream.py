"""What the local server's chat endpoint sends, streamed or whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from massgen_bridge.models.gateway.local.asked import Finish, Tokens

__all__ = ["Chunk", "Upstream"]


class Chunk(NamedTuple):
    """One thing that came.

    Attributes:
        text: What the model wrote.
        finish: Why it stopped, if it did.
        tokens: What was counted, if that was told.
    """

    text: str = ""
    finish: Finish | None = None
    tokens: Tokens | None = None


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
            yield _chunk(left, "message")


def _event(line: bytes) -> Iterator[Chunk]:
    name, _, data = line.partition(b":")
    if name == b"data" and data.strip() != b"[DONE]":
        yield _chunk(data, "delta")


def _chunk(data: bytes, key: str) -> Chunk:
    """What came, if it can be read; an answer without its end tells of all else."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return Chunk()
    if not isinstance(value, Mapping):
        return Chunk()
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
