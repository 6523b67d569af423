"""Answers as Anthropic Messages gives them, streamed and whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    split_evenly,
)
from massgen_bridge.testing.servers.anthropic_history import prompt_tokens, signature_of
from massgen_bridge.testing.servers.protocol import AnswerParts, Rendered, whole_document
from massgen_bridge.testing.servers.wire_values import NUMBER, encoded, json_or_text, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.testing.servers.model_request import ModelRequest

__all__ = ["event", "render"]

_REASONS = {
    "content_filter": "refusal",
    "context_window": "model_context_window_exceeded",
    "length": "max_tokens",
    "pause": "pause_turn",
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
}
_REFUSED = {"type": "refusal", "category": None, "explanation": None}


def render(request: ModelRequest, answer: Answer) -> Rendered:
    """The answer to the request, as a stream or a document, as the request wants it."""
    return _stream(request, answer) if request.stream else _document(request, answer)


def event(name: str, content: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encoded({"type": name, **content}))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A content block of a stream, as JSON.

    Attributes:
        start: as it begins.
        deltas: what is added to it, a token each.
        end: what is added behind the last of them.
    """

    start: bytes
    deltas: tuple[bytes, ...]
    end: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    """What streams to different requests share: bytes with `NUMBER` where they differ."""

    tokens: tuple[bytes, ...]
    whole: bytes
    last_stop: bytes
    cut: bool


def _stream(request: ModelRequest, answer: Answer) -> Rendered:
    make = _template.__wrapped__ if is_large(answer) else _template
    template = make(answer, request.max_tokens)
    count = len(template.tokens)
    # What a model has written when its first token is sent.
    usage = _usage(request, answer, 1)
    message = _message(request, content=[], reason=None, stop_sequence=None, usage=usage)
    opening = event("message_start", {"message": message}) + event("ping", {})
    closing = template.last_stop + _message_end(request, answer, count, cut=template.cut)

    def split() -> AnswerParts:
        tokens = tuple(numbered(token, request.number) for token in template.tokens)
        return AnswerParts(opening=opening, tokens=tokens, closing=closing)

    return Rendered(
        whole=opening + numbered(template.whole, request.number) + closing,
        count=count,
        streamed=True,
        split=split,
    )


def _message_end(request: ModelRequest, answer: Answer, count: int, *, cut: bool) -> bytes:
    reason, stop_sequence = _reason(request, answer, cut=cut)
    delta: dict[str, Any] = {"stop_reason": reason, "stop_sequence": stop_sequence}
    if reason == "refusal":
        delta["stop_details"] = _REFUSED
    usage = _usage(request, answer, count)
    return event("message_delta", {"delta": delta, "usage": usage}) + event("message_stop", {})


@lru_cache(maxsize=256)
def _template(answer: Answer, limit: int | None) -> _Template:
    all_tokens = tuple(_tokens(answer))
    kept = all_tokens[:limit]
    tokens = tuple(token for _, token in kept)
    return _Template(
        tokens=tokens,
        whole=b"".join(tokens),
        last_stop=_block_stop(kept[-1][0]) if kept else b"",
        cut=len(kept) < len(all_tokens),
    )


def _tokens(answer: Answer) -> Iterator[tuple[int, bytes]]:
    """Each token, with the index of the block that it belongs to."""
    for index, block in enumerate(_blocks(answer)):
        before = _block_stop(index - 1) if index else b""
        before += _block_event(b"content_block_start", index, b"content_block", block.start)
        for delta in block.deltas[:-1]:
            yield index, before + _block_event(b"content_block_delta", index, b"delta", delta)
            before = b""
        ends = (block.deltas[-1],) if block.end is None else (block.deltas[-1], block.end)
        last = (_block_event(b"content_block_delta", index, b"delta", delta) for delta in ends)
        yield index, before + b"".join(last)


def _blocks(answer: Answer) -> Iterator[_Block]:
    """The blocks of an answer; none of them is without a token."""
    if answer.reasoning:
        yield _Block(
            start=encoded({"type": "thinking", "thinking": "", "signature": ""}),
            deltas=_deltas("thinking_delta", "thinking", answer.reasoning_pieces),
            end=encoded(
                {"type": "signature_delta", "signature": signature_of(answer.reasoning)},
            ),
        )
    if answer.pieces:
        yield _Block(
            start=encoded({"type": "text", "text": ""}),
            deltas=_deltas("text_delta", "text", answer.pieces),
        )
    match answer:
        case ToolCalls():
            for index, (name, arguments) in enumerate(answer.calls):
                start = b'{"type":"tool_use","id":"%b","name":%b,"input":{}}'
                yield _Block(
                    start=start % (_call_id(index), encoded(name)),
                    deltas=_deltas("input_json_delta", "partial_json", _input_pieces(arguments)),
                )
        case Text() | Refusal() | Structured():
            pass
        case _:
            assert_never(answer)


def _deltas(kind: str, key: str, pieces: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(encoded({"type": kind, key: piece}) for piece in pieces)


def _input_pieces(arguments: str) -> tuple[str, ...]:
    # The provider begins with an empty piece, which stands for the name.
    return ("", *split_evenly(arguments))


def _call_id(index: int) -> bytes:
    return b"toolu_%b_%d" % (NUMBER, index)


def _block_event(name: bytes, index: int, key: bytes, content: bytes) -> bytes:
    return b'event: %b\ndata: {"type":"%b","index":%d,"%b":%b}\n\n' % (
        name,
        name,
        index,
        key,
        content,
    )


def _block_stop(index: int) -> bytes:
    return event("content_block_stop", {"index": index})


def _document(request: ModelRequest, answer: Answer) -> Rendered:
    content = _Cut(request.max_tokens)
    blocks = list(_whole_blocks(request, answer, content))
    reason, stop_sequence = _reason(request, answer, cut=content.is_cut)
    message = _message(
        request,
        content=blocks,
        reason=reason,
        stop_sequence=stop_sequence,
        usage=_usage(request, answer, content.count),
    )
    return whole_document(encoded(message), content.count)


class _Cut:
    """Counts tokens, and cuts off what goes beyond the limit."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.count = 0
        self.is_cut = False

    def __call__(self, pieces: tuple[str, ...]) -> tuple[str, ...]:
        kept = pieces if self._limit is None else pieces[: self._limit - self.count]
        self.count += len(kept)
        self.is_cut = self.is_cut or len(kept) < len(pieces)
        return kept


def _whole_blocks(request: ModelRequest, answer: Answer, cut: _Cut) -> Iterator[dict[str, Any]]:
    if thinking := "".join(cut(answer.reasoning_pieces)):
        signature = "" if cut.is_cut else signature_of(thinking)
        yield {"type": "thinking", "thinking": thinking, "signature": signature}
    if text := "".join(cut(answer.pieces)):
        yield {"type": "text", "text": text}
    if not isinstance(answer, ToolCalls):
        return
    for index, (name, arguments) in enumerate(answer.calls):
        if cut(_input_pieces(arguments)):
            yield {
                "type": "tool_use",
                "id": numbered(_call_id(index), request.number).decode(),
                "name": name,
                "input": {} if cut.is_cut else json_or_text(arguments or "{}"),
            }


def _message(
    request: ModelRequest,
    *,
    content: list[dict[str, Any]],
    reason: str | None,
    stop_sequence: str | None,
    usage: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "id": f"msg_{request.number:020d}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": stop_sequence,
        "stop_details": _REFUSED if reason == "refusal" else None,
        "usage": usage,
    }


def _reason(request: ModelRequest, answer: Answer, *, cut: bool) -> tuple[str, str | None]:
    """Why the answer stops, and at which stop sequence."""
    if cut:
        return "max_tokens", None
    match answer:
        case ToolCalls():
            usual = "tool_use"
        case Refusal():
            usual = "refusal"
        case Text() | Structured():
            usual = "end_turn"
        case _:
            assert_never(answer)
    reason = usual if answer.finish_reason is None else _REASONS[answer.finish_reason]
    stops = request.body.get("stop_sequences") or (None,)
    return reason, stops[0] if reason == "stop_sequence" else None


def _usage(request: ModelRequest, answer: Answer, count: int) -> dict[str, Any]:
    usage = answer.usage
    if usage == "absent":
        # The SDK's own reader of streams cannot do without the object.
        return {}
    if usage is None:
        usage = Usage(
            input_tokens=prompt_tokens(request.body),
            output_tokens=count,
            reasoning_tokens=min(count, len(answer.reasoning_pieces)),
        )
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "service_tier": "standard",
    }
