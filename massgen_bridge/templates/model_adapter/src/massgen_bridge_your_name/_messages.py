"""The history of a turn in the form of the protocol. What has no form there is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from massgen_bridge import Message, ToolCall, ToolResult
from massgen_bridge.adapting import misplaced_part, only_text

__all__ = ["assistant_message", "chat_messages", "tool_messages"]

_CARRIER = "this agent"


def chat_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """All messages, in order."""
    return [form for message in messages for form in _forms(message)]


def assistant_message(text: str, calls: Iterable[ToolCall]) -> dict[str, Any]:
    """What the model said, as it goes back to it."""
    made = [
        {
            "id": call.call_id,
            "type": "function",
            # Arguments that were no JSON go back as they came.
            "function": {
                "name": call.name,
                "arguments": call.malformed or json.dumps(call.arguments),
            },
        }
        for call in calls
    ]
    return {"role": "assistant", "content": text, **({"tool_calls": made} if made else {})}


def tool_messages(results: Iterable[ToolResult]) -> list[dict[str, Any]]:
    """A message for each result."""
    return chat_messages([Message(role="tool", parts=tuple(results))])


def _forms(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "assistant":
        text = only_text(message, carrier=_CARRIER, besides=ToolCall)
        yield assistant_message(text, message.tool_calls)
    elif message.role == "tool":
        for part in message.parts:
            if not isinstance(part, ToolResult):
                raise misplaced_part(part, message, carrier=_CARRIER)
            for shown in part.media:  # pictures that a tool gave have no form here
                raise misplaced_part(shown, message, carrier=_CARRIER)
            yield {"role": "tool", "tool_call_id": part.call_id, "content": part.content}
    else:
        yield {"role": message.role, "content": only_text(message, carrier=_CARRIER)}
