"""Reading one streamed answer: the hot path."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from massgen_bridge import (
    Emit,
    ProtocolFailed,
    ReasoningDelta,
    ServerFailed,
    TextDelta,
    Truncated,
)

__all__ = ["read_answer"]

_FAILURES = frozenset({"abort", "cancelled", "error", "insufficient_system_resource"})


@dataclass(slots=True)
class _CallPieces:
    call_id: str
    name: str
    arguments: list[str] = field(default_factory=list)

    def join(self, malformed: dict[str, str]) -> Any:
        """The call with its arguments; LangChain's own parser would mend what was cut off."""
        if not self.name:
            raise ProtocolFailed("the model called a tool without a name")
        call_id = self.call_id or f"call_{uuid.uuid4().hex}"
        text = "".join(self.arguments)
        try:
            arguments = json.loads(text) if text.strip() else {}
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            malformed[call_id] = text
            arguments = {"malformed": text}
        return {"type": "tool_call", "id": call_id, "name": self.name, "args": arguments}


@dataclass(slots=True)
class _Reading:
    """What has come so far."""

    text: list[str] = field(default_factory=list)
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

    async def take_rare(self, extra: dict[str, Any], emit: Emit) -> None:
        """What `BridgeChatModel` adds to a chunk."""
        if reasoning := extra.get("reasoning_content"):
            self.reasoning.append(reasoning)
            await emit(ReasoningDelta(text=reasoning))
        self.refused = self.refused or "refusal" in extra

    def message(self, malformed: dict[str, str]) -> AIMessage:
        if self.finish is None:
            raise Truncated("the stream ended before the model had finished its answer")
        if self.finish in _FAILURES:
            raise ServerFailed(f"the server stopped the answer: {self.finish!r}")
        extra: dict[str, Any] = {"refusal": True} if self.refused else {}
        if self.reasoning:
            extra["reasoning_content"] = "".join(self.reasoning)
        return AIMessage(
            "".join(self.text),
            tool_calls=[call.join(malformed) for call in self.calls],
            usage_metadata=self.usage,
            response_metadata={"finish_reason": self.finish},
            additional_kwargs=extra,
        )


async def read_answer(
    stream: AsyncIterable[ChatGenerationChunk], emit: Emit, malformed: dict[str, str]
) -> AIMessage:
    """Read a stream to its end and tell of every delta.

    Args:
        stream: The chunks of one answer, as `ChatOpenAI` makes them.
        emit: Takes the deltas.
        malformed: Gets, by call id, the text of arguments that are no JSON object.

    Raises:
        Truncated: The stream ended without a reason to stop.
        ProtocolFailed: The model called a tool without naming it.
        ServerFailed: The server says that it gave up.
    """
    reading = _Reading()
    async for generation in stream:
        chunk: Any = generation.message
        if text := chunk.content:
            reading.text.append(text)
            await emit(TextDelta(text=text))
        if chunk.additional_kwargs:
            await reading.take_rare(chunk.additional_kwargs, emit)
        if chunk.tool_call_chunks:
            reading.take_calls(chunk)
        if chunk.usage_metadata:
            reading.usage = chunk.usage_metadata
        if (info := generation.generation_info) and (finish := info.get("finish_reason")):
            reading.finish = finish
    return reading.message(malformed)
