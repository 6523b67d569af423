"""What the items of a Responses request say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from massgen_bridge.testing.servers.model_request import SentCall, SentMedia, SentMessage
from massgen_bridge.testing.servers.wire_values import counted_tokens, json_or_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SEAL", "Item", "items_of", "last_text", "parts_of", "prompt_tokens", "read_messages"]

Item = Mapping[str, Any]
"""An item of a request's input as it was sent."""

SEAL = b"sealed:"
"""Stands before a reasoning item's id in its encrypted content, by which it is known again."""

_ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "assistant": "assistant",
    "developer": "system",
    "system": "system",
    "user": "user",
}


def items_of(body: Mapping[str, Any]) -> Sequence[Item]:
    """The input as items."""
    given = body["input"]
    if isinstance(given, str):
        return ({"type": "message", "role": "user", "content": given},)
    found: Sequence[Item] = given
    return found


def parts_of(content: str | Sequence[Item] | None) -> Sequence[Item]:
    """The content of a message or of a tool's result as parts."""
    if isinstance(content, str):
        return ({"type": "input_text", "text": content},)
    return content or ()


def last_text(items: Sequence[Item]) -> str:
    """The text of the last message or result."""
    said = [item for item in items if "content" in item or "output" in item]
    return _text(_content(said[-1])) if said else ""


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """How many tokens the prompt is said to have."""
    items = items_of(body)
    chars = len(body.get("instructions") or "") + sum(len(_text(_content(one))) for one in items)
    return counted_tokens(chars, len(items))


def read_messages(
    body: Mapping[str, Any], uploaded: Callable[[str], bytes | None] = lambda _: None
) -> tuple[SentMessage, ...]:
    """What the items of a request say; those that follow each other from one side are one message.

    Args:
        body: Of the request.
        uploaded: Gives the bytes of a file by its id; None where there is none.

    Raises:
        ValueError: Media are not in base64.
    """
    instructions = body.get("instructions")
    messages = [SentMessage(role="system", text=instructions)] if instructions else []
    own: list[Item] = []
    for item in items_of(body):
        if _is_own(item):
            own.append(item)
            continue
        messages += _assistant(own)
        own = []
        messages.append(_given(item, uploaded))
    return (*messages, *_assistant(own))


def _is_own(item: Item) -> bool:
    """Whether the model said it."""
    return item.get("role") == "assistant" or (
        "role" not in item and item.get("type") != "function_call_output"
    )


def _assistant(items: Sequence[Item]) -> Iterator[SentMessage]:
    """What the model said, a message for each of its texts: its calls belong to the one before."""
    groups: list[list[Item]] = []
    for item in items:
        is_message = item.get("role") == "assistant"
        if not groups or (is_message and any(one.get("role") for one in groups[-1])):
            groups.append([])
        groups[-1].append(item)
    for group in groups:
        yield SentMessage(
            role="assistant",
            text="".join(_text(_content(item)) for item in group if "role" in item),
            calls=tuple(_calls(group)),
            reasoning="".join(
                part["text"]
                for item in group
                if item.get("type") == "reasoning"
                for part in (*item.get("summary", ()), *(item.get("content") or ()))
            ),
        )


def _calls(items: Iterable[Item]) -> Iterator[SentCall]:
    for item in items:
        if item.get("type") == "function_call":
            arguments = json_or_text(item["arguments"])
            yield SentCall(call_id=item["call_id"], name=item["name"], arguments=arguments)


def _given(item: Item, uploaded: Callable[[str], bytes | None]) -> SentMessage:
    parts = _content(item)
    media = tuple(_media(parts, uploaded))
    if item.get("type") == "function_call_output":
        return SentMessage(role="tool", text=_text(parts), media=media, answers=item["call_id"])
    return SentMessage(role=_ROLES[item["role"]], text=_text(parts), media=media)


def _content(item: Item) -> Sequence[Item]:
    return parts_of(item.get("output", item.get("content")))


def _text(parts: Iterable[Item]) -> str:
    return "".join(part.get("text", part.get("refusal", "")) for part in parts)


def _media(parts: Iterable[Item], uploaded: Callable[[str], bytes | None]) -> Iterator[SentMedia]:
    for part in parts:
        match part:
            case {"file_id": str(file_id)}:
                kind = "image/*" if part["type"] == "input_image" else "application/*"
                yield SentMedia(media_type=kind, data=uploaded(file_id))
            case {"type": "input_image", "image_url": url}:
                yield SentMedia.at(url, "image/*")
            case {"type": "input_file", "file_data": url}:
                yield SentMedia.at(url, "application/*")
            case {"type": "input_file", "file_url": url}:
                yield SentMedia(media_type="application/*", url=url)
