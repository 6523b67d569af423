"""Reading one streamed answer: the hot path."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from massgen_bridge import Emit, ReasoningDelta, TextDelta
from massgen_bridge.adapting import StreamedToolCalls, check_finish
from massgen_bridge_langchain._convert import tool_call

__all__ = ["read_answer"]


@dataclass(slots=True)
class _Reading:
    """What has come so far."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: StreamedToolCalls = field(default_factory=StreamedToolCalls)
    finish: str | None = None
    usage: Any = None
    refused: bool = False

    def take_calls(self, chunk: AIMessageChunk) -> None:
        for piece in chunk.tool_call_chunks:
            self.calls.take(
                index=piece.get("index"),
                call_id=piece.get("id"),
                name=piece.get("name"),
                arguments=piece.get("args"),
            )

    async def take_rare(self, extra: dict[str, Any], emit: Emit) -> None:
        """What `BridgeChatModel` adds to a chunk."""
        if reasoning := extra.get("reasoning_content"):
            self.reasoning.append(reasoning)
            await emit(ReasoningDelta(text=reasoning))
        self.refused = self.refused or "refusal" in extra

    def message(self, malformed: dict[str, str]) -> AIMessage:
        finish = check_finish(self.finish)
        calls = self.calls.joined()
        # LangChain's own parser would mend arguments that were cut off.
        malformed |= {c.call_id: c.malformed for c in calls if c.malformed is not None}
        extra: dict[str, Any] = {"refusal": True} if self.refused else {}
        if self.reasoning:
            extra["reasoning_content"] = "".join(self.reasoning)
        return AIMessage(
            "".join(self.text),
            tool_calls=[tool_call(call) for call in calls],
            usage_metadata=self.usage,
            response_metadata={"finish_reason": finish},
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
