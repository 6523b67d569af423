"""Reading one streamed answer of Chat Completions: the hot path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from massgen_bridge.errors import ProtocolFailed
from massgen_bridge.events import ReasoningDelta, TextDelta
from massgen_bridge.models.answers import ModelAnswer
from massgen_bridge.models.chat_answers import StreamedToolCalls, check_finish
from massgen_bridge.models.usage import chat_usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from massgen_bridge.agent import Emit, StopReason

__all__ = ["ChatAnswer", "read_chat_answer"]

# Servers that speak the protocol have their own words beside OpenAI's.
_STOP_REASONS: Mapping[str, StopReason] = {
    "content_filter": "refusal",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
}
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer(ModelAnswer):
    """What one model call gave.

    `reasoning` is what DeepSeek and its like want to see again while the turn goes on.
    """

    reasoning: str


@dataclass(slots=True)
class _Reading:
    """What has come so far."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    reasoning_field: str | None = "reasoning_content"
    calls: StreamedToolCalls = field(default_factory=StreamedToolCalls)
    finish: str | None = None
    usage: Any = None
    refused: bool = False

    async def take_rare(self, delta: Mapping[str, Any], emit: Emit) -> None:
        """Everything in a delta but plain text."""
        if refusal := delta.get("refusal"):
            self.refused = True
            self.text.append(refusal)
            await emit(TextDelta(text=refusal))
        for piece in delta.get("tool_calls") or ():
            self.take_call(piece)
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            if self.reasoning_field is not None and self.reasoning_field in delta:
                self.reasoning.append(thought)
            await emit(ReasoningDelta(text=thought))

    def take_call(self, piece: Mapping[str, Any]) -> None:
        function = piece.get("function") or {}
        self.calls.take(
            index=piece.get("index"),
            call_id=piece.get("id"),
            name=function.get("name"),
            arguments=function.get("arguments"),
        )

    def finished(self) -> ChatAnswer:
        stop_reason = _STOP_REASONS.get(check_finish(self.finish), "end")
        if self.refused:
            stop_reason = "refusal"
        return ChatAnswer(
            text="".join(self.text),
            calls=self.calls.joined(),
            stop_reason=stop_reason,
            usage=chat_usage(self.usage),
            reasoning="".join(self.reasoning),
        )


async def read_chat_answer(
    chunks: AsyncIterable[Any],
    emit: Emit,
    *,
    reasoning_field: str | None = "reasoning_content",
) -> ChatAnswer:
    """Read a stream to its end and tell of every delta.

    Args:
        chunks: Decoded from JSON, but not checked.
        emit: Takes a delta for each chunk that has text.
        reasoning_field: Where the thoughts come that the model wants to see again; None: it does
            not want to.

    Raises:
        Truncated: The stream ended without a reason to stop.
        ProtocolFailed: A chunk has not the form that the protocol promises.
        ServerFailed: The server says that it gave up.
    """
    reading = _Reading(reasoning_field=reasoning_field)
    text = reading.text
    async for chunk in chunks:
        try:
            if usage := chunk.get("usage"):
                reading.usage = usage
            if not (choices := chunk.get("choices")):
                continue
            choice = choices[0]
            if finish := choice.get("finish_reason"):
                reading.finish = finish
            delta = choice.get("delta") or _NOTHING
            if content := delta.get("content"):
                text.append(content)
                await emit(TextDelta(text=content))
            if len(delta) > 1 or not content:
                await reading.take_rare(delta, emit)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProtocolFailed(f"a chunk is no chunk of a chat completion: {error}") from error
    return reading.finished()
