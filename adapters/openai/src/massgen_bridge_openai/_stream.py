"""Reading one streamed answer: the hot path."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from massgen_bridge import (
    Emit,
    ProtocolFailed,
    ReasoningDelta,
    ServerFailed,
    StopReason,
    TextDelta,
    ToolCall,
    Truncated,
    Usage,
)

__all__ = ["Answer", "read_answer"]

# Servers that speak the protocol have their own words beside OpenAI's.
_STOP_REASONS: Mapping[str, StopReason] = {
    "content_filter": "refusal",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
}
_FAILURES = frozenset({"abort", "cancelled", "error", "insufficient_system_resource"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one model call gave.

    `reasoning` is what DeepSeek and its like want to see again while the turn goes on.
    """

    text: str
    calls: tuple[ToolCall, ...]
    stop_reason: StopReason
    usage: Usage | None
    reasoning: str


@dataclass(slots=True)
class _CallPieces:
    call_id: str
    name: str
    arguments: list[str] = field(default_factory=list)

    def join(self) -> ToolCall:
        if not self.name:
            raise ProtocolFailed("the model called a tool without a name")
        call_id = self.call_id or f"call_{uuid.uuid4().hex}"
        text = "".join(self.arguments)
        try:
            arguments = json.loads(text) if text.strip() else {}
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            return ToolCall(call_id=call_id, name=self.name, malformed=text)
        return ToolCall(call_id=call_id, name=self.name, arguments=arguments)


@dataclass(slots=True)
class _Reading:
    """What has come so far."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[_CallPieces] = field(default_factory=list)
    by_index: dict[int, _CallPieces] = field(default_factory=dict)
    finish: str | None = None
    usage: Any = None
    refused: bool = False

    async def take_rare(self, delta: Any, emit: Emit) -> None:
        """Everything in a delta but plain text."""
        if delta.refusal:
            self.refused = True
            self.text.append(delta.refusal)
            await emit(TextDelta(text=delta.refusal))
        for piece in delta.tool_calls or ():
            self.take_call(piece)
        extra = delta.model_extra or {}
        thought = extra.get("reasoning_content")
        if thought:
            self.reasoning.append(thought)
        else:
            thought = extra.get("reasoning")
        if thought:
            await emit(ReasoningDelta(text=thought))

    def take_call(self, piece: Any) -> None:
        function = piece.function
        name = (function and function.name) or ""
        index = piece.index if piece.index is not None else max(len(self.calls) - 1, 0)
        pieces = self.by_index.get(index)
        # Some servers give every call the same index, others repeat or change the id of one.
        if pieces is None or (name and piece.id and piece.id != pieces.call_id):
            pieces = self.by_index[index] = _CallPieces(piece.id or "", name)
            self.calls.append(pieces)
        if function and function.arguments:
            pieces.arguments.append(function.arguments)

    def finished(self) -> Answer:
        if self.finish is None:
            raise Truncated("the stream ended before the model had finished its answer")
        if self.finish in _FAILURES:
            raise ServerFailed(f"the server stopped the answer: {self.finish!r}")
        stop_reason = _STOP_REASONS.get(self.finish, "end")
        if self.refused:
            stop_reason = "refusal"
        return Answer(
            text="".join(self.text),
            calls=tuple(pieces.join() for pieces in self.calls),
            stop_reason=stop_reason,
            usage=_usage(self.usage),
            reasoning="".join(self.reasoning),
        )


async def read_answer(stream: AsyncIterable[Any], emit: Emit) -> Answer:
    """Read a stream to its end and tell of every delta.

    Raises:
        Truncated: The stream ended without a reason to stop.
        ProtocolFailed: A chunk has not the form that the protocol promises.
        ServerFailed: The server says that it gave up.
    """
    reading = _Reading()
    text = reading.text
    async for chunk in stream:
        try:
            if chunk.usage is not None:
                reading.usage = chunk.usage
            if not chunk.choices:
                continue
            choice = chunk.choices[0]
            delta = choice.delta
            if choice.finish_reason:
                reading.finish = choice.finish_reason
            content = delta.content
            if content:
                text.append(content)
                await emit(TextDelta(text=content))
            if delta.tool_calls or delta.refusal or delta.model_extra:
                await reading.take_rare(delta, emit)
        except (AttributeError, TypeError, ValueError) as error:
            raise ProtocolFailed(
                f"a chunk is not in the form of a chat completion: {error}"
            ) from error
    return reading.finished()


def _usage(usage: Any) -> Usage | None:
    if usage is None or usage.prompt_tokens is None:
        return None
    read, made = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        cached_tokens=(read and read.cached_tokens) or 0,
        output_tokens=usage.completion_tokens or 0,
        reasoning_tokens=(made and made.reasoning_tokens) or 0,
        calls=1,
    )
