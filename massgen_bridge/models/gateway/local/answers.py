"""What the local model writes under its grammar, read as it comes."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, Literal

from massgen_bridge.models.gateway.local.asked import Call
from massgen_bridge.models.gateway.local.prompts import ANSWER, ARGUMENTS, NAME

__all__ = ["Form", "Reading"]

Form = Literal["text", "choice", "value"]
"""What the model writes: an answer as it is; a tool call, or an answer whose text is a string in
JSON; or a tool call, or an answer that is itself JSON."""

_TEXT_BEGINS = re.compile(rf'\s*\{{\s*"{ANSWER}"\s*:\s*"')
_PIECE = re.compile(
    r'[^"\\]+|\\["\\/bfnrt]'
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}(?=[^\\]|\\[^u]|\\u[^dD]|\\u[dD][^c-fC-F])"
    r"|\\u(?![dD][89abAB])[0-9a-fA-F]{4}"
)
_LONGEST_START: Final = 200


class Reading:
    """One answer, read piece by piece.

    Args:
        form: What the model writes.
    """

    __slots__ = ("_form", "_inside", "_pending", "_said", "call")

    def __init__(self, form: Form) -> None:
        self._form = form
        self._pending = ""
        self._inside = False
        self._said = False
        self.call: Call | None = None
        """The tool call, once the answer is whole and if it is one."""

    def take(self, text: str) -> str:
        """Read a piece; returns what of the answer's text is known by it."""
        if self._form == "text":
            return text
        self._pending += text
        if self._form == "choice" and not self._said:
            start = _TEXT_BEGINS.match(self._pending[:_LONGEST_START])
            if start:
                self._inside = self._said = True
                self._pending = self._pending[start.end() :]
        return self._unescaped() if self._inside else ""

    def end(self, *, cut: bool) -> str:
        """Read the end; returns what is left of the answer's text.

        Args:
            cut: The answer has hit the limit. Then a call is none, since it is not whole.
        """
        left, self._pending = self._pending, ""
        if self._form == "text" or self._said:
            # Within a string that never ended, half a sign may be left.
            return ""
        try:
            value = json.loads(left)
        except (ValueError, RecursionError):
            # No grammar held it, if it is not cut: then it is better than nothing.
            return "" if cut else left
        if isinstance(value, dict):
            if isinstance(value.get(NAME), str) and ARGUMENTS in value:
                self.call = Call(name=value[NAME], arguments=_json(value[ARGUMENTS]))
                return ""
            if ANSWER in value:
                answer = value[ANSWER]
                return _sound(answer) if isinstance(answer, str) else _json(answer)
        return left

    def _unescaped(self) -> str:
        """What of the string can be told from what has come."""
        said, position = [], 0
        while found := _PIECE.match(self._pending, position):
            piece = found[0]
            position = found.end()
            if piece.startswith("\\"):
                piece = _sound(json.loads(f'"{piece}"', strict=False))
            said.append(piece)
        if self._pending[position : position + 1] == '"':
            self._inside = False
        self._pending = self._pending[position:]
        return "".join(said)


def _sound(text: str) -> str:
    """The text with half of a pair of signs, which is none, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _json(value: Any) -> str:
    """JSON that every reader takes."""
    return json.dumps(_finite(value), ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return math.copysign(1e308, value)
    if isinstance(value, str):
        return _sound(value)
    if isinstance(value, dict):
        return {_sound(key): _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list) else value
