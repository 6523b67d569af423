"""What is done to the bytes of an answer on their way to the client: as little as can be."""

from __future__ import annotations

import json
import re
from typing import Final

__all__ = ["AsItCame", "WithoutUsage"]

_EVENT_END: Final = re.compile(rb"\r?\n\r?\n")


class AsItCame:
    """Nothing is done."""

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        return data

    def end(self) -> bytes:
        """Nothing more."""
        return b""


class WithoutUsage:
    """Takes the chunk that has nothing but the usage out of a stream of chat completions."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What is left of the events that are complete now."""
        text = self._rest + data
        told = 0
        kept: list[bytes] = []
        for end in _EVENT_END.finditer(text):
            event = text[told : end.end()]
            told = end.end()
            if not _is_usage(event):
                kept.append(event)
        self._rest = text[told:]
        return b"".join(kept)

    def end(self) -> bytes:
        """What is no complete event."""
        rest, self._rest = self._rest, b""
        return rest


def _is_usage(event: bytes) -> bool:
    if b'"usage"' not in event:
        return False
    try:
        chunk = json.loads(event.strip().removeprefix(b"data:"))
    except (ValueError, RecursionError):
        return False
    return isinstance(chunk, dict) and chunk.get("choices") == [] and bool(chunk.get("usage"))
