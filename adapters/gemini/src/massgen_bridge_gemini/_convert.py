"""From the bridge's messages to the contents of the Gemini API, and back.

Contents are what becomes JSON, but for the bytes of media, which are encoded when they are sent.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
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
from massgen_bridge.adapting import check_input, made_part, misplaced_part, two_sided

__all__ = ["JsonPart", "bytes_of", "conversation", "declarations", "media_of", "tool_results"]

JsonPart = dict[str, Any]
"""A part of a content."""

_CARRIER = "Gemini"
_IMAGE_TYPES = frozenset({"image/heic", "image/heif", "image/jpeg", "image/png", "image/webp"})
_DOCUMENT_TYPES = frozenset({"application/json", "application/pdf", "application/rtf"})
_ALIASES = {"audio/mpeg": "audio/mp3", "audio/x-wav": "audio/wav", "image/jpg": "image/jpeg"}
# Newer models refuse calls that are not signed; this stands for one that another model has made.
_STAND_IN = b"skip_thought_signature_validator"


def conversation(
    messages: Iterable[Message], inputs: Collection[InputKind], *, beside: bool
) -> tuple[str, list[dict[str, Any]]]:
    """The history as Gemini takes it: the system instruction and the contents.

    All system messages go into the one system instruction. Messages of one side that follow each
    other become one. Text that is empty is left out, since the API refuses it.

    Args:
        messages: The history, in order.
        inputs: Kinds of media that the model takes.
        beside: Whether the media of a tool's result stand beside it, rather than within.

    Raises:
        UnsupportedContent: A part cannot be carried, or the history does not begin with a user's
            message.
    """
    parts = partial(_parts, inputs=inputs, beside=beside)
    system, sides = two_sided(messages, parts, carrier=_CARRIER, model_side="model")
    prompt = "\n\n".join(text for text in system if text)
    return prompt, [{"role": side, "parts": parts} for side, parts in sides]


def _parts(message: Message, *, inputs: Collection[InputKind], beside: bool) -> Iterator[JsonPart]:
    match message.role:
        case "user":
            for part in message.parts:
                yield from _said(part, message, inputs)
        case "assistant":
            signature: bytes | None = _STAND_IN
            for part in message.parts:
                if isinstance(part, ToolCall):
                    # Only the first of calls that are made at once is signed.
                    yield _call(part, signature)
                    signature = None
                else:
                    yield from _said(part, message, None)
        case "tool":
            for part in message.parts:
                if not isinstance(part, ToolResult):
                    raise misplaced_part(part, message, carrier=_CARRIER)
            results = [part for part in message.parts if isinstance(part, ToolResult)]
            ids = [result.call_id for result in results]
            yield from tool_results(results, ids, beside=beside)
        case "system":
            raise AssertionError("system messages go another way")
        case _:
            assert_never(message.role)


def _said(part: Part, message: Message, inputs: Collection[InputKind] | None) -> Iterator[JsonPart]:
    """A part that somebody said or showed; with `inputs` None, it is the model's own."""
    match part:
        case TextPart():
            if part.text:
                yield {"text": part.text}
        case ToolCall() | ToolResult():
            raise misplaced_part(part, message, carrier=_CARRIER)
        case ImagePart() | AudioPart() | VideoPart() | DocumentPart():
            if inputs is not None:
                check_input(part, inputs)
            yield _media(part)
        case _:
            assert_never(part)


def _media(part: MediaPart) -> JsonPart:
    media_type = _checked_type(part)
    if part.data is None:
        return {"fileData": {"fileUri": part.url, "mimeType": media_type}}
    return {"inlineData": {"data": part.data, "mimeType": media_type}}


def _checked_type(part: MediaPart) -> str:
    media_type = _ALIASES.get(part.media_type, part.media_type)
    match part:
        case ImagePart():
            taken, what = media_type in _IMAGE_TYPES, "pictures as jpeg, png, webp, heic or heif"
        case DocumentPart():
            taken = media_type in _DOCUMENT_TYPES or media_type.startswith("text/")
            what = "documents as PDF, RTF, JSON or text"
        case AudioPart() | VideoPart():
            return media_type
        case _:
            assert_never(part)
    if not taken:
        raise UnsupportedContent(f"{_CARRIER} takes {what}, not as {part.media_type!r}; convert it")
    return media_type


def _call(call: ToolCall, signature: bytes | None) -> JsonPart:
    arguments = call.arguments if call.malformed is None else {"malformed": call.malformed}
    made: JsonPart = {
        "functionCall": {"id": call.call_id, "name": call.name, "args": arguments},
    }
    return made if signature is None else made | {"thoughtSignature": signature}


def tool_results(
    results: Iterable[ToolResult], ids: Iterable[str | None], *, beside: bool
) -> Iterator[JsonPart]:
    """What tool calls gave that were made at once, one part for each, and media behind them.

    Args:
        results: The results.
        ids: Of the calls, as the API knows them; None for a call that has none.
        beside: Whether their media stand beside them, rather than within.
    """
    shown: list[JsonPart] = []
    for result, call_id in zip(results, ids, strict=True):
        given: dict[str, Any] = {
            "name": result.name,
            "response": {"error" if result.is_error else "output": result.content},
        }
        if call_id is not None:
            given["id"] = call_id
        media = list(map(_media, result.media))
        if beside:
            shown += media
        elif media:
            given["parts"] = media
        yield {"functionResponse": given}
    yield from shown


def declarations(tools: Iterable[ToolDefinition]) -> dict[str, Any]:
    """Tools as Gemini takes them."""
    return {
        "functionDeclarations": [
            {
                "name": tool.name,
                "description": tool.description,
                "parametersJsonSchema": tool.input_schema,
            }
            for tool in tools
        ]
    }


def media_of(part: Mapping[str, Any]) -> MediaPart | None:
    """What a part of an answer shows; None where it shows nothing."""
    if (blob := part.get("inlineData")) and blob.get("data") is not None:
        return made_part(blob.get("mimeType"), data=bytes_of(blob["data"]))
    if (file := part.get("fileData")) and file.get("fileUri") is not None:
        return made_part(file.get("mimeType"), url=file["fileUri"])
    return None


def bytes_of(data: bytes | str) -> bytes:
    """The bytes of media, which came as base64 where the model made them.

    Raises:
        ValueError: They did not.
    """
    if isinstance(data, bytes):
        return data
    # JSON for protocol buffers knows both alphabets, with and without the padding.
    return base64.b64decode(data.replace("-", "+").replace("_", "/") + "==")
