"""Media in the form, and in the places, that Chat Completions has for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage

from massgen_bridge import InputKind, MediaPart, Message, Part, ToolResult
from massgen_bridge.adapting import chat_media, shown_by_tool

__all__ = ["media_behind_results", "portable", "portable_result"]

# Standard content blocks, and those of Chat Completions itself.
_MEDIA_BLOCKS: Final = frozenset({"audio", "file", "image", "image_url", "input_audio", "video"})


def portable(messages: Sequence[Message], inputs: Collection[InputKind]) -> Iterator[Message]:
    """The history, its media in the form that Chat Completions takes.

    Args:
        messages: The history.
        inputs: Kinds of media that the model takes.

    Raises:
        UnsupportedContent: A part cannot be carried.
    """
    for message in messages:
        parts = tuple(_portable(part, inputs) for part in message.parts)
        yield message if parts == message.parts else message.model_copy(update={"parts": parts})


def portable_result(result: ToolResult, inputs: Collection[InputKind]) -> ToolResult:
    """The result of a tool call, its media in the form that Chat Completions takes.

    Raises:
        UnsupportedContent: One cannot be carried.
    """
    if not result.media:
        return result
    media = tuple(chat_media(part, inputs) for part in result.media)
    return result.model_copy(update={"media": media})


def _portable(part: Part, inputs: Collection[InputKind]) -> Part:
    if isinstance(part, ToolResult):
        return portable_result(part, inputs)
    return chat_media(part, inputs) if isinstance(part, MediaPart) else part


def media_behind_results(messages: Iterable[BaseMessage]) -> Iterator[BaseMessage]:
    """The messages as Chat Completions takes them: it has no place for media in a tool's result.

    They follow as a user's message, which says what they are from, once all calls are answered.

    Args:
        messages: The history.
    """
    waiting: list[BaseMessage] = []
    for message in messages:
        if not isinstance(message, ToolMessage):
            yield from waiting
            waiting.clear()
        elif shown := [block for block in _blocks(message) if _is_media(block)]:
            told = shown_by_tool(message.name or "", message.tool_call_id)
            waiting.append(HumanMessage([{"type": "text", "text": told}, *shown]))
            message = _without_media(message)  # noqa: PLW2901 - the same one, as it is sent
        yield message
    yield from waiting


def _without_media(message: ToolMessage) -> ToolMessage:
    rest: Any = [block for block in _blocks(message) if not _is_media(block)]
    if all(isinstance(block, str) or block.get("type") == "text" for block in rest):
        # A plain text is understood by every server.
        rest = "\n".join(block if isinstance(block, str) else block["text"] for block in rest)
    return message.model_copy(update={"content": rest})


def _blocks(message: ToolMessage) -> Sequence[Any]:
    return message.content if isinstance(message.content, list) else ()


def _is_media(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in _MEDIA_BLOCKS
