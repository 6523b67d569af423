"""Answers as Gemini gives them, streamed and whole."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, assert_never

from massgen_bridge.testing.servers.answers import (
    Answer,
    Refusal,
    Structured,
    Text,
    ToolCalls,
    Usage,
    is_large,
)
from massgen_bridge.testing.servers.gemini_history import prompt_tokens, signature_of
from massgen_bridge.testing.servers.protocol import AnswerParts, Rendered, whole_document
from massgen_bridge.testing.servers.wire_values import NUMBER, encoded, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from massgen_bridge.testing.servers.model_request import ModelRequest

__all__ = ["event", "render"]

_REASONS = {
    "content_filter": "SAFETY",
    "context_window": "MAX_TOKENS",
    "length": "MAX_TOKENS",
    "pause": "OTHER",
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
}
_MALFORMED = "MALFORMED_FUNCTION_CALL"
_BLOCKED = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
_DIGITS = NUMBER.decode()


def render(request: ModelRequest, answer: Answer) -> Rendered:
    """The answer to the request, as a stream or a document, as the request wants it."""
    return _stream(request, answer) if request.stream else _document(request, answer)


def event(content: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: %b\r\n\r\n" % encoded(content)


def _stream(request: ModelRequest, answer: Answer) -> Rendered:
    make = _tokens.__wrapped__ if is_large(answer) else _tokens
    tokens, cut = make(answer, request.max_tokens)
    count = len(tokens)
    closing = event(_chunk(request, _ending(answer, cut=cut), _usage(request, answer, count)))

    def split() -> AnswerParts:
        parts = tuple(numbered(token, request.number) for token in tokens)
        return AnswerParts(opening=b"", tokens=parts, closing=closing)

    return Rendered(
        whole=numbered(b"".join(tokens), request.number) + closing,
        count=count,
        streamed=True,
        split=split,
    )


@lru_cache(maxsize=256)
def _tokens(answer: Answer, limit: int | None) -> tuple[tuple[bytes, ...], bool]:
    """Each token as an event, and whether the limit cut some off."""
    parts = tuple(_parts(answer))
    kept = parts[:limit]
    events = tuple(
        event(
            {
                "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
                "responseId": _DIGITS,
            }
        ).replace(encoded(_DIGITS)[1:-1], NUMBER)
        for part in kept
    )
    return events, len(kept) < len(parts)


def _parts(answer: Answer) -> Iterator[dict[str, Any]]:
    """The parts of an answer, one for each token; a call is one token."""
    for piece in answer.reasoning_pieces:
        yield {"text": piece, "thought": True}
    for piece in answer.pieces:
        yield {"text": piece}
    match answer:
        case ToolCalls() if _arguments(answer) is not None:
            for index, (name, arguments) in enumerate(_arguments(answer) or ()):
                call = {"id": f"{_DIGITS}_{index}", "name": name, "args": arguments}
                # Only the first of calls that are made at once has a signature.
                signed = {} if index else {"thoughtSignature": signature_of(name, arguments)}
                yield {"functionCall": call, **signed}
        case Text() | Refusal() | Structured() | ToolCalls():
            pass
        case _:
            assert_never(answer)


def _arguments(answer: ToolCalls) -> tuple[tuple[str, Mapping[str, Any]], ...] | None:
    """The calls with their arguments; None where some have none that are a JSON object."""
    calls: list[tuple[str, Mapping[str, Any]]] = []
    for name, text in answer.calls:
        try:
            arguments = json.loads(text or "{}", parse_constant=_no_json)
        except ValueError:
            return None
        if not isinstance(arguments, dict):
            return None
        calls.append((name, arguments))
    return tuple(calls)


def _no_json(constant: str) -> None:
    raise ValueError(constant)


def _ending(answer: Answer, *, cut: bool) -> dict[str, Any]:
    """The candidate of the last event: why the answer stops, and a signature of its own."""
    if isinstance(answer, Refusal) and not answer.text:
        return {}
    reason = _reason(answer, cut=cut)
    last: dict[str, Any] = {"text": ""}
    if answer.reasoning:
        last["thoughtSignature"] = signature_of("", answer.text)
    ending: dict[str, Any] = {
        "content": {"parts": [last], "role": "model"},
        "finishReason": reason,
        "index": 0,
    }
    if reason == _MALFORMED and isinstance(answer, ToolCalls):
        ending["finishMessage"] = f"Malformed function call: {answer.calls[0][0]}"
    return ending


def _reason(answer: Answer, *, cut: bool) -> str:
    if cut:
        return "MAX_TOKENS"
    if answer.finish_reason is not None:
        return _REASONS[answer.finish_reason]
    match answer:
        case ToolCalls() if _arguments(answer) is None:
            return _MALFORMED
        case Refusal():
            return "SAFETY"
        case Text() | Structured() | ToolCalls():
            return "STOP"
        case _:
            assert_never(answer)


def _chunk(
    request: ModelRequest, candidate: Mapping[str, Any], usage: Mapping[str, Any]
) -> dict[str, Any]:
    told: dict[str, Any] = {"candidates": [candidate]} if candidate else {**_BLOCKED}
    if usage:
        told["usageMetadata"] = usage
    told["modelVersion"] = request.model
    told["responseId"] = f"{request.number:020d}"
    return told


def _document(request: ModelRequest, answer: Answer) -> Rendered:
    parts = tuple(_parts(answer))
    kept = parts[: request.max_tokens]
    candidate = _ending(answer, cut=len(kept) < len(parts))
    if candidate:
        numbers = f"{request.number:020d}"
        joined = json.loads(
            encoded(_joined(kept)).replace(encoded(_DIGITS)[1:-1], numbers.encode())
        )
        candidate["content"]["parts"] = joined or candidate["content"]["parts"]
    usage = _usage(request, answer, len(kept))
    return whole_document(encoded(_chunk(request, candidate, usage)), len(kept))


def _joined(parts: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """The parts with pieces of one text put together."""
    joined: list[dict[str, Any]] = []
    for part in parts:
        before = joined[-1] if joined else {}
        alike = before.get("thought") == part.get("thought")
        if "text" in part and "text" in before and alike:
            before["text"] += part["text"]
        else:
            joined.append({**part})
    return joined


def _usage(request: ModelRequest, answer: Answer, count: int) -> dict[str, Any]:
    usage = answer.usage
    if usage == "absent":
        return {}
    if usage is None:
        usage = Usage(
            input_tokens=prompt_tokens(request.body),
            output_tokens=count,
            reasoning_tokens=min(count, len(answer.reasoning_pieces)),
        )
    told = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens:
        told["cachedContentTokenCount"] = usage.cached_tokens
    if usage.reasoning_tokens:
        told["thoughtsTokenCount"] = usage.reasoning_tokens
    return told
