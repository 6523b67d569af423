"""Values as they go over the wire: written by the server, or read from what a client sent."""

from __future__ import annotations

import base64
import json
from typing import Any

__all__ = ["NUMBER", "counted_tokens", "decoded", "encoded", "json_or_text", "numbered"]

# JSON never contains these bytes as they are, so no content can be mistaken for it.
NUMBER = b"\x00" * 20
"""Stands for the request's number in rendered answers, which are kept and used again."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_CHARS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 3
_SHOWN = 40


def encoded(value: Any) -> bytes:
    """A value as JSON."""
    # A lone surrogate, which no UTF-8 can carry, goes back as the JSON escape it came as.
    return _ENCODER.encode(value).encode("utf-8", "backslashreplace")


def numbered(rendered: bytes, number: int) -> bytes:
    """What was rendered, for the request of that number."""
    return rendered.replace(NUMBER, b"%020d" % number)


def counted_tokens(chars: int, messages: int) -> int:
    """A count that grows with the prompt; what a real tokeniser gives is of no use to a test."""
    return _TOKENS_PER_MESSAGE * messages + -(-chars // _CHARS_PER_TOKEN)


def decoded(data: str) -> bytes:
    """The bytes of media.

    Raises:
        ValueError: they are not in base64.
    """
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:
        shown = data if len(data) <= _SHOWN else f"{data[:_SHOWN]}..."
        raise ValueError(f"the client sent media that are not in base64: {shown!r}") from error


def json_or_text(text: str) -> Any:
    """The value that a JSON text stands for; the text itself where it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text
