"""From the bridge's messages to those of Chat Completions."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, assert_never

from massgen_bridge.messages import (
    AudioPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    Message,
    TextPart,
    ToolCall,
    ToolResult,
)
from massgen_bridge.models.chat_forms import chat_media
from massgen_bridge.models.content import misplaced_part, only_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from massgen_bridge.agent import InputKind
    from massgen_bridge.messages import Part

__all__ = [
    "call_arguments",
    "chat_assistant",
    "chat_messages",
    "data_url",
    "in_order",
    "shown_by_tool",
]

_CARRIER = "Chat Completions"


def chat_messages(
    messages: Iterable[Message], inputs: Collection[InputKind]
) -> list[dict[str, Any]]:
    """The history as Chat Completions takes it.

    Only a user's message has a place for media. Those of a tool's result and those that the model
    itself has shown follow as a user's message, which says what they are from, once all calls are
    answered.

    Args:
        messages: The history, in order.
        inputs: Kinds of media that the model takes.

    Raises:
        UnsupportedContent: A part cannot be carried.
    """
    converted: list[dict[str, Any]] = []
    for message in in_order(messages, results_carry_media=False):
        converted += _convert(message, inputs)
    return converted


def in_order(messages: Iterable[Message], *, results_carry_media: bool) -> Iterator[Message]:
    """The history with media where OpenAI's protocols have a place for them.

    Args:
        messages: The history, in order.
        results_carry_media: Whether the result of a tool has a place for media.
    """
    waiting: list[Message] = []
    for message in messages:
        if message.role != "tool":
            yield from waiting
            waiting.clear()
        own, *shown = _parted(message) if message.role == "assistant" else (message,)
        waiting += shown
        if message.role == "tool" and not results_carry_media:
            waiting += _carried(message)
        yield own
    yield from waiting


def _parted(message: Message) -> Sequence[Message]:
    """A message of the model without its media, and a user's with them."""
    media = tuple(part for part in message.parts if isinstance(part, MediaPart))
    if not media:
        return (message,)
    told = TextPart(text="[What you, the assistant, showed in your message above:]")
    shown = Message(role="user", parts=(told, *media))
    rest = tuple(part for part in message.parts if part not in media)
    if not rest:
        return (shown,)
    return message.model_copy(update={"parts": rest}), shown


def _carried(message: Message) -> Iterator[Message]:
    """A user's message with the media of each result."""
    for part in message.parts:
        if isinstance(part, ToolResult) and part.media:
            told = shown_by_tool(part.name, part.call_id)
            yield Message(role="user", parts=(TextPart(text=told), *part.media))


def shown_by_tool(name: str, call_id: str) -> str:
    """What a user's message says of media that belong to the result of a tool."""
    return f"[What the tool {name!r} gave for the call {call_id!r}:]"


def _convert(message: Message, inputs: Collection[InputKind]) -> Iterator[dict[str, Any]]:
    match message.role:
        case "system":
            yield _named(
                {"role": "system", "content": only_text(message, carrier=_CARRIER)}, message
            )
        case "user":
            yield _named({"role": "user", "content": _user_content(message, inputs)}, message)
        case "assistant":
            calls = message.tool_calls
            text = only_text(message, carrier=_CARRIER, besides=ToolCall)
            yield _named(chat_assistant(text, calls), message)
        case "tool":
            for part in message.parts:
                if not isinstance(part, ToolResult):
                    raise misplaced_part(part, message, carrier=_CARRIER)
                yield {"role": "tool", "tool_call_id": part.call_id, "content": part.content}
        case _:
            assert_never(message.role)


def _named(converted: dict[str, Any], message: Message) -> dict[str, Any]:
    return converted if message.name is None else {**converted, "name": message.name}


def chat_assistant(text: str, calls: Iterable[ToolCall]) -> dict[str, Any]:
    """A message of the model, as it goes back to it."""
    wire_calls = [
        {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call_arguments(call)},
        }
        for call in calls
    ]
    if not wire_calls:
        return {"role": "assistant", "content": text}
    return {"role": "assistant", "content": text or None, "tool_calls": wire_calls}


def call_arguments(call: ToolCall) -> str:
    """The arguments of a call as JSON."""
    # Servers that read the arguments of the history refuse a request that holds no valid JSON.
    arguments = call.arguments if call.malformed is None else {"malformed": call.malformed}
    return json.dumps(arguments, ensure_ascii=False)


def _user_content(message: Message, inputs: Collection[InputKind]) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.text  # a plain text is understood by every server
    return [_user_part(part, message, inputs) for part in message.parts]


def _user_part(part: Part, message: Message, inputs: Collection[InputKind]) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ToolCall | ToolResult):
        raise misplaced_part(part, message, carrier=_CARRIER)
    part = chat_media(part, inputs)
    match part:
        case ImagePart():
            return {"type": "image_url", "image_url": {"url": part.url or data_url(part)}}
        case AudioPart():
            sound_format = part.media_type.partition("/")[2]
            sound = {"data": _base64(part), "format": sound_format}
            return {"type": "input_audio", "input_audio": sound}
        case DocumentPart():
            file = {"filename": part.name, "file_data": data_url(part)}
            return {"type": "file", "file": file}
        case _:
            assert_never(part)


def data_url(part: MediaPart) -> str:
    """The bytes of media as an address."""
    return f"data:{part.media_type};base64,{_base64(part)}"


def _base64(part: MediaPart) -> str:
    return base64.b64encode(part.data or b"").decode("ascii")
