"""What an answer says of itself while its bytes pass: whether it is whole, and what it cost."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from massgen_bridge.models.usage import chat_usage, gemini_usage, messages_usage, responses_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from massgen_bridge.agent import Usage
    from massgen_bridge.connection import Protocols

__all__ = ["StreamWatch", "usage_of"]

# Only events in which one of these stands are read; the text of deltas hardly ever has them.
_TELLING: Mapping[str, re.Pattern[bytes]] = {
    "chat": re.compile(
        rb'"usage"\s*:\s*\{|"finish_reason"\s*:\s*"|"error"\s*:\s*[^n\s]|^data:\s*\[DONE\]'
    ),
    "gemini": re.compile(rb'"finishReason"\s*:\s*"|"blockReason"|"error"\s*:'),
    "messages": re.compile(rb'"usage"|"stop_reason"\s*:\s*"|"message_stop"|"error"'),
    "responses": re.compile(rb'"response\.(completed|incomplete|failed)"|"error"'),
}
_USAGES: Mapping[str, Callable[[Mapping[str, Any] | None], Usage | None]] = {
    "chat": chat_usage,
    "gemini": gemini_usage,
    "messages": messages_usage,
    "responses": responses_usage,
}
# Where usage stands that does not stand under "usage".
_USAGE_KEYS: Mapping[str, str] = {"gemini": "usageMetadata"}


class StreamWatch:
    """Reads along a stream of server-sent events.

    Args:
        protocol: Whose events they are.

    Attributes:
        is_whole: Whether the model has finished: what is missing then is no part of its answer.
        is_over: Whether the end marker has come, behind which nothing counts.
        failure: What the provider reports in the middle of the stream; None for nothing.
    """

    def __init__(self, protocol: Protocols) -> None:
        self._protocol = protocol
        self._telling = _TELLING[protocol]
        self._rest: list[bytes] = []
        self._counted: dict[str, Any] = {}
        self.is_whole = False
        self.is_over = False
        self.failure: Mapping[str, Any] | None = None

    @property
    def is_within_event(self) -> bool:
        """Whether the last piece ended in the middle of a line."""
        return any(self._rest)

    @property
    def usage(self) -> Usage | None:
        """What was counted so far; None for nothing."""
        return usage_of(self._protocol, {_USAGE_KEYS.get(self._protocol, "usage"): self._counted})

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if b"\n" not in data:
            self._rest.append(data)
            return
        first, *lines = data.split(b"\n")
        line = b"".join((*self._rest, first))
        self._rest = [lines.pop()]
        for one in (line, *lines):
            if one[:5] == b"data:" and self._telling.search(one):
                self._read(one[5:].strip())

    def _read(self, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            self.is_over = True
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            return  # the client will see for itself
        if not isinstance(event, dict):
            return
        match self._protocol:
            case "chat":
                self._chat(event)
            case "gemini":
                self._gemini(event)
            case "messages":
                self._messages(event)
            case _:
                self._responses(event)

    def _chat(self, event: Mapping[str, Any]) -> None:
        if event.get("error"):
            self.failure = event
        self._count(event.get("usage"))
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("finish_reason"):
                self.is_whole = True

    def _gemini(self, event: Mapping[str, Any]) -> None:
        if event.get("error"):
            self.failure = event
        self._count(event.get("usageMetadata"))
        candidates, feedback = event.get("candidates"), event.get("promptFeedback")
        first = candidates[0] if isinstance(candidates, list) and candidates else {}
        blocked = isinstance(feedback, dict) and feedback.get("blockReason")
        if blocked or (isinstance(first, dict) and first.get("finishReason")):
            self.is_whole = self.is_over = True  # there is no other end marker

    def _messages(self, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "error":
                self.failure = event
            case "message_start":
                message = event.get("message")
                self._count(message.get("usage") if isinstance(message, dict) else None)
            case "message_delta":
                delta = event.get("delta")
                if isinstance(delta, dict) and delta.get("stop_reason"):
                    self.is_whole = True
                self._count(event.get("usage"))
            case "message_stop":
                self.is_whole = self.is_over = True

    def _responses(self, event: Mapping[str, Any]) -> None:
        response = event.get("response")
        match event.get("type"):
            case "error":
                self.failure = event
            case "response.failed":
                self.failure = response if isinstance(response, dict) else event
            case "response.completed" | "response.incomplete":
                self._count(response.get("usage") if isinstance(response, dict) else None)
                self.is_whole = self.is_over = True

    def _count(self, usage: object) -> None:
        # Later figures replace earlier ones; a figure that is left out is the one of before.
        if isinstance(usage, dict):
            self._counted |= {name: one for name, one in usage.items() if one is not None}


def usage_of(protocol: Protocols, answer: Any) -> Usage | None:
    """The usage in an answer that came as one JSON object; None where it has none."""
    key = _USAGE_KEYS.get(protocol, "usage")
    usage = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return None
    try:
        return _USAGES[protocol](usage)
    except (AttributeError, TypeError, ValidationError):
        return None  # figures that are none
