"""What the messages of an Anthropic Messages request say."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.model_request import SentCall, SentMedia, SentMessage
from massgen_bridge.testing.servers.wire_values import counted_tokens, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Block", "blocks_of", "last_text", "prompt_tokens", "read_messages", "signature_of"]

Block = Mapping[str, Any]
"""A content block as it was sent."""

_MEDIA = {"document": "application/*", "image": "image/*"}


def blocks_of(content: str | Sequence[Block] | None) -> Sequence[Block]:
    """The content of a message, a tool's result or a system prompt as blocks."""
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    return content or ()


def last_text(body: Mapping[str, Any]) -> str:
    """The text of the last message, which is that of the last result where it ends with one."""
    blocks = blocks_of(body["messages"][-1]["content"])
    if blocks and _is_result(blocks[-1]):
        return _text(blocks_of(blocks[-1].get("content")))
    return _text(blocks)


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """How many tokens the prompt is said to have."""
    contents = [body.get("system"), *(message["content"] for message in body["messages"])]
    return counted_tokens(sum(map(_chars, contents)), len(body["messages"]))


def read_messages(body: Mapping[str, Any]) -> tuple[SentMessage, ...]:
    """What the messages of a request say.

    Raises:
        ValueError: media are not in base64.
    """
    system = _text(blocks_of(body.get("system")))
    messages = [SentMessage(role="system", text=system)] if system else []
    for message in body["messages"]:
        for is_result, group in groupby(blocks_of(message["content"]), _is_result):
            blocks = tuple(group)
            messages += map(_result, blocks) if is_result else [_said(message["role"], blocks)]
    return tuple(messages)


def signature_of(thinking: str) -> str:
    """The signature of a block of thinking, by which it is known again."""
    return base64.b64encode(hashlib.sha256(thinking.encode("utf-8", "replace")).digest()).decode()


def _is_result(block: Block) -> bool:
    return block.get("type") == "tool_result"


def _chars(content: str | Sequence[Block] | None) -> int:
    if isinstance(content, str):
        return len(content)
    return sum(
        _chars(block.get("content")) if _is_result(block) else len(block.get("text", ""))
        for block in content or ()
    )


def _text(blocks: Iterable[Block]) -> str:
    return "".join(block["text"] for block in blocks if block.get("type") == "text")


def _said(role: Any, blocks: Sequence[Block]) -> SentMessage:
    return SentMessage(
        role=role,
        text=_text(blocks),
        calls=tuple(
            SentCall(call_id=block["id"], name=block["name"], arguments=block["input"])
            for block in blocks
            if block.get("type") == "tool_use"
        ),
        media=tuple(_media(blocks)),
        reasoning="".join(block["thinking"] for block in blocks if block.get("type") == "thinking"),
    )


def _result(block: Block) -> SentMessage:
    blocks = blocks_of(block.get("content"))
    return SentMessage(
        role="tool",
        text=_text(blocks),
        media=tuple(_media(blocks)),
        answers=block["tool_use_id"],
        is_error=block.get("is_error") is True,
    )


def _media(blocks: Iterable[Block]) -> Iterator[SentMedia]:
    for block in blocks:
        kind = _MEDIA.get(block.get("type", ""))
        if kind is None:
            continue
        match block["source"]:
            case {"type": "base64", "media_type": media_type, "data": data}:
                yield SentMedia(media_type=media_type, data=decoded(data))
            case {"type": "text", "media_type": media_type, "data": data}:
                yield SentMedia(media_type=media_type, data=data.encode())
            case {"type": "url", "url": url}:
                yield SentMedia(media_type=kind, url=url)
            case {"type": "file"}:
                yield SentMedia(media_type=kind)
