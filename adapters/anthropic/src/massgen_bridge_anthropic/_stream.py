"""Reading one streamed answer: the hot path."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from massgen_bridge import (
    Emit,
    HostedToolCall,
    ProtocolFailed,
    ReasoningDelta,
    Source,
    StopReason,
    TextDelta,
    ToolCall,
    Truncated,
)
from massgen_bridge.adapting import ModelAnswer, messages_usage, tool_call_from_json
from massgen_bridge_anthropic._convert import tool_use
from massgen_bridge_anthropic._hosted import is_call, source_of

__all__ = ["Answer", "read_answer"]

_STOP_REASONS: Mapping[str, StopReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
_PAUSE = "pause_turn"
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(ModelAnswer):
    """What one model call gave.

    `blocks` is its content as it goes back to the model while the turn goes on: thinking with
    its signatures, and what the provider's own tools gave, unchanged. `container` is where the
    provider has run code.
    """

    blocks: tuple[dict[str, Any], ...]
    container: str | None = None


@dataclass(slots=True)
class _Block:
    """A content block: how it began, and what has come since."""

    start: dict[str, Any]
    pieces: list[str]

    def joined(self, key: str) -> dict[str, Any]:
        return {**self.start, key: "".join(self.pieces)}

    def arguments(self) -> str:
        """The JSON of a tool's arguments; some servers send all of it at once."""
        return "".join(self.pieces) or json.dumps(self.start.get("input") or {})


@dataclass(slots=True)
class _Reading:
    """What has come so far."""

    blocks: dict[int, _Block] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    stop_reason: str | None = None
    stop_details: Mapping[str, Any] | None = None
    container: str | None = None

    async def take_rare(self, event: Mapping[str, Any], emit: Emit) -> None:
        """Everything but a piece of text."""
        match event["type"]:
            case "content_block_delta":
                await self.take_delta(self.blocks[event["index"]], event["delta"], emit)
            case "content_block_start":
                await self.begin(event["index"], event["content_block"], emit)
            case "content_block_stop":
                await self.end(self.blocks[event["index"]], emit)
            case "message_start":
                self.locate(event["message"])
                self.count(event["message"].get("usage"))
            case "message_delta":
                delta = event["delta"]
                self.locate(delta)
                self.stop_reason = delta.get("stop_reason") or self.stop_reason
                self.stop_details = delta.get("stop_details") or self.stop_details
                self.count(event.get("usage"))
            case _:
                pass  # the end of the message, and what is yet to be invented

    async def begin(self, index: int, start: Mapping[str, Any], emit: Emit) -> None:
        said = start.get("text") or start.get("thinking") or ""
        self.blocks[index] = _Block({**start}, [said] if said else [])
        if start["type"] == "text" and said:
            await emit(TextDelta(text=said))
        elif said:
            await emit(ReasoningDelta(text=said))

    async def end(self, block: _Block, emit: Emit) -> None:
        if is_call(block.start):
            arguments = json.loads(block.arguments())
            call_id, name = block.start["id"], block.start["name"]
            await emit(HostedToolCall(call_id=call_id, name=name, arguments=arguments))

    def locate(self, message: Mapping[str, Any]) -> None:
        """Take where the provider runs code."""
        self.container = (message.get("container") or _NOTHING).get("id") or self.container

    async def take_delta(self, block: _Block, delta: Mapping[str, Any], emit: Emit) -> None:
        match delta["type"]:
            case "input_json_delta":
                block.pieces.append(delta["partial_json"])
            case "thinking_delta":
                block.pieces.append(delta["thinking"])
                await emit(ReasoningDelta(text=delta["thinking"]))
            case "signature_delta":
                block.start["signature"] = delta["signature"]
            case "citations_delta":
                block.start["citations"] = [
                    *(block.start.get("citations") or ()),
                    delta["citation"],
                ]
            case _:
                pass

    def count(self, usage: Mapping[str, Any] | None) -> None:
        """Take counts, each of which replaces what was told of it before."""
        self.usage |= {key: value for key, value in (usage or {}).items() if value is not None}

    async def finished(self, emit: Emit) -> Answer:
        if self.stop_reason is None:
            raise Truncated("the stream ended before the model had finished its answer")
        text, calls, blocks = self.content()
        if self.stop_reason == "refusal" and not text:
            text = (self.stop_details or _NOTHING).get("explanation") or ""
            if text:
                await emit(TextDelta(text=text))
        return Answer(
            text=text,
            calls=calls,
            stop_reason=_STOP_REASONS.get(self.stop_reason, "end"),
            usage=messages_usage(self.usage),
            sources=tuple(dict.fromkeys(_sources(blocks))),
            paused=self.stop_reason == _PAUSE and not calls,
            blocks=blocks,
            container=self.container,
        )

    def content(self) -> tuple[str, tuple[ToolCall, ...], tuple[dict[str, Any], ...]]:
        """The text, the calls of our tools, and all blocks as they go back."""
        texts: list[str] = []
        calls: list[ToolCall] = []
        blocks: list[dict[str, Any]] = []
        for _, block in sorted(self.blocks.items()):
            match block.start["type"]:
                case "text":
                    whole = block.joined("text")
                    texts.append(whole["text"])
                    if whole["text"].strip():  # the protocol refuses what it has sent itself
                        blocks.append(whole)
                case "thinking":
                    blocks.append(block.joined("thinking"))
                case "tool_use":
                    call = tool_call_from_json(
                        call_id=block.start["id"],
                        name=block.start["name"],
                        arguments=block.arguments(),
                    )
                    calls.append(call)
                    blocks.append({**block.start, **tool_use(call)})
                case _:
                    whole = {**block.start}
                    if "input" in whole:
                        whole["input"] = json.loads(block.arguments())
                    blocks.append(whole)
        return "".join(texts), tuple(calls), tuple(blocks)


def _sources(blocks: Iterable[Mapping[str, Any]]) -> Iterator[Source]:
    for block in blocks:
        for citation in block.get("citations") or () if block["type"] == "text" else ():
            if source := source_of(citation):
                yield source


async def read_answer(events: AsyncIterable[Any], emit: Emit) -> Answer:
    """Read a stream to its end and tell of every delta.

    Args:
        events: Decoded from JSON, but not checked.
        emit: Takes a delta for each event that has text.

    Raises:
        Truncated: The stream ended without a reason to stop.
        ProtocolFailed: An event has not the form that the protocol promises.
    """
    reading = _Reading()
    blocks = reading.blocks
    try:
        async for event in events:
            delta = event.get("delta")
            if delta and "text" in delta:
                text = delta["text"]
                blocks[event["index"]].pieces.append(text)
                if text:
                    await emit(TextDelta(text=text))
            else:
                await reading.take_rare(event, emit)
        return await reading.finished(emit)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProtocolFailed(f"an event is no event of a message: {error!r}") from error
