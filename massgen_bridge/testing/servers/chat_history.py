"""The rules that OpenAI holds the messages of a chat to, and their text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["check_messages", "text_of"]

_ROLES = frozenset({"assistant", "developer", "function", "system", "tool", "user"})


def check_messages(messages: Sequence[Any]) -> str | None:
    """Why the messages are refused; None when they are well formed.

    Every result of a tool has to answer a call of the assistant's message before it, and every
    call has to be answered before anybody else speaks.
    """
    unanswered: set[str] = set()
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            return f"'messages[{index}]' has no role that is known: {message!r}"
        if message["role"] == "tool":
            call_id = message.get("tool_call_id")
            if call_id not in unanswered:
                return (
                    f"'messages[{index}]' has the role 'tool' but answers no preceding "
                    f"'tool_calls' (tool_call_id: {call_id!r})"
                )
            unanswered.discard(call_id)
            continue
        if unanswered:
            return (
                "an assistant message with 'tool_calls' must be followed by tool messages for "
                f"each 'tool_call_id'; no answer before 'messages[{index}]' to: "
                f"{', '.join(sorted(unanswered))}"
            )
        unanswered = {call["id"] for call in message.get("tool_calls") or ()}
    if unanswered:
        return f"no tool messages answer the 'tool_calls': {', '.join(sorted(unanswered))}"
    return None


def text_of(message: Mapping[str, Any]) -> str:
    """The text of one message; parts that are not text are left out."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content or () if "text" in part)
