"""From the bridge's messages to the input of Responses."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, assert_never

from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import (
    AudioPart,
    DocumentPart,
    ImagePart,
    TextPart,
    ToolCall,
    ToolResult,
    VideoPart,
)
from massgen_bridge.models.chat_messages import call_arguments, data_url, in_order
from massgen_bridge.models.content import check_input, misplaced_part, only_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from massgen_bridge.agent import InputKind
    from massgen_bridge.messages import MediaPart, Message, Part

__all__ = ["responses_input", "responses_results"]

_CARRIER = "Responses"
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")

Item = dict[str, Any]


def responses_input(
    messages: Iterable[Message],
    inputs: Collection[InputKind],
) -> list[Item]:
    """The history as Responses takes it.

    Pictures that the model itself has shown follow its message as a user's, since the protocol
    has no place for them in its own.

    Args:
        messages: The history, in order.
        inputs: Kinds of media that the model takes.

    Raises:
        UnsupportedContent: A part cannot be carried.
    """
    items: list[Item] = []
    for message in in_order(messages, results_carry_media=True):
        items += _items(message, inputs)
    return items


def responses_results(
    results: Sequence[ToolResult],
    inputs: Collection[InputKind],
) -> list[Item]:
    """The results of tool calls as items.

    Args:
        results: In the order of their calls.
        inputs: Kinds of media that the model takes.

    Raises:
        UnsupportedContent: A result has a part that cannot be carried.
    """
    return [_result(result, inputs) for result in results]


def _items(message: Message, inputs: Collection[InputKind]) -> Iterator[Item]:
    match message.role:
        case "system":
            yield {"role": "system", "content": only_text(message, carrier=_CARRIER)}
        case "user":
            yield {"role": "user", "content": _content(message, inputs)}
        case "assistant":
            calls = message.tool_calls
            text = only_text(message, carrier=_CARRIER, besides=ToolCall)
            if text or not calls:
                yield {"role": "assistant", "content": text}
            for call in calls:
                yield {
                    "type": "function_call",
                    "call_id": _call_id(call.call_id),
                    "name": call.name,
                    "arguments": call_arguments(call),
                }
        case "tool":
            for part in message.parts:
                if not isinstance(part, ToolResult):
                    raise misplaced_part(part, message, carrier=_CARRIER)
                yield _result(part, inputs)
        case _:
            assert_never(message.role)


def _call_id(call_id: str) -> str:
    if _CALL_ID.fullmatch(call_id):
        return call_id
    # Another provider's, which this one refuses.
    return f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:32]}"


def _result(result: ToolResult, inputs: Collection[InputKind]) -> Item:
    output: str | list[Item] = result.content
    if result.media:
        text = [{"type": "input_text", "text": result.content}] if result.content else []
        output = [*text, *(_media(part, inputs) for part in result.media)]
    return {
        "type": "function_call_output",
        "call_id": _call_id(result.call_id),
        "output": output,
    }


def _content(message: Message, inputs: Collection[InputKind]) -> str | list[Item]:
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.text
    return [_part(part, message, inputs) for part in message.parts]


def _part(part: Part, message: Message, inputs: Collection[InputKind]) -> Item:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, ToolCall | ToolResult):
        raise misplaced_part(part, message, carrier=_CARRIER)
    return _media(part, inputs)


def _media(part: MediaPart, inputs: Collection[InputKind]) -> Item:
    check_input(part, inputs)
    match part:
        case ImagePart():
            url = data_url(part) if part.url is None else part.url
            return {"type": "input_image", "image_url": url, "detail": "auto"}
        case DocumentPart():
            return _document(part)
        case AudioPart() | VideoPart():
            raise UnsupportedContent(
                f"{_CARRIER} has no form for {part.type}; leave it out, or set "
                "'protocol: chat' for the connection where its model hears or sees it there"
            )
        case _:
            assert_never(part)


def _document(part: DocumentPart) -> Item:
    if part.data is None:
        return {"type": "input_file", "file_url": part.url}
    name = part.name or f"document.{part.media_type.partition('/')[2]}"
    return {"type": "input_file", "filename": name, "file_data": data_url(part)}
