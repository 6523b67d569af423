"""From the bridge's messages to the contents of the Gemini API."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, assert_never

from google.genai import types

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
from massgen_bridge.adapting import check_input, misplaced_part, only_text

__all__ = ["conversation", "declarations", "media_of", "tool_results"]

_CARRIER = "Gemini"
_IMAGE_TYPES = frozenset({"image/heic", "image/heif", "image/jpeg", "image/png", "image/webp"})
_DOCUMENT_TYPES = frozenset({"application/json", "application/pdf", "application/rtf"})
_ALIASES = {"audio/mpeg": "audio/mp3", "audio/x-wav": "audio/wav", "image/jpg": "image/jpeg"}
# Newer models refuse calls that are not signed; this stands for one that another model has made.
_STAND_IN = b"skip_thought_signature_validator"


def conversation(
    messages: Iterable[Message], inputs: Collection[InputKind], *, beside: bool
) -> tuple[str, list[types.Content]]:
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
    system: list[str] = []
    sides: list[tuple[str, list[types.Part]]] = []
    for message in messages:
        if message.role == "system":
            system.append(only_text(message, carrier=_CARRIER))
            continue
        side = "model" if message.role == "assistant" else "user"
        parts = list(_parts(message, inputs, beside=beside))
        if sides and sides[-1][0] == side:
            sides[-1][1].extend(parts)
        elif parts:
            sides.append((side, parts))
    if not sides or sides[0][0] != "user":
        raise UnsupportedContent(
            f"{_CARRIER} carries no history that begins with "
            f"{'an assistant message' if sides else 'nothing'}; begin it with a user message that "
            "says or shows something"
        )
    prompt = "\n\n".join(text for text in system if text)
    return prompt, [types.Content(role=side, parts=parts) for side, parts in sides]


def _parts(
    message: Message, inputs: Collection[InputKind], *, beside: bool
) -> Iterator[types.Part]:
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


def _said(
    part: Part, message: Message, inputs: Collection[InputKind] | None
) -> Iterator[types.Part]:
    """A part that somebody said or showed; with `inputs` None, it is the model's own."""
    match part:
        case TextPart():
            if part.text:
                yield types.Part(text=part.text)
        case ToolCall() | ToolResult():
            raise misplaced_part(part, message, carrier=_CARRIER)
        case ImagePart() | AudioPart() | VideoPart() | DocumentPart():
            if inputs is not None:
                check_input(part, inputs)
            yield _media(part)
        case _:
            assert_never(part)


def _media(part: MediaPart) -> types.Part:
    media_type = _checked_type(part)
    if part.data is None:
        return types.Part(file_data=types.FileData(file_uri=part.url, mime_type=media_type))
    return types.Part(inline_data=types.Blob(data=part.data, mime_type=media_type))


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


def _call(call: ToolCall, signature: bytes | None) -> types.Part:
    arguments = call.arguments if call.malformed is None else {"malformed": call.malformed}
    return types.Part(
        function_call=types.FunctionCall(id=call.call_id, name=call.name, args=arguments),
        thought_signature=signature,
    )


def tool_results(
    results: Iterable[ToolResult], ids: Iterable[str | None], *, beside: bool
) -> Iterator[types.Part]:
    """What tool calls gave that were made at once, one part for each, and media behind them.

    Args:
        results: The results.
        ids: Of the calls, as the API knows them; None for a call that has none.
        beside: Whether their media stand beside them, rather than within.
    """
    shown: list[types.Part] = []
    for result, call_id in zip(results, ids, strict=True):
        within: list[types.FunctionResponsePart] | None = None
        if beside:
            shown += map(_media, result.media)
        elif result.media:
            within = [_within(part) for part in result.media]
        yield types.Part(
            function_response=types.FunctionResponse(
                id=call_id,
                name=result.name,
                response={"error" if result.is_error else "output": result.content},
                parts=within,
            )
        )
    yield from shown


def _within(part: MediaPart) -> types.FunctionResponsePart:
    media_type = _checked_type(part)
    if part.data is None:
        data = types.FunctionResponseFileData(file_uri=part.url, mime_type=media_type)
        return types.FunctionResponsePart(file_data=data)
    blob = types.FunctionResponseBlob(data=part.data, mime_type=media_type)
    return types.FunctionResponsePart(inline_data=blob)


def declarations(tools: Iterable[ToolDefinition]) -> types.Tool:
    """Tools as Gemini takes them."""
    return types.Tool(
        function_declarations=[
            types.FunctionDeclaration(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=tool.input_schema,
            )
            for tool in tools
        ]
    )


_KINDS: Mapping[str, type[ImagePart | AudioPart | VideoPart | DocumentPart]] = {
    "audio": AudioPart,
    "image": ImagePart,
    "video": VideoPart,
}


def media_of(part: types.Part) -> MediaPart | None:
    """What a part of an answer shows; None where it shows nothing."""
    given: dict[str, Any]
    if (blob := part.inline_data) is not None and blob.data is not None:
        media_type, given = blob.mime_type, {"data": blob.data}
    elif (file := part.file_data) is not None and file.file_uri is not None:
        media_type, given = file.mime_type, {"url": file.file_uri}
    else:
        return None
    media_type = (media_type or "application/octet-stream").partition(";")[0].strip()
    kind = _KINDS.get(media_type.partition("/")[0], DocumentPart)
    return kind(media_type=media_type, **given)
