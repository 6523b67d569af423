"""Reading one streamed answer of Responses: the hot path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from massgen_bridge.agent import Source
from massgen_bridge.errors import ProtocolFailed, Truncated
from massgen_bridge.events import HostedToolCall, LogLine, ReasoningDelta, TextDelta
from massgen_bridge.messages import ImagePart
from massgen_bridge.models.answers import ModelAnswer, tool_call_from_json
from massgen_bridge.models.responses_items import (
    MadeFile,
    hosted_call,
    item_sources,
    item_text,
    made_files,
    made_picture,
    own_action,
    sent_back,
)
from massgen_bridge.models.sdk_errors import reported_error
from massgen_bridge.models.usage import responses_usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from massgen_bridge.agent import Emit, StopReason
    from massgen_bridge.messages import ToolCall

__all__ = ["ResponsesAnswer", "read_responses_answer"]

_BETWEEN = "\n\n"
_TEXT = "response.output_text.delta"
_REFUSALS = frozenset({"content_filter"})
_ENDS = frozenset({"response.completed", "response.incomplete"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesAnswer(ModelAnswer):
    """What one model call gave.

    `items` is all of it in the form in which it goes back while the turn goes on: what the
    provider has not stored, it has to be told again, its reasoning included. `files` is what its
    code has written and it refers to; that is still with the provider.
    """

    items: tuple[dict[str, Any], ...] = ()
    files: tuple[MadeFile, ...] = ()


@dataclass(slots=True)
class _Reading:
    """What has come so far."""

    text: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    media: list[ImagePart] = field(default_factory=list)
    sources: dict[Source, None] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    files: dict[MadeFile, None] = field(default_factory=dict)
    end: Mapping[str, Any] | None = None
    refused: bool = False
    aside: bool = False
    begun: int = 0

    async def take(self, kind: str, event: Mapping[str, Any], emit: Emit) -> None:
        """Everything but the text of the answer."""
        match kind:
            case "response.output_text.delta":  # beside the answer
                await emit(ReasoningDelta(text=event["delta"]))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                await emit(ReasoningDelta(text=event["delta"]))
            case "response.reasoning_summary_part.added" if event["summary_index"]:
                await emit(ReasoningDelta(text=_BETWEEN))
            case "response.refusal.delta":
                self.refused = True
                await self.say(event["delta"], emit)
            case "response.output_item.added":
                await self.begin(event["item"], emit)
            case "response.output_item.done":
                await self.finish(event["item"], emit)
            case "response.failed":
                raise reported_error(event["response"].get("error") or {})
            case "error":
                raise reported_error(event.get("error") or event)
            case _ if kind in _ENDS:
                self.end = event["response"]

    async def say(self, text: str, emit: Emit) -> None:
        self.text.append(text)
        await emit(TextDelta(text=text))

    async def begin(self, item: Mapping[str, Any], emit: Emit) -> None:
        if item["type"] != "message":
            return
        # What the model says on its way is not its answer.
        self.aside = item.get("phase") == "commentary"
        if self.text and not self.aside:
            await self.say(_BETWEEN, emit)
        self.begun = len(self.text)

    async def finish(self, item: Mapping[str, Any], emit: Emit) -> None:
        self.items.append(sent_back(item))
        match item["type"]:
            case "message":
                await self.finish_message(item, emit)
            case "function_call":
                call = tool_call_from_json(
                    call_id=item["call_id"], name=item["name"], arguments=item["arguments"]
                )
                self.calls.append(call)
            case "reasoning":
                pass
            case _:
                await self.finish_hosted(item, emit)

    async def finish_message(self, item: Mapping[str, Any], emit: Emit) -> None:
        text, refused = item_text(item)
        self.refused = self.refused or refused
        if text and not self.aside and len(self.text) == self.begun:
            await self.say(text, emit)  # a server that sends no deltas
        self.sources |= dict.fromkeys(item_sources(item))
        self.files |= dict.fromkeys(made_files(item))
        self.aside = False

    async def finish_hosted(self, item: Mapping[str, Any], emit: Emit) -> None:
        if call := hosted_call(item):
            name, arguments = call
            call_id = item.get("id") or ""
            await emit(HostedToolCall(name=name, call_id=call_id, arguments=arguments))
        if item["type"] == "image_generation_call" and (picture := made_picture(item)):
            self.media.append(picture)
        if failed := item.get("error"):
            words = failed.get("message") if isinstance(failed, dict) else failed
            await emit(LogLine(stream="log", text=f"{item['type']} failed: {words}"))
        own_action(item)

    def finished(self, *, structured: bool) -> ResponsesAnswer:
        if self.end is None:
            raise Truncated("the stream ended before the model had finished its answer")
        stop_reason: StopReason = "end"
        if self.end.get("status") == "incomplete":
            reason = (self.end.get("incomplete_details") or {}).get("reason")
            stop_reason = "refusal" if reason in _REFUSALS else "length"
        if self.refused:
            stop_reason = "refusal"
        # The schema holds for the last message alone.
        text = self.text[self.begun :] if structured else self.text
        listed = self.end.get("citations") or ()  # xAI's
        cited = [Source(url=url) for url in listed if isinstance(url, str)]
        known = {source.url for source in self.sources}
        return ResponsesAnswer(
            text="".join(text),
            calls=tuple(self.calls),
            stop_reason=stop_reason,
            usage=responses_usage(self.end.get("usage")),
            media=tuple(self.media),
            sources=(*self.sources, *(one for one in cited if one.url not in known)),
            items=tuple(self.items),
            files=tuple(self.files),
        )


async def read_responses_answer(
    events: AsyncIterable[Any], emit: Emit, *, structured: bool = False
) -> ResponsesAnswer:
    """Read a stream to its end and tell of every delta.

    Args:
        events: Decoded from JSON, but not checked.
        emit: Takes a delta for each event that has text, and each tool that the provider called.
        structured: Whether the answer was to be held to a schema.

    Raises:
        Truncated: The stream ended without the event that ends an answer.
        ProtocolFailed: An event has not the form that the protocol promises.
        UnsupportedContent: The model wants something that only its own tools could give.
        AgentError: The server says that it gave up; the class says why.
    """
    reading = _Reading()
    text = reading.text
    async for event in events:
        try:
            kind = event["type"]
            if kind == _TEXT and not reading.aside:
                delta = event["delta"]
                text.append(delta)
                await emit(TextDelta(text=delta))
            else:
                await reading.take(kind, event, emit)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProtocolFailed(f"an event is no event of a response: {error}") from error
    return reading.finished(structured=structured)
