"""Reading one streamed answer of a chat model: the hot path."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, merge_content

from massgen_bridge import (
    Emit,
    ProtocolFailed,
    ReasoningDelta,
    ServerFailed,
    TextDelta,
    Truncated,
)
from massgen_bridge_langchain._convert import text_of

__all__ = ["finish_of", "read_answer", "reasoning_of"]

_FAILURES = frozenset({"abort", "cancelled", "error", "insufficient_system_resource"})


@dataclass(slots=True)
class _CallPieces:
    call_id: str
    name: str
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Reading:
    """What has come so far."""

    contents: list[Any] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[_CallPieces] = field(default_factory=list)
    by_index: dict[Any, _CallPieces] = field(default_factory=dict)
    finish: str | None = None
    usage: Any = None
    refused: bool = False

    def take_calls(self, chunk: AIMessageChunk) -> None:
        for piece in chunk.tool_call_chunks:
            index, call_id, name = piece.get("index"), piece.get("id"), piece.get("name")
            pieces = self.by_index.get(index)
            # Some servers give every call the same index, others repeat or change the id of one.
            if pieces is None or (name and call_id and call_id != pieces.call_id):
                pieces = self.by_index[index] = _CallPieces(call_id or "", name or "")
                self.calls.append(pieces)
            pieces.arguments.append(piece.get("args") or "")

    def message(self, malformed: dict[str, str]) -> AIMessage:
        if self.finish is None:
            raise Truncated("the stream ended before the model had finished its answer")
        if self.finish in _FAILURES:
            raise ServerFailed(f"the server stopped the answer: {self.finish!r}")
        extra: dict[str, Any] = {"refusal": True} if self.refused else {}
        if self.reasoning:
            extra["reasoning_content"] = "".join(self.reasoning)
        return AIMessage(
            merge_content("", *self.contents) if self.contents else "",
            tool_calls=[_join(call, malformed) for call in self.calls],
            usage_metadata=self.usage,
            response_metadata={"finish_reason": self.finish},
            additional_kwargs=extra,
        )


def _join(call: _CallPieces, malformed: dict[str, str]) -> Any:
    """The call with its arguments; LangChain's own parser would mend what was cut off."""
    if not call.name:
        raise ProtocolFailed("the model called a tool without a name")
    call_id = call.call_id or f"call_{uuid.uuid4().hex}"
    text = "".join(call.arguments)
    try:
        arguments = json.loads(text) if text.strip() else {}
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        malformed[call_id] = text
        arguments = {"malformed": text}
    return {"type": "tool_call", "id": call_id, "name": call.name, "args": arguments}


async def read_answer(
    stream: AsyncIterable[AIMessageChunk], emit: Emit, malformed: dict[str, str]
) -> AIMessage:
    """Read a stream to its end and tell of every delta.

    Args:
        stream: The chunks of one answer.
        emit: Takes the deltas.
        malformed: Gets, by call id, the text of arguments that are no JSON object.

    Raises:
        Truncated: The stream ended without a reason to stop.
        ProtocolFailed: The model called a tool without naming it.
        ServerFailed: The server says that it gave up.
    """
    reading = _Reading()
    contents = reading.contents
    async for chunk in stream:
        content = chunk.content
        if content:
            contents.append(content)
            text = content if isinstance(content, str) else text_of(chunk)
            if text:
                await emit(TextDelta(text=text))
        if chunk.additional_kwargs or not isinstance(content, str):
            if reasoning := reasoning_of(chunk):
                reading.reasoning.append(reasoning)
                await emit(ReasoningDelta(text=reasoning))
            reading.refused = reading.refused or "refusal" in chunk.additional_kwargs
        if not isinstance(chunk, AIMessageChunk):  # from a model that cannot stream
            return chunk
        if chunk.tool_call_chunks:
            reading.take_calls(chunk)
        if chunk.usage_metadata:
            reading.usage = chunk.usage_metadata
        reading.finish = finish_of(chunk) or reading.finish
    return reading.message(malformed)


def finish_of(message: AIMessage) -> str | None:
    """What the provider calls its reason to stop, in whichever place its package puts it."""
    metadata = message.response_metadata
    return metadata.get("finish_reason") or metadata.get("stop_reason") if metadata else None


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
