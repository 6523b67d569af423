"""Between the bridge's messages and LangChain's."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, assert_never

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from massgen_bridge import (
    AudioPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    Message,
    Part,
    StopReason,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
    VideoPart,
)
from massgen_bridge.adapting import misplaced_part, only_text

__all__ = [
    "finish_of",
    "from_langchain",
    "reasoning_of",
    "stop_reason_of",
    "text_of",
    "to_langchain",
    "tool_call",
    "tool_message",
    "tool_result",
    "usage_of",
    "with_ids",
]

_CARRIER = "LangChain"
# The reasons to stop of the providers that LangChain has a package for, where not the usual end.
_STOP_REASONS: Mapping[str, StopReason] = {
    "content_filter": "refusal",
    "length": "length",
    "max_output_tokens": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "model_length": "length",
    "refusal": "refusal",
    "safety": "refusal",
}
_MEDIA: Mapping[str, type[MediaPart]] = {
    "image": ImagePart,
    "audio": AudioPart,
    "video": VideoPart,
    "file": DocumentPart,
}
_BLOCK_TYPES = {part: block for block, part in _MEDIA.items()}


# --- into LangChain -------------------------------------------------------------------------------


def to_langchain(messages: Iterable[Message]) -> list[BaseMessage]:
    """The history as LangChain messages, media as standard content blocks.

    Raises:
        UnsupportedContent: A part stands where LangChain has no place for it.
    """
    return [converted for message in messages for converted in _convert(message)]


def with_ids(messages: list[BaseMessage]) -> list[BaseMessage]:
    """The same messages, each with an id: what a graph adds to them is known by its other ids."""
    for number, message in enumerate(messages):
        message.id = f"massgen-bridge-{number}"
    return messages


def _convert(message: Message) -> Iterator[BaseMessage]:
    match message.role:
        case "system":
            yield SystemMessage(only_text(message, carrier=_CARRIER), name=message.name)
        case "user":
            yield HumanMessage(_user_content(message), name=message.name)
        case "assistant":
            yield AIMessage(
                only_text(message, carrier=_CARRIER, besides=ToolCall),
                name=message.name,
                tool_calls=[tool_call(call) for call in message.tool_calls],
            )
        case "tool":
            for part in message.parts:
                if not isinstance(part, ToolResult):
                    raise misplaced_part(part, message, carrier=_CARRIER)
                yield tool_message(part)
        case _:
            assert_never(message.role)


def tool_message(result: ToolResult) -> ToolMessage:
    """The result of a tool call, media as standard content blocks."""
    content: str | list[str | dict[str, Any]] = result.content
    if result.media:
        text = [{"type": "text", "text": result.content}] if result.content else []
        content = [*text, *map(_media_block, result.media)]
    return ToolMessage(
        content,
        tool_call_id=result.call_id,
        name=result.name,
        status="error" if result.is_error else "success",
    )


def tool_call(call: ToolCall) -> Any:
    """A tool call of the model, as it goes back to it."""
    # Servers that read the arguments of the history refuse a request that holds no valid JSON.
    arguments = call.arguments if call.malformed is None else {"malformed": call.malformed}
    return {"type": "tool_call", "id": call.call_id, "name": call.name, "args": arguments}


def _user_content(message: Message) -> str | list[str | dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.text
    return [_block(part, message) for part in message.parts]


def _block(part: Part, message: Message) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ToolCall | ToolResult):
        raise misplaced_part(part, message, carrier=_CARRIER)
    return _media_block(part)


def _media_block(part: MediaPart) -> dict[str, Any]:
    block: dict[str, Any] = {"type": _BLOCK_TYPES[type(part)], "mime_type": part.media_type}
    if part.data is not None:
        block["base64"] = base64.b64encode(part.data).decode("ascii")
    else:
        block["url"] = part.url
    if part.name is not None:
        block["extras"] = {"filename": part.name}
    return block


# --- out of LangChain -----------------------------------------------------------------------------


def from_langchain(
    messages: Iterable[BaseMessage],
    *,
    malformed: Mapping[str, str] | None = None,
    results: Mapping[str, ToolResult] | None = None,
) -> tuple[Message, ...]:
    """LangChain messages as the bridge's; tool results that follow each other share a message.

    Args:
        messages: What a graph added to the history.
        malformed: By call id, the text of arguments that were no JSON object.
        results: By call id, what the turn's tools gave.
    """
    converted: list[Message] = []
    for message in messages:
        match message:
            case ToolMessage():
                known = (results or {}).get(message.tool_call_id)
                parts: tuple[Part, ...] = (known or tool_result(message),)
                if converted and converted[-1].role == "tool":
                    parts = (*converted.pop().parts, *parts)
                converted.append(Message(role="tool", parts=parts))
            case AIMessage():
                calls = _calls(message, malformed or {})
                parts = (*_parts(message), *calls)
                converted.append(Message(role="assistant", parts=parts, name=message.name))
            case HumanMessage():
                converted.append(Message(role="user", parts=_parts(message), name=message.name))
            case SystemMessage():
                converted.append(Message(role="system", parts=_parts(message), name=message.name))
            case ChatMessage():
                converted.append(Message(role="user", parts=_parts(message), name=message.role))
            case _:
                pass  # a removal, or another instruction to LangGraph: no content
    return tuple(converted)


def _calls(message: AIMessage, malformed: Mapping[str, str]) -> Iterator[ToolCall]:
    for call in message.tool_calls:
        call_id = call["id"] or ""
        if call_id in malformed:
            yield ToolCall(call_id=call_id, name=call["name"], malformed=malformed[call_id])
        else:
            yield ToolCall(call_id=call_id, name=call["name"], arguments=call["args"])
    for broken in message.invalid_tool_calls:
        yield ToolCall(
            call_id=broken["id"] or "", name=broken["name"] or "", malformed=broken["args"] or ""
        )


def tool_result(message: ToolMessage) -> ToolResult:
    """The result of a tool call that is not the turn's."""
    return ToolResult(
        call_id=message.tool_call_id,
        name=message.name or "",
        content=text_of(message),
        media=tuple(part for part in _parts(message) if isinstance(part, MediaPart)),
        is_error=message.status == "error",
    )


def _parts(message: BaseMessage) -> tuple[Part, ...]:
    if isinstance(message.content, str):
        return (TextPart(text=message.content),) if message.content else ()
    return tuple(part for block in message.content_blocks for part in _part(block))


def _part(block: Mapping[str, Any]) -> Iterator[Part]:
    if block["type"] == "non_standard":  # to the provider's translator, that is
        block = block["value"]
    kind = block.get("type", "")
    if kind == "text":
        yield TextPart(text=block["text"])
    elif kind in _MEDIA and ("base64" in block or "url" in block):
        data = base64.b64decode(block["base64"]) if "base64" in block else None
        yield _MEDIA[kind](
            media_type=block.get("mime_type") or "application/octet-stream",
            data=data,
            url=None if data is not None else block["url"],
        )


def text_of(message: BaseMessage) -> str:
    """All text of a message, whatever form its content has."""
    content = message.content
    return content if isinstance(content, str) else str(message.text)


def usage_of(message: AIMessage) -> Usage | None:
    """Tokens of the model call that gave a message; None where the provider told nothing."""
    counted = message.usage_metadata
    if counted is None:
        return None
    # A service tier stands before the name of a detail: `priority_cache_read`.
    read: Any = counted.get("input_token_details") or {}
    made: Any = counted.get("output_token_details") or {}
    return Usage(
        input_tokens=counted["input_tokens"],
        cached_tokens=_detail(read, "cache_read"),
        output_tokens=counted["output_tokens"],
        reasoning_tokens=_detail(made, "reasoning"),
        calls=1,
    )


def _detail(details: Mapping[str, int | None], name: str) -> int:
    return sum(count or 0 for key, count in details.items() if key.endswith(name))


def finish_of(message: AIMessage) -> str | None:
    """What the provider calls its reason to stop, in whichever place its package puts it."""
    metadata = message.response_metadata
    return metadata.get("finish_reason") or metadata.get("stop_reason")


def reasoning_of(message: AIMessage) -> str:
    """The model's reasoning in a message or chunk."""
    found = message.additional_kwargs.get("reasoning_content")
    if found or isinstance(message.content, str):
        return found if isinstance(found, str) else ""
    return "".join(
        block.get("reasoning", "")
        for block in message.content_blocks
        if block["type"] == "reasoning"
    )


def stop_reason_of(finish: str | None) -> StopReason:
    """The reason to stop, from what a provider calls it."""
    return _STOP_REASONS.get((finish or "").lower(), "end")
