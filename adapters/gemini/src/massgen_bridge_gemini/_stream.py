"""Reading one streamed answer: the hot path."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
from massgen_bridge_gemini._convert import JsonPart, media_of

__all__ = ["Answer", "Reading"]

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
_NOTHING: Mapping[str, Any] = {}
_CONTINUATION = "CONTINUATION"
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

    parts: Sequence[JsonPart]
    call_ids: tuple[str | None, ...]


@dataclass(slots=True)
class Reading:
    """What has come so far.

    Attributes:
        emit: Takes a delta for each piece that has text.
        token: By which the provider goes on where a stream ended or broke before the answer did.
    """

    emit: Emit
    parts: list[JsonPart] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    call_ids: list[str | None] = field(default_factory=list)
    media: list[JsonPart] = field(default_factory=list)
    sources: dict[Source, None] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    before: list[Usage] = field(default_factory=list)
    usage: Mapping[str, Any] | None = None
    finish: str | None = None
    message: str = ""
    token: str | None = None
    resumed: str | None = None

    async def read(self, chunks: AsyncIterable[Mapping[str, Any]]) -> None:
        """Read a stream to its end and tell of every delta.

        Args:
            chunks: Decoded from JSON, but not checked.

        Raises:
            ProtocolFailed: A chunk has not the form that the protocol promises.
        """
        self.token = None
        async for chunk in chunks:
            try:
                await self.take(chunk)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ProtocolFailed(f"a chunk is no part of an answer: {error}") from error

    def goes_on(self) -> bool:
        """Whether the answer is to be had from where its stream ended; then it is read on."""
        is_new = self.token is not None and self.token != self.resumed
        if not is_new or self.finish not in {None, _CONTINUATION}:
            return False
        self.resumed, self.finish = self.token, None
        counted = gemini_usage(self.usage)
        if counted is not None:
            self.before.append(counted)
        self.usage = None
        return True

    async def take(self, chunk: Mapping[str, Any]) -> None:
        """Take one piece of the answer."""
        if usage := chunk.get("usageMetadata"):
            self.usage = usage  # each replaces the one before
        if candidates := chunk.get("candidates"):
            await self.take_candidate(candidates[0])
        elif reason := (chunk.get("promptFeedback") or _NOTHING).get("blockReason"):
            self.finish = "PROHIBITED_CONTENT"
            self.message = chunk["promptFeedback"].get("blockReasonMessage") or (
                f"(the provider blocked the prompt: {reason})"
            )

    async def take_candidate(self, candidate: Mapping[str, Any]) -> None:
        """Take a piece of the one answer that is asked for."""
        for part in (candidate.get("content") or _NOTHING).get("parts") or ():
            text = part.get("text")
            if text is not None:
                await self.take_text(part, text)
            else:
                await self.take_rare(part)
        if finish := candidate.get("finishReason"):
            self.finish = finish
        if token := candidate.get("continuationToken"):
            self.token = token
        if grounding := candidate.get("groundingMetadata"):
            await self.take_grounding(grounding)
        if cited := candidate.get("citationMetadata"):
            for one in cited.get("citationSources") or cited.get("citations") or ():
                self.sources[Source(url=one.get("uri"), title=one.get("title") or "")] = None
        if context := candidate.get("urlContextMetadata"):
            await self.take_addresses(context)

    async def take_text(self, part: JsonPart, text: str) -> None:
        """Take text, or a thought."""
        last = self.parts[-1] if self.parts else _NOTHING
        is_thought = bool(part.get("thought"))
        if (
            last.get("text") is None
            or bool(last.get("thought")) != is_thought
            or "thoughtSignature" in last
            or "thoughtSignature" in part
        ):
            self.join()
            self.parts.append(part)
        self.pieces.append(text)
        if not text:
            return
        if is_thought:
            await self.emit(ReasoningDelta(text=text))
        else:
            self.said.append(text)
            await self.emit(TextDelta(text=text))

    def join(self) -> None:
        """Give the last part of text all that belongs to it."""
        if len(self.pieces) > 1:
            self.parts[-1] = {**self.parts[-1], "text": "".join(self.pieces)}
        self.pieces.clear()

    async def take_rare(self, part: JsonPart) -> None:
        """Take a part that is no text."""
        self.join()
        self.parts.append(part)
        if (call := part.get("functionCall")) is not None:
            if not call.get("name"):
                raise ProtocolFailed("the model called a tool without a name")
            call_id = call.get("id") or f"call_{uuid.uuid4().hex}"
            arguments = call.get("args") or {}
            self.calls.append(ToolCall(call_id=call_id, name=call["name"], arguments=arguments))
            self.call_ids.append(call.get("id"))
        elif (code := part.get("executableCode")) is not None:
            language, program = code.get("language") or "", code.get("code") or ""
            await self.emit(
                HostedToolCall(
                    name=_CODE,
                    call_id=code.get("id") or "",
                    arguments={"language": language.lower(), "code": program},
                )
            )
        elif (hosted := part.get("toolCall")) is not None:
            kind = hosted.get("toolType") or ""
            name = _HOSTED.get(kind, kind.lower() or "tool")
            self.told.add(name)
            await self.emit(
                HostedToolCall(
                    name=name,
                    call_id=hosted.get("id") or "",
                    arguments=hosted.get("args") or {},
                )
            )
        elif not part.get("thought"):  # a picture amid thoughts is no part of the answer
            self.media.append(part)

    async def take_grounding(self, grounding: Mapping[str, Any]) -> None:
        """Take what the provider's own search tells."""
        new = [
            query
            for query in grounding.get("webSearchQueries") or ()
            if _SEARCH not in self.told and f"query: {query}" not in self.told
        ]
        self.told |= {f"query: {query}" for query in new}
        for query in new:
            await self.emit(HostedToolCall(name=_SEARCH, arguments={"query": query}))
        for chunk in grounding.get("groundingChunks") or ():
            for found in map(chunk.get, ("web", "maps", "retrievedContext")):
                if found is not None:
                    title, text = found.get("title") or "", found.get("text") or ""
                    self.sources[Source(url=found.get("uri"), title=title, text=text)] = None

    async def take_addresses(self, context: Mapping[str, Any]) -> None:
        """Take which addresses were read."""
        for one in context.get("urlMetadata") or ():
            url = one.get("retrievedUrl") or ""
            if f"url: {url}" in self.told:
                continue
            self.told.add(f"url: {url}")
            status = one.get("urlRetrievalStatus") or ""
            if "url_context" not in self.told:
                arguments = {"url": url, "status": status}
                await self.emit(HostedToolCall(name="url_context", arguments=arguments))
            if status == "URL_RETRIEVAL_STATUS_SUCCESS":
                self.sources[Source(url=url)] = None

    async def finished(self) -> Answer:
        """What the model said.

        Raises:
            Truncated: The stream ended without a reason to stop.
            ProtocolFailed: The model stopped for a reason that makes no answer.
            LimitReached: The limit was reached before there was any.
        """
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
            usage=_all(self.before, gemini_usage(self.usage)),
            media=media,
            sources=tuple(self.sources),
            parts=tuple(self.parts),
            call_ids=tuple(self.call_ids),
        )


def _all(before: Sequence[Usage], last: Usage | None) -> Usage | None:
    """The usage of all requests of which an answer took several, as one call."""
    if not before:
        return last
    first, *others = (*before, last or Usage())
    return sum(others, first).model_copy(update={"calls": 1})
