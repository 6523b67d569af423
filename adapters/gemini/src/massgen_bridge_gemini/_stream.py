"""Reading one streamed answer: the hot path."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field

from google.genai import types

from massgen_bridge import (
    AgentError,
    BadRequest,
    Emit,
    HostedToolCall,
    LimitReached,
    ProtocolFailed,
    ReasoningDelta,
    Source,
    StopReason,
    TextDelta,
    ToolCall,
    Truncated,
    Usage,
)
from massgen_bridge.adapting import ModelAnswer, gemini_usage
from massgen_bridge_gemini._convert import media_of

__all__ = ["Answer", "read_answer"]

_STOP_REASONS: Mapping[str, StopReason] = {
    "BLOCKLIST": "refusal",
    "ESCALATION": "refusal",
    "IMAGE_PROHIBITED_CONTENT": "refusal",
    "IMAGE_RECITATION": "refusal",
    "IMAGE_SAFETY": "refusal",
    "LANGUAGE": "refusal",
    "MAX_TOKENS": "length",
    "MODEL_ARMOR": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "RECITATION": "refusal",
    "SAFETY": "refusal",
    "SPII": "refusal",
    "STOP": "end",
}
_FAILURES: Mapping[str, tuple[type[AgentError], str]] = {
    "MALFORMED_FUNCTION_CALL": (ProtocolFailed, "the model called a tool in a form that is none"),
    "MISSING_THOUGHT_SIGNATURE": (BadRequest, "a tool call came back without its signature"),
    "TOO_MANY_TOOL_CALLS": (LimitReached, "the model called too many tools in a row"),
    "UNEXPECTED_TOOL_CALL": (ProtocolFailed, "the model called a tool that it was not given"),
}
_SEARCH = "web_search"
_CODE = "code_execution"
_HOSTED = {
    "GOOGLE_SEARCH_WEB": _SEARCH,
    "GOOGLE_SEARCH_IMAGE": _SEARCH,
    "GOOGLE_MAPS": "google_maps",
    "URL_CONTEXT": "url_context",
    "FILE_SEARCH": "file_search",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(ModelAnswer):
    """What one model call gave.

    `parts` is its content as it goes back to the model while the turn goes on: thoughts, calls
    with their signatures, and what the provider's own tools gave, unchanged. `call_ids` are those
    of the calls as the API knows them.
    """

    parts: tuple[types.Part, ...]
    call_ids: tuple[str | None, ...]


@dataclass(slots=True)
class _Reading:
    """What has come so far."""

    emit: Emit
    parts: list[types.Part] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    call_ids: list[str | None] = field(default_factory=list)
    media: list[types.Part] = field(default_factory=list)
    sources: dict[Source, None] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    usage: types.GenerateContentResponseUsageMetadata | None = None
    finish: str | None = None
    message: str = ""

    async def take(self, response: types.GenerateContentResponse) -> None:
        if response.usage_metadata is not None:
            self.usage = response.usage_metadata  # each replaces the one before
        if response.candidates:
            await self.take_candidate(response.candidates[0])
        elif (feedback := response.prompt_feedback) is not None and feedback.block_reason:
            self.finish = "PROHIBITED_CONTENT"
            self.message = feedback.block_reason_message or (
                f"(the provider blocked the prompt: {feedback.block_reason.value})"
            )

    async def take_candidate(self, candidate: types.Candidate) -> None:
        content = candidate.content
        for part in (content.parts if content is not None else None) or ():
            if part.text is not None:
                await self.take_text(part, part.text)
            else:
                await self.take_rare(part)
        if candidate.finish_reason is not None:
            self.finish = candidate.finish_reason.value
        if candidate.grounding_metadata is not None:
            await self.take_grounding(candidate.grounding_metadata)
        if candidate.citation_metadata is not None:
            for one in candidate.citation_metadata.citations or ():
                self.sources[Source(url=one.uri, title=one.title or "")] = None
        if candidate.url_context_metadata is not None:
            await self.take_addresses(candidate.url_context_metadata)

    async def take_text(self, part: types.Part, text: str) -> None:
        before = self.parts[-1] if self.parts else None
        if (
            before is None
            or before.text is None
            or before.thought != part.thought
            or before.thought_signature is not None
            or part.thought_signature is not None
        ):
            self.join()
            self.parts.append(part)
        self.pieces.append(text)
        if not text:
            return
        if part.thought:
            await self.emit(ReasoningDelta(text=text))
        else:
            self.said.append(text)
            await self.emit(TextDelta(text=text))

    def join(self) -> None:
        """Give the last part of text all that belongs to it."""
        if len(self.pieces) > 1:
            self.parts[-1] = self.parts[-1].model_copy(update={"text": "".join(self.pieces)})
        self.pieces.clear()

    async def take_rare(self, part: types.Part) -> None:
        """A part that is no text."""
        self.join()
        self.parts.append(part)
        if (call := part.function_call) is not None:
            if not call.name:
                raise ProtocolFailed("the model called a tool without a name")
            call_id = call.id or f"call_{uuid.uuid4().hex}"
            self.calls.append(ToolCall(call_id=call_id, name=call.name, arguments=call.args or {}))
            self.call_ids.append(call.id)
        elif (code := part.executable_code) is not None:
            language = "" if code.language is None else code.language.value.lower()
            await self.emit(
                HostedToolCall(
                    name=_CODE,
                    call_id=code.id or "",
                    arguments={"language": language, "code": code.code or ""},
                )
            )
        elif (hosted := part.tool_call) is not None:
            kind = "" if hosted.tool_type is None else hosted.tool_type.value
            name = _HOSTED.get(kind, kind.lower() or "tool")
            self.told.add(name)
            await self.emit(
                HostedToolCall(name=name, call_id=hosted.id or "", arguments=hosted.args or {})
            )
        elif not part.thought:  # a picture amid thoughts is no part of the answer
            self.media.append(part)

    async def take_grounding(self, grounding: types.GroundingMetadata) -> None:
        new = [
            query
            for query in grounding.web_search_queries or ()
            if _SEARCH not in self.told and f"query: {query}" not in self.told
        ]
        self.told |= {f"query: {query}" for query in new}
        for query in new:
            await self.emit(HostedToolCall(name=_SEARCH, arguments={"query": query}))
        for chunk in grounding.grounding_chunks or ():
            for found in (chunk.web, chunk.maps, chunk.retrieved_context):
                if found is not None:
                    text = getattr(found, "text", None) or ""
                    source = Source(url=found.uri, title=found.title or "", text=text)
                    self.sources[source] = None

    async def take_addresses(self, context: types.UrlContextMetadata) -> None:
        for one in context.url_metadata or ():
            url = one.retrieved_url or ""
            if f"url: {url}" in self.told:
                continue
            self.told.add(f"url: {url}")
            status = "" if one.url_retrieval_status is None else one.url_retrieval_status.value
            if "url_context" not in self.told:
                arguments = {"url": url, "status": status}
                await self.emit(HostedToolCall(name="url_context", arguments=arguments))
            if status == "URL_RETRIEVAL_STATUS_SUCCESS":
                self.sources[Source(url=url)] = None

    async def finished(self) -> Answer:
        if self.finish is None:
            raise Truncated("the stream ended before the model had finished its answer")
        stop = _STOP_REASONS.get(self.finish)
        if stop is None:
            kind, why = _FAILURES.get(
                self.finish, (ProtocolFailed, "the model stopped for a reason that makes no answer")
            )
            raise kind(f"{why} ({self.finish})")
        self.join()
        text = "".join(self.said)
        media = tuple(one for part in self.media if (one := media_of(part)) is not None)
        if stop == "length" and not (text or media or self.calls):
            raise LimitReached(
                "the output limit was reached before the model had said anything: its thinking "
                "counts, too; raise 'max_output_tokens', or let it think less"
            )
        if stop == "refusal" and not text:
            text = self.message or f"(the provider blocked the answer: {self.finish})"
            await self.emit(TextDelta(text=text))
        return Answer(
            text=text,
            calls=tuple(self.calls),
            stop_reason=stop,
            usage=_counted(self.usage),
            media=media,
            sources=tuple(self.sources),
            parts=tuple(self.parts),
            call_ids=tuple(self.call_ids),
        )


def _counted(usage: types.GenerateContentResponseUsageMetadata | None) -> Usage | None:
    if usage is None:
        return None
    return gemini_usage(
        {
            "promptTokenCount": usage.prompt_token_count,
            "toolUsePromptTokenCount": usage.tool_use_prompt_token_count,
            "cachedContentTokenCount": usage.cached_content_token_count,
            "candidatesTokenCount": usage.candidates_token_count,
            "thoughtsTokenCount": usage.thoughts_token_count,
        }
    )


async def read_answer(
    responses: AsyncIterable[types.GenerateContentResponse], emit: Emit
) -> Answer:
    """Read a stream to its end and tell of every delta.

    Args:
        responses: The pieces of the answer.
        emit: Takes a delta for each piece that has text.

    Raises:
        Truncated: The stream ended without a reason to stop.
        ProtocolFailed: The model stopped for a reason that makes no answer.
        LimitReached: The limit was reached before there was any.
    """
    reading = _Reading(emit)
    async for response in responses:
        await reading.take(response)
    return await reading.finished()
