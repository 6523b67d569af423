"""Values in requests that a client has encoded."""

from __future__ import annotations

import base64
import json
from typing import Any

__all__ = ["decoded", "json_or_text"]

_SHOWN = 40


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
