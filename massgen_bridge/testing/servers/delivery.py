"""Turning a reply into an HTTP response: latency, pace and faults, the same for every protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from massgen_bridge.testing.servers.answers import (
    Answer,
    Refusal,
    Structured,
    Text,
    ToolCalls,
)
from massgen_bridge.testing.servers.http_response import (
    Drop,
    Gate,
    Pause,
    Response,
    Send,
    Stall,
    Step,
)
from massgen_bridge.testing.servers.schema_values import example_value
from massgen_bridge.testing.servers.script import (
    AutoToolCall,
    ContextOverflow,
    Disconnect,
    Drip,
    Echo,
    EndsEarly,
    ErrorEvent,
    Hang,
    HttpError,
    MalformedSSE,
    QuotaExhausted,
    Reply,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.testing.servers.model_request import ModelRequest
    from massgen_bridge.testing.servers.protocol import AnswerParts, Rendered, WireProtocol

__all__ = ["Delivery"]

_STREAM_HEADERS = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
)
_DOCUMENT_HEADERS = (("content-type", "application/json"),)

_Fault = EndsEarly | Disconnect | Hang | MalformedSSE | ErrorEvent | Drip


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Delivers replies.

    Attributes:
        protocol: in which they are rendered.
        gate: where every reply waits before its latency begins.
        latency_s: seconds before the first byte of any reply.
        tokens_per_second: the pace of streams that have none of their own.
    """

    protocol: WireProtocol
    gate: Gate
    latency_s: float = 0.0
    tokens_per_second: float | None = None

    def response(self, request: ModelRequest, reply: Reply) -> Response:
        """The response that carries the reply.

        Raises:
            ValueError: the reply does not fit the request, such as a call of a tool where none
                is offered.
        """
        match reply:
            case Text() | Refusal() | ToolCalls() | Structured():
                return self._answer(request, reply)
            case Echo():
                return self._answer(request, _echo(request, reply))
            case AutoToolCall():
                return self._answer(request, _tool_call(request, reply))
            case HttpError():
                return self.error(reply)
            case ContextOverflow() | QuotaExhausted():
                return self.error(self.protocol.error_of(reply))
            case EndsEarly() | Disconnect() | Hang() | MalformedSSE() | ErrorEvent() | Drip():
                return self._faulty(request, reply)
            case _:
                assert_never(reply)

    def error(self, error: HttpError) -> Response:
        """The response that carries an HTTP error."""
        body = self.protocol.error_document(error) if error.body is None else error.body.encode()
        headers = (("content-type", error.content_type), *self.protocol.headers, *error.headers)
        if error.retry_after is not None:
            headers += (("retry-after", str(error.retry_after)),)
        return Response(
            status=error.status,
            headers=headers,
            steps=(*self._start(self.latency_s), Send(body)),
            length=len(body),
        )

    def _answer(self, request: ModelRequest, answer: Answer) -> Response:
        rendered = self.protocol.render(request, answer)
        pace = self._pace(answer)
        if rendered.streamed and pace is not None:
            body: Iterator[Step] = _paced(rendered.split(), pace)
        else:
            body = iter((Send(rendered.whole, rendered.count),))
        return self._response(rendered, (*self._latency(answer), *body), more=answer.headers)

    def _faulty(self, request: ModelRequest, fault: _Fault) -> Response:
        latency = self._latency(fault.answer)
        if not request.stream and isinstance(fault, ErrorEvent):
            return self.error(fault.error)
        if not request.stream and isinstance(fault, MalformedSSE):
            return self._malformed_document(latency, fault)
        rendered = self.protocol.render(request, fault.answer)
        steps = (*latency, *self._fault(rendered, fault))
        if isinstance(fault, EndsEarly):
            return self._response(rendered, steps, length=len(rendered.split().opening))
        return self._response(rendered, steps)

    def _fault(self, rendered: Rendered, fault: _Fault) -> Iterator[Step]:
        parts = rendered.split()
        match fault:
            case EndsEarly():
                yield from self._before(parts, fault)
            case Disconnect() | Hang():
                if fault.after is not None:
                    yield from self._before(parts, fault)
                yield Drop(reset=fault.reset) if isinstance(fault, Disconnect) else Stall()
            case MalformedSSE():
                yield from self._before(parts, fault)
                yield Send(self.protocol.malformed_event(fault.data))
                rest = parts.tokens[fault.after :]
                yield Send(b"".join((*rest, parts.closing)), len(rest))
            case ErrorEvent():
                yield from self._before(parts, fault)
                yield Send(self.protocol.error_event(fault.error))
            case Drip():
                yield from _dripping(rendered, fault)
            case _:
                assert_never(fault)

    def _before(
        self, parts: AnswerParts, fault: EndsEarly | Disconnect | Hang | MalformedSSE | ErrorEvent
    ) -> Iterator[Step]:
        """The part of an answer that precedes a fault."""
        yield Send(parts.opening)
        pace = self._pace(fault.answer)
        for token in parts.tokens[: fault.after]:
            if pace is not None:
                yield Pause(pace)
            yield Send(token, 1)

    def _response(
        self,
        rendered: Rendered,
        steps: tuple[Step, ...],
        *,
        length: int | None = None,
        more: tuple[tuple[str, str], ...] = (),
    ) -> Response:
        kind = _STREAM_HEADERS if rendered.streamed else _DOCUMENT_HEADERS
        size = None if rendered.streamed else len(rendered.whole) if length is None else length
        return Response(
            status=200, headers=(*kind, *self.protocol.headers, *more), steps=steps, length=size
        )

    def _malformed_document(self, latency: tuple[Step, ...], fault: MalformedSSE) -> Response:
        body = fault.data.encode()
        headers = (*_DOCUMENT_HEADERS, *self.protocol.headers)
        return Response(status=200, headers=headers, steps=(*latency, Send(body)), length=len(body))

    def _pace(self, answer: Answer) -> float | None:
        """Seconds between two tokens."""
        rate = answer.tokens_per_second or self.tokens_per_second
        return None if rate is None else 1 / rate

    def _latency(self, answer: Answer) -> tuple[Step, ...]:
        return self._start(self.latency_s + answer.latency_s)

    def _start(self, latency_s: float) -> tuple[Step, ...]:
        """What precedes the first byte."""
        return (self.gate, Pause(latency_s)) if latency_s > 0 else (self.gate,)


def _paced(parts: AnswerParts, pace: float) -> Iterator[Step]:
    yield Send(parts.opening)
    for token in parts.tokens:
        yield Pause(pace)
        yield Send(token, 1)
    yield Send(parts.closing)


def _dripping(rendered: Rendered, fault: Drip) -> Iterator[Step]:
    starts = range(0, len(rendered.whole), fault.bytes_per_write)
    for start in starts:
        last = start == starts[-1]
        piece = rendered.whole[start : start + fault.bytes_per_write]
        yield Send(piece, rendered.count if last else 0)
        yield Pause(fault.pause_s)


def _echo(request: ModelRequest, echo: Echo) -> Answer:
    if request.output_schema is None or not echo.fit_schema:
        return Text(request.last_text)
    return Structured(example_value(request.output_schema))


def _tool_call(request: ModelRequest, wanted: AutoToolCall) -> Answer:
    if request.ends_with_tool_result and not wanted.again:
        return Text(request.last_text)
    for tool in request.tools:
        if wanted.name in {None, tool.name}:
            arguments = example_value(tool.parameters, variation=request.number)
            return ToolCalls((tool.name, arguments))
    offered = ", ".join(repr(tool.name) for tool in request.tools) or "none"
    raise ValueError(
        f"the script wants to call the tool {wanted.name or 'that comes first'!r}, but the "
        f"request offers {offered}; offer it, or script another reply"
    )
