"""Bodies of requests, of which a few values are set and everything else stays as it came."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Body", "read_body"]

_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON object, and where in its text each value stands.

    Attributes:
        text: The body as it came.
        values: By name; the last of a name counts.
    """

    text: str
    values: Mapping[str, Any]
    _spans: tuple[tuple[str, int, int], ...]

    def with_values(self, changes: Mapping[str, Any]) -> bytes:
        """The body with some of its values set, byte for byte the same around them."""
        if not changes:
            return self.text.encode()
        left = dict(changes)
        pieces: list[str] = []
        told = 0
        for name, start, end in self._spans:
            if name in changes:
                left.pop(name, None)
                pieces += (self.text[told:start], json.dumps(changes[name]))
                told = end
        pieces.append(self.text[told:])
        text = "".join(pieces)
        if left:
            start = text.index("{") + 1
            added = ", ".join(
                f"{json.dumps(name)}: {json.dumps(one)}" for name, one in left.items()
            )
            text = f"{text[:start]}{added}{', ' if self._spans else ''}{text[start:]}"
        return text.encode()


def read_body(data: bytes) -> Body:
    """Read a body, once.

    Raises:
        ValueError: It is no JSON object in UTF-8.
    """
    text = data.decode()
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("expected a JSON object")
    values: dict[str, Any] = {}
    spans: list[tuple[str, int, int]] = []
    at = _skip(text, at + 1)
    is_first = True
    while text[at : at + 1] != "}":
        if not is_first:
            at = _expect(text, at, ",")
        is_first = False
        name, at = _DECODER.raw_decode(text, at)
        if not isinstance(name, str):
            raise ValueError("expected the name of a value in double quotes")  # noqa: TRY004 - JSON
        start = _expect(text, at, ":")
        values[name], end = _DECODER.raw_decode(text, start)
        spans.append((name, start, end))
        at = _skip(text, end)
    if _skip(text, at + 1) != len(text):
        raise ValueError("expected nothing behind the JSON object")
    return Body(text, values, tuple(spans))


def _expect(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(f"expected {sign!r} at character {at + 1}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACE and at < len(text):
        at += 1
    return at
