"""From the bridge's messages to those of the Messages protocol."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, assert_never

import anthropic

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
from massgen_bridge.adapting import check_input, misplaced_part, only_text, two_sided

__all__ = ["blocks_of", "conversation", "output_format", "tool_results", "tool_use", "wire_tools"]

_CARRIER = "Messages"
_IMAGE_TYPES = {
    "image/gif": "image/gif",
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/png": "image/png",
    "image/webp": "image/webp",
}
_PDF = "application/pdf"
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")

Block = dict[str, Any]


def conversation(
    messages: Iterable[Message], inputs: Collection[InputKind]
) -> tuple[str, list[dict[str, Any]]]:
    """The history as Messages takes it: the system prompt and the messages.

    All system messages go into the one system prompt. Messages of one side that follow each
    other become one. Text that is empty or nothing but white space is left out, since the
    protocol refuses it.

    Args:
        messages: The history, in order.
        inputs: Kinds of media that the model takes.

    Raises:
        UnsupportedContent: A part cannot be carried, or the history does not begin with a user's
            message.
    """
    blocks = partial(_blocks, inputs=inputs)
    system, sides = two_sided(messages, blocks, carrier=_CARRIER, model_side="assistant")
    prompt = "\n\n".join(text for text in system if text.strip())
    return prompt, [{"role": side, "content": _content(said)} for side, said in sides]


def _content(blocks: list[Block]) -> str | list[Block]:
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        text: str = blocks[0]["text"]
        return text
    return blocks


def blocks_of(content: str | list[Block]) -> list[Block]:
    """The content of a message as blocks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _blocks(message: Message, inputs: Collection[InputKind]) -> Iterator[Block]:
    match message.role:
        case "user":
            if all(isinstance(part, TextPart) for part in message.parts):
                yield from _text(message.text)
                return
            for part in message.parts:
                yield from _user_part(part, message, inputs)
        case "assistant":
            yield from _text(only_text(message, carrier=_CARRIER, besides=ToolCall))
            yield from map(tool_use, message.tool_calls)
        case "tool":
            for part in message.parts:
                if not isinstance(part, ToolResult):
                    raise misplaced_part(part, message, carrier=_CARRIER)
                yield _result(part)
        case "system":
            raise AssertionError("system messages go another way")
        case _:
            assert_never(message.role)


def _text(text: str) -> Iterator[Block]:
    if text.strip():
        yield {"type": "text", "text": text}


def tool_use(call: ToolCall) -> Block:
    """A tool call of the model, as it goes back to it."""
    arguments = call.arguments if call.malformed is None else {"malformed": call.malformed}
    return {
        "type": "tool_use",
        "id": _call_id(call.call_id),
        "name": call.name,
        "input": arguments,
    }


def tool_results(results: Iterable[ToolResult]) -> dict[str, Any]:
    """The message that answers tool calls which were made at once."""
    return {"role": "user", "content": [_result(result) for result in results]}


def _result(result: ToolResult) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": _call_id(result.call_id)}
    if result.media:
        block["content"] = [*_text(result.content), *map(_medium, result.media)]
    elif result.content.strip():
        block["content"] = result.content
    if result.is_error:
        block["is_error"] = True
        block.setdefault("content", "(no text)")  # an error has to say something
    return block


def _call_id(call_id: str) -> str:
    """The id in the characters that the protocol allows; other providers have further ones."""
    return _NOT_IN_IDS.sub("_", call_id) or "_"


def _user_part(part: Part, message: Message, inputs: Collection[InputKind]) -> Iterator[Block]:
    match part:
        case TextPart():
            yield from _text(part.text)
        case ToolCall() | ToolResult():
            raise misplaced_part(part, message, carrier=_CARRIER)
        case ImagePart() | DocumentPart():
            check_input(part, inputs)
            yield _medium(part)
        case AudioPart() | VideoPart():
            yield _medium(part)
        case _:
            assert_never(part)


def _medium(part: MediaPart) -> Block:
    match part:
        case ImagePart():
            return {"type": "image", "source": _image_source(part)}
        case DocumentPart():
            title = {} if part.name is None else {"title": part.name}
            return {"type": "document", "source": _document_source(part), **title}
        case AudioPart() | VideoPart():
            raise UnsupportedContent(f"{_CARRIER} has no form for {part.type}")
        case _:
            assert_never(part)


def _image_source(part: ImagePart) -> dict[str, Any]:
    if part.data is None:
        return {"type": "url", "url": part.url}
    media_type = _IMAGE_TYPES.get(part.media_type)
    if media_type is None:
        raise UnsupportedContent(
            f"{_CARRIER} takes pictures as jpeg, png, gif or webp, not as {part.media_type!r}; "
            "convert it"
        )
    return {"type": "base64", "media_type": media_type, "data": _base64(part.data)}


def _document_source(part: DocumentPart) -> dict[str, Any]:
    if part.media_type == _PDF:
        if part.data is None:
            return {"type": "url", "url": part.url}
        return {"type": "base64", "media_type": _PDF, "data": _base64(part.data)}
    if part.media_type.startswith("text/") and part.data is not None:
        try:
            text = part.data.decode()
        except UnicodeDecodeError as error:
            raise UnsupportedContent(
                f"{_CARRIER} takes documents of type {part.media_type!r} in UTF-8 only: {error}"
            ) from error
        return {"type": "text", "media_type": "text/plain", "data": text}
    raise UnsupportedContent(
        f"{_CARRIER} takes documents as PDF, or as text that is given by its bytes, not as "
        f"{part.media_type!r}{' by address' if part.data is None else ''}; convert it"
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def wire_tools(tools: Iterable[ToolDefinition]) -> list[dict[str, Any]]:
    """Tools as Messages takes them."""
    return [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        for tool in tools
    ]


def output_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema as the form that the answer must have.

    What the provider cannot hold the model to is told to it in words, by the SDK's own helper.
    """
    try:
        held = anthropic.transform_schema(dict(schema))
    except (AssertionError, AttributeError, TypeError, ValueError):
        held = dict(schema)  # beyond the helper; the provider says what is wrong with it, if at all
    return {"type": "json_schema", "schema": held}
