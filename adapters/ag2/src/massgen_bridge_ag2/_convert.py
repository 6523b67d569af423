"""Between the bridge's messages and AG2's events, for agents that keep their own models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import assert_never

from ag2.events import (
    BaseEvent,
    BinaryInput,
    BinaryType,
    Input,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolErrorEvent,
    ToolResultEvent,
    ToolResultsEvent,
    UrlInput,
)
from ag2.events import ToolResult as AG2Result

from massgen_bridge import (
    AudioPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
    VideoPart,
)
from massgen_bridge.adapting import misplaced_part, only_text, tool_call_from_json

__all__ = ["from_ag2", "to_ag2", "told_result"]

_CARRIER = "AG2"
_UNKNOWN = "application/octet-stream"
_MEDIA: Mapping[BinaryType, type[MediaPart]] = {
    BinaryType.IMAGE: ImagePart,
    BinaryType.AUDIO: AudioPart,
    BinaryType.VIDEO: VideoPart,
    BinaryType.DOCUMENT: DocumentPart,
    BinaryType.BINARY: DocumentPart,
}


def to_ag2(messages: Iterable[Message]) -> tuple[list[str], list[BaseEvent]]:
    """The history as AG2 takes it: its system messages, and its events.

    Raises:
        UnsupportedContent: A part cannot be carried.
    """
    system: list[str] = []
    events: list[BaseEvent] = []
    for message in messages:
        match message.role:
            case "system":
                system.append(only_text(message, carrier=_CARRIER))
            case "user":
                events.append(ModelRequest([_input(part, message) for part in message.parts]))
            case "assistant":
                text = only_text(message, carrier=_CARRIER, besides=ToolCall)
                calls = [
                    ToolCallEvent(call.name, id=call.call_id, arguments=_arguments(call))
                    for call in message.tool_calls
                ]
                events.append(
                    ModelResponse(
                        ModelMessage(text) if text else None, tool_calls=ToolCallsEvent(calls)
                    )
                )
            case "tool":
                events.append(ToolResultsEvent([_result(part, message) for part in message.parts]))
            case _:
                assert_never(message.role)
    return system, events


def _arguments(call: ToolCall) -> str:
    arguments = call.arguments if call.malformed is None else {"malformed": call.malformed}
    return json.dumps(arguments, ensure_ascii=False)


def _result(part: Part, message: Message) -> ToolResultEvent:
    if not isinstance(part, ToolResult):
        raise misplaced_part(part, message, carrier=_CARRIER)
    for media in part.media:
        raise misplaced_part(media, message, carrier=_CARRIER)
    return ToolResultEvent(
        parent_id=part.call_id, name=part.name, result=AG2Result(TextInput(part.content))
    )


def _input(part: Part, message: Message) -> Input:
    if isinstance(part, TextPart):
        return TextInput(part.text)
    if isinstance(part, ToolCall | ToolResult):
        raise misplaced_part(part, message, carrier=_CARRIER)
    kind = BinaryType(part.type)
    if part.data is None:
        return UrlInput(part.url or "", kind=kind)
    filed = {"filename": part.name} if part.name else {}
    return BinaryInput(part.data, media_type=part.media_type, kind=kind, vendor_metadata=filed)


def from_ag2(events: Sequence[BaseEvent]) -> tuple[Message, ...]:
    """What an AG2 agent has added to its history: the model's messages, and its tools' results."""
    return tuple(_messages(events))


def _messages(events: Sequence[BaseEvent]) -> Iterator[Message]:
    for event in events:
        if isinstance(event, ModelResponse):
            text = (TextPart(text=event.content),) if event.content else ()
            calls = tuple(
                tool_call_from_json(call_id=c.id, name=c.name, arguments=c.arguments)
                for c in event.tool_calls.calls
            )
            yield Message(role="assistant", parts=(*text, *calls))
        elif isinstance(event, ToolResultsEvent):
            results = tuple(map(told_result, event.results))
            yield Message(role="tool", parts=results)


def told_result(event: ToolResultEvent) -> ToolResult:
    """What a tool call gave."""
    shown = [(part, _medium(part)) for part in event.result.parts]
    rest = [part for part, medium in shown if medium is None]
    texts = [part.content for part in rest if isinstance(part, TextInput)]
    others = [str(getattr(part, "data", part)) for part in rest]
    return ToolResult(
        call_id=event.parent_id,
        name=event.name or "tool",
        content="\n".join(texts or others),
        media=tuple(medium for _, medium in shown if medium is not None),
        is_error=isinstance(event, ToolErrorEvent),
    )


def _medium(part: Input) -> MediaPart | None:
    """The picture or the like that a tool gave; None for what is none."""
    # AG2's events make a condition of `A | B`, which isinstance() does not take.
    kind = _MEDIA.get(part.kind) if isinstance(part, (BinaryInput, UrlInput)) else None
    if kind is None:
        return None
    if isinstance(part, UrlInput):
        return kind(media_type=_UNKNOWN, url=part.url)
    if isinstance(part, BinaryInput):
        return kind(media_type=part.media_type, data=part.data)
    return None
