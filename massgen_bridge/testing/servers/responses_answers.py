"""Answers as OpenAI Responses gives them, streamed and whole."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.answers import (
    Answer,
    Cited,
    HostedCall,
    Refusal,
    Structured,
    Text,
    ToolCalls,
    Usage,
    is_large,
    split_evenly,
)
from massgen_bridge.testing.servers.protocol import AnswerParts, Rendered, whole_document
from massgen_bridge.testing.servers.responses_history import SEAL, prompt_tokens
from massgen_bridge.testing.servers.wire_values import NUMBER, encoded, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from massgen_bridge.testing.servers.model_request import ModelRequest

__all__ = ["ENCRYPTED", "event", "failed_event", "render"]

ENCRYPTED = "reasoning.encrypted_content"
"""What a request includes to get the reasoning in a form that it can send back."""

_CUT = {"context_window": "max_output_tokens", "length": "max_output_tokens"}
_HOSTED = {
    "code_execution": "code_interpreter_call",
    "file_search": "file_search_call",
    "image_generation": "image_generation_call",
    "web_search": "web_search_call",
}
_ECHOED: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}


def render(request: ModelRequest, answer: Answer) -> Rendered:
    """The answer to the request, as a stream or a document, as the request wants it."""
    make = _template.__wrapped__ if is_large(answer) else _template
    reasoning = request.body.get("reasoning") or {}
    template = make(
        answer,
        request.max_tokens,
        reasoning.get("summary") is not None,
        ENCRYPTED in (request.body.get("include") or ()),
    )
    if request.stream:
        return _stream(request, answer, template)
    output = numbered(template.output, request.number)
    return whole_document(_ended(request, answer, template, output)[1], template.count)


def event(kind: str, sequence: int, **data: Any) -> bytes:
    """A server-sent event; what is bytes already is JSON."""
    content = _object(type=kind, sequence_number=sequence, **data)
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), content)


def failed_event(code: str, message: str) -> bytes:
    """The end of a stream whose answer has failed."""
    response = {
        "id": "resp_failed",
        "object": "response",
        "created_at": int(time.time()),
        "model": "failed",
        "status": "failed",
        "error": {"code": code, "message": message},
        "output": [],
        "usage": None,
    }
    return event("response.failed", 0, response=response)


def _object(**fields: Any) -> bytes:
    members = (
        b'"%b":%b' % (name.encode(), value if isinstance(value, bytes) else encoded(value))
        for name, value in fields.items()
    )
    return b"{" + b",".join(members) + b"}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    """What answers to different requests share: bytes with `NUMBER` where they differ.

    Attributes:
        tokens: The events of each token, and of what begins or ends before it.
        whole: All of them.
        last: The events that end what the last token belongs to.
        output: The items as the answer's end tells them.
        count: How many tokens there are.
        cut: Whether the limit left some out.
        events: How many events there are so far.
    """

    tokens: tuple[bytes, ...]
    whole: bytes
    last: bytes
    output: bytes
    count: int
    cut: bool
    events: int


class _Writer:
    """Writes the items of an answer, an event after the other."""

    def __init__(self) -> None:
        self.tokens: list[bytes] = []
        self.output: list[bytes] = []
        self.before = b""
        self.events = 2  # those that open every stream

    def tell(self, kind: str, **data: Any) -> None:
        self.before += event(f"response.{kind}", self.events, **data)
        self.events += 1

    def token(self) -> None:
        """End a token: what was told belongs to it."""
        self.tokens.append(self.before)
        self.before = b""

    def begin(self, start: bytes) -> int:
        index = len(self.output)
        self.tell("output_item.added", output_index=index, item=start)
        return index

    def end(self, item: bytes) -> None:
        self.tell("output_item.done", output_index=len(self.output), item=item)
        self.output.append(item)


@lru_cache(maxsize=256)
def _template(answer: Answer, limit: int | None, summed: bool, sealed: bool) -> _Template:  # noqa: FBT001 lru_cache keys by position
    writer = _Writer()
    left = _Left(limit)
    for write in _items(answer, summed=summed, sealed=sealed):
        write(writer, left)
    tokens = tuple(writer.tokens)
    return _Template(
        tokens=tokens,
        whole=b"".join(tokens),
        last=writer.before,
        output=b"[" + b",".join(writer.output) + b"]",
        count=len(tokens),
        cut=left.is_cut,
        events=writer.events,
    )


class _Left:
    """Counts tokens, and cuts off what goes beyond the limit."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self.is_cut = False

    def __call__(self, pieces: tuple[str, ...]) -> tuple[str, ...]:
        if self._left is None:
            return pieces
        kept = pieces[: self._left]
        self._left -= len(kept)
        self.is_cut = self.is_cut or len(kept) < len(pieces)
        return kept


def _items(
    answer: Answer, *, summed: bool, sealed: bool
) -> Iterator[Callable[[_Writer, _Left], None]]:
    if answer.reasoning:
        yield lambda writer, left: _reasoning(writer, left, answer, summed=summed, sealed=sealed)
    for index, hosted in enumerate(answer.hosted):
        yield lambda writer, left, hosted=hosted, index=index: _hosted(writer, left, hosted, index)  # type: ignore[misc] # bound at once
    if answer.pieces or isinstance(answer, Text | Refusal | Structured):
        yield lambda writer, left: _message(writer, left, answer)
    if isinstance(answer, ToolCalls):
        for index, (name, arguments) in enumerate(answer.calls):
            yield lambda writer, left, index=index, name=name, arguments=arguments: _call(  # type: ignore[misc] # bound at once
                writer, left, index, name, arguments
            )


def _reasoning(writer: _Writer, left: _Left, answer: Answer, *, summed: bool, sealed: bool) -> None:
    pieces = left(answer.reasoning_pieces)
    if not pieces:
        return
    item_id = b'"rs_%b"' % NUMBER
    index = writer.begin(_object(id=item_id, type="reasoning", summary=[]))
    kind, place = ("reasoning_text", "content_index")
    if summed:
        kind, place = ("reasoning_summary_text", "summary_index")
    where: dict[str, Any] = {"item_id": item_id, "output_index": index, place: 0}
    text = "".join(pieces)
    if summed:
        part = {"type": "summary_text", "text": ""}
        writer.tell("reasoning_summary_part.added", **where, part=part)
    for piece in pieces:
        writer.tell(f"{kind}.delta", **where, delta=piece)
        writer.token()
    writer.tell(f"{kind}.done", **where, text=text)
    if summed:
        part = {"type": "summary_text", "text": text}
        writer.tell("reasoning_summary_part.done", **where, part=part)
    item: dict[str, Any] = {
        "id": item_id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text}] if summed else [],
    }
    if not summed:
        item["content"] = [{"type": "reasoning_text", "text": text}]
    if sealed:
        item["encrypted_content"] = b'"%b%b"' % (SEAL, b"rs_" + NUMBER)
    writer.end(_object(**item))


def _hosted(writer: _Writer, left: _Left, hosted: HostedCall, index: int) -> None:
    if not left((hosted.name,)):
        return
    kind = _HOSTED[hosted.name]
    item_id = b'"%b_%b_%d"' % (kind.encode(), NUMBER, index)
    place = {
        "item_id": item_id,
        "output_index": writer.begin(_object(id=item_id, type=kind, status="in_progress")),
    }
    writer.tell(f"{kind}.in_progress", **place)
    writer.tell(f"{kind}.completed", **place)
    writer.token()
    writer.end(_object(id=item_id, type=kind, status="completed", **_told(hosted)))


def _told(hosted: HostedCall) -> dict[str, Any]:
    """What a hosted call's item says of it."""
    arguments = json.loads(hosted.arguments)
    match hosted.name:
        case "web_search":
            return {"action": {"type": "search", **arguments}}
        case "file_search":
            return {"queries": arguments.get("queries", []), "results": None}
        case "code_execution":
            outputs = [{"type": "logs", "logs": hosted.output}] if hosted.output else []
            return {"code": arguments.get("code"), "container_id": "cntr_1", "outputs": outputs}
        case _:
            picture = None if hosted.image is None else base64.b64encode(hosted.image).decode()
            return {
                "result": picture,
                "output_format": "png",
                "revised_prompt": arguments.get("prompt"),
            }


def _message(writer: _Writer, left: _Left, answer: Answer) -> None:
    pieces = left(answer.pieces)
    if not pieces and answer.pieces:
        return
    item_id = b'"msg_%b"' % NUMBER
    start = _object(id=item_id, type="message", role="assistant", status="in_progress", content=[])
    where: dict[str, Any] = {
        "item_id": item_id,
        "output_index": writer.begin(start),
        "content_index": 0,
    }
    refused = isinstance(answer, Refusal)
    kind = "refusal" if refused else "output_text"
    extra: dict[str, Any] = {} if refused else {"logprobs": []}
    writer.tell("content_part.added", **where, part=_part("", refused=refused))
    for piece in pieces:
        writer.tell(f"{kind}.delta", **where, delta=piece, **extra)
        writer.token()
    text = "".join(pieces)
    cited = [_annotation(source, len(text)) for source in answer.sources]
    for number, annotation in enumerate(cited):
        writer.tell(
            "output_text.annotation.added",
            **where,
            annotation_index=number,
            annotation=annotation,
        )
    told = {"refusal": text} if refused else {"text": text, **extra}
    writer.tell(f"{kind}.done", **where, **told)
    part = _part(text, refused=refused, annotations=cited)
    writer.tell("content_part.done", **where, part=part)
    status = "incomplete" if left.is_cut or answer.finish_reason in _CUT else "completed"
    writer.end(_object(id=item_id, type="message", role="assistant", status=status, content=[part]))


def _part(text: str, *, refused: bool, annotations: list[Any] | None = None) -> dict[str, Any]:
    if refused:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": annotations or [], "logprobs": []}


def _annotation(source: Cited, end: int) -> dict[str, Any]:
    if source.container is not None:
        return {
            "type": "container_file_citation",
            "container_id": source.container,
            "file_id": source.title,
            "filename": f"/mnt/data/{source.title}",
            "start_index": 0,
            "end_index": end,
        }
    if source.url is None:
        return {
            "type": "file_citation",
            "file_id": f"file-{source.title}",
            "filename": source.title,
            "index": end,
        }
    return {
        "type": "url_citation",
        "url": source.url,
        "title": source.title,
        "start_index": 0,
        "end_index": end,
    }


def _call(writer: _Writer, left: _Left, index: int, name: str, arguments: str) -> None:
    pieces = left(("", *split_evenly(arguments)))
    if not pieces:
        return
    item_id = b'"fc_%b_%d"' % (NUMBER, index)
    call_id = b'"call_%b_%d"' % (NUMBER, index)
    place = {
        "item_id": item_id,
        "output_index": writer.begin(_call_item(item_id, call_id, name, "", "in_progress")),
    }
    writer.token()
    for piece in pieces[1:]:
        writer.tell("function_call_arguments.delta", **place, delta=piece)
        writer.token()
    written = "".join(pieces)
    status = "incomplete" if left.is_cut else "completed"
    writer.tell("function_call_arguments.done", **place, name=name, arguments=written)
    writer.end(_call_item(item_id, call_id, name, written, status))


def _call_item(item_id: bytes, call_id: bytes, name: str, arguments: str, status: str) -> bytes:
    return _object(
        id=item_id,
        type="function_call",
        status=status,
        call_id=call_id,
        name=name,
        arguments=arguments,
    )


def _stream(request: ModelRequest, answer: Answer, template: _Template) -> Rendered:
    begun = _response(request, "in_progress", b"[]")
    opening = event("response.created", 0, response=begun)
    opening += event("response.in_progress", 1, response=begun)
    output = numbered(template.output, request.number)
    kind, response = _ended(request, answer, template, output)
    closing = numbered(template.last, request.number)
    closing += event(f"response.{kind}", template.events, response=response)

    def split() -> AnswerParts:
        tokens = tuple(numbered(token, request.number) for token in template.tokens)
        return AnswerParts(opening=opening, tokens=tokens, closing=closing)

    return Rendered(
        whole=opening + numbered(template.whole, request.number) + closing,
        count=template.count,
        streamed=True,
        split=split,
    )


def _ended(
    request: ModelRequest, answer: Answer, template: _Template, output: bytes
) -> tuple[str, bytes]:
    """The status of the answer, and all of it."""
    reason = "max_output_tokens" if template.cut else _CUT.get(answer.finish_reason or "")
    if answer.finish_reason == "content_filter":
        reason = "content_filter"
    status = "completed" if reason is None else "incomplete"
    details = None if reason is None else {"reason": reason}
    usage = _usage(request, answer, template.count)
    return status, _response(request, status, output, incomplete_details=details, usage=usage)


def _response(request: ModelRequest, status: str, output: bytes, **ended: Any) -> bytes:
    echoed = {name: request.body.get(name, usual) for name, usual in _ECHOED.items()}
    return _object(
        id=f"resp_{request.number:020d}",
        object="response",
        created_at=int(time.time()),
        model=request.model,
        status=status,
        error=None,
        output=output,
        **{"incomplete_details": None, "usage": None, **ended},
        **echoed,
    )


def _usage(request: ModelRequest, answer: Answer, count: int) -> dict[str, Any] | None:
    usage = answer.usage
    if usage == "absent":
        return None
    if usage is None:
        usage = Usage(
            input_tokens=prompt_tokens(request.body),
            output_tokens=count,
            reasoning_tokens=min(count, len(answer.reasoning_pieces)),
        )
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
