"""Streams of Messages, event by event, as servers really send them."""

from __future__ import annotations

import json
from typing import Any

from massgen_bridge.testing.servers import HttpError

__all__ = ["COUNTED", "Event", "begin", "block", "end", "sse", "text"]

Event = dict[str, Any]
COUNTED = {"input_tokens": 3, "output_tokens": 1}


def sse(*events: Any) -> HttpError:
    """A stream of these events, whatever they are."""
    body = "".join(f"event: {_name(event)}\ndata: {json.dumps(event)}\n\n" for event in events)
    return HttpError(status=200, body=body, content_type="text/event-stream")


def _name(event: Any) -> str:
    """The event's name; an older SDK leaves out those that it does not know."""
    return event["type"] if isinstance(event, dict) else "content_block_delta"


def begin(*, usage: Event | None = None, **message: Any) -> Event:
    """The event that a message begins with."""
    told = {"role": "assistant", "usage": usage or COUNTED, **message}
    return {"type": "message_start", "message": told}


def block(index: int, kind: str, *deltas: Event, **start: Any) -> list[Event]:
    """A content block."""
    return [
        {
            "type": "content_block_start",
            "index": index,
            "content_block": {"type": kind, **start},
        },
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str, **start: Any) -> list[Event]:
    """A block of text."""
    deltas = ({"type": "text_delta", "text": piece} for piece in pieces)
    return block(index, "text", *deltas, **{"text": "", **start})


def end(reason: str | None = "end_turn", *, usage: Any = None, **delta: Any) -> list[Event]:
    """The events that a message ends with."""
    told = {"type": "message_delta", "delta": {"stop_reason": reason, **delta}}
    return [told if usage is None else {**told, "usage": usage}, {"type": "message_stop"}]
