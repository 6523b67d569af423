"""From the bridge's messages, tools and schemas to the parameters of Chat Completions."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, assert_never

from massgen_bridge import (
    AudioPart,
    DocumentPart,
    ImagePart,
    InputKind,
    MediaPart,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolDefinition,
    ToolResult,
    UnsupportedContent,
    VideoPart,
)

__all__ = ["assistant_message", "chat_messages", "chat_tools", "response_format"]

_AUDIO_FORMATS = {
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/vnd.wave": "wav",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
}

_STRICT_KEYWORDS = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    }
)


def chat_messages(
    messages: Iterable[Message], inputs: Collection[InputKind]
) -> list[dict[str, Any]]:
    """The history as Chat Completions takes it.

    Args:
        messages: The history, in order.
        inputs: Kinds of media that the model takes.

    Raises:
        UnsupportedContent: A part cannot be carried.
    """
    return [converted for message in messages for converted in _convert(message, inputs)]


def _convert(message: Message, inputs: Collection[InputKind]) -> Iterator[dict[str, Any]]:
    match message.role:
        case "system":
            yield _named({"role": "system", "content": _only_text(message)}, message)
        case "user":
            yield _named({"role": "user", "content": _user_content(message, inputs)}, message)
        case "assistant":
            calls = message.tool_calls
            text = _only_text(message, besides=ToolCall)
            yield _named(assistant_message(text, calls), message)
        case "tool":
            for part in message.parts:
                if not isinstance(part, ToolResult):
                    raise _misplaced(part, message)
                yield {"role": "tool", "tool_call_id": part.call_id, "content": part.content}
        case _:
            assert_never(message.role)


def _named(converted: dict[str, Any], message: Message) -> dict[str, Any]:
    return converted if message.name is None else {**converted, "name": message.name}


def assistant_message(text: str, calls: Iterable[ToolCall]) -> dict[str, Any]:
    """A message of the model, as it goes back to it."""
    wire_calls = [
        {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": _arguments(call)},
        }
        for call in calls
    ]
    if not wire_calls:
        return {"role": "assistant", "content": text}
    return {"role": "assistant", "content": text or None, "tool_calls": wire_calls}


def _arguments(call: ToolCall) -> str:
    # Servers that read the arguments of the history refuse a request that holds no valid JSON.
    arguments = call.arguments if call.malformed is None else {"malformed": call.malformed}
    return json.dumps(arguments, ensure_ascii=False)


def _only_text(message: Message, *, besides: type[ToolCall] | None = None) -> str:
    for part in message.parts:
        if not isinstance(part, TextPart) and (besides is None or not isinstance(part, besides)):
            raise _misplaced(part, message)
    return message.text


def _misplaced(part: Part, message: Message) -> UnsupportedContent:
    return UnsupportedContent(
        f"Chat Completions carries no part of type {part.type!r} in a message of role "
        f"{message.role!r}; put media into a user message and tool results into a tool message"
    )


def _user_content(message: Message, inputs: Collection[InputKind]) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.text  # a plain text is understood by every server
    return [_user_part(part, message, inputs) for part in message.parts]


def _user_part(part: Part, message: Message, inputs: Collection[InputKind]) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ToolCall | ToolResult):
        raise _misplaced(part, message)
    if part.type not in inputs:
        taken = ", ".join(sorted(inputs)) or "text only"
        raise UnsupportedContent(
            f"the model takes no {part.type!r} input (it takes: {taken}); leave it out, choose "
            "another model, or correct the traits of its connection"
        )
    match part:
        case ImagePart():
            return {"type": "image_url", "image_url": {"url": part.url or _data_url(part)}}
        case AudioPart():
            return {"type": "input_audio", "input_audio": _audio(part)}
        case DocumentPart():
            return {"type": "file", "file": _file(part)}
        case VideoPart():
            raise UnsupportedContent("Chat Completions has no form for video")
        case _:
            assert_never(part)


def _audio(part: AudioPart) -> dict[str, str]:
    sound_format = _AUDIO_FORMATS.get(part.media_type)
    if sound_format is None:
        raise UnsupportedContent(
            f"Chat Completions takes audio as wav or mp3, not as {part.media_type!r}; convert it"
        )
    return {"data": _base64(_data(part)), "format": sound_format}


def _file(part: DocumentPart) -> dict[str, str]:
    subtype = part.media_type.partition("/")[2]
    return {"filename": part.name or f"document.{subtype}", "file_data": _data_url(part)}


def _data_url(part: MediaPart) -> str:
    return f"data:{part.media_type};base64,{_base64(_data(part))}"


def _data(part: MediaPart) -> bytes:
    if part.data is None:
        raise UnsupportedContent(
            f"Chat Completions takes {part.type!r} input as data, not by address; "
            f"load {part.url!r} and give its bytes"
        )
    return part.data


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def chat_tools(tools: Iterable[ToolDefinition]) -> list[dict[str, Any]]:
    """Tools as Chat Completions takes them."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.input_schema,
            },
        }
        for tool in tools
    ]


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema as the form that the answer must have.

    It is strict where the provider can hold the model to every word of it; a schema beyond that
    is refused in strict mode, and only guides the model otherwise.
    """
    strict = schema.get("type") == "object" and _is_strict(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": strict},
    }


def _is_strict(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or not schema.keys() <= _STRICT_KEYWORDS:
        return False
    properties = schema.get("properties", {})
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(properties)
    ):
        return False
    parts = (*properties.values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ()))
    return all(map(_is_strict, parts)) and ("items" not in schema or _is_strict(schema["items"]))
