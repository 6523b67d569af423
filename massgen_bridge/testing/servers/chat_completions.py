"""The OpenAI Chat Completions protocol, as OpenAI and the servers compatible with it speak it."""

from __future__ import annotations

import time
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
from massgen_bridge.testing.servers.chat_history import check_messages, read_messages, text_of
from massgen_bridge.testing.servers.model_request import ModelRequest, OfferedTool
from massgen_bridge.testing.servers.protocol import (
    AnswerParts,
    RefusedRequest,
    Rendered,
    whole_document,
)
from massgen_bridge.testing.servers.script import ContextOverflow, HttpError, QuotaExhausted
from massgen_bridge.testing.servers.wire_values import NUMBER, counted_tokens, encoded, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from massgen_bridge.testing.servers.http_request import HttpRequest

__all__ = ["ChatCompletions"]

_FIRST_SERVER_ERROR = 500
_DONE = b"data: [DONE]\n\n"

# By status: the error's type, its code, its text.
_ERRORS = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "model_not_found", "This project may not use the model."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    413: ("invalid_request_error", None, "The request is too large."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing the request."),
    503: ("server_error", "service_unavailable", "The engine is currently overloaded."),
    529: ("overloaded_error", "overloaded", "The provider is temporarily overloaded."),
}
_TYPES_BY_CODE = {"insufficient_quota": "insufficient_quota"}
_NEAREST_REASONS = {"context_window": "length", "pause": "stop", "stop_sequence": "stop"}


class ChatCompletions:
    """Speaks Chat Completions.

    Args:
        strict: whether histories that OpenAI refuses are refused here, too, such as a tool's
            result that answers no call.
    """

    name = "chat_completions"
    path = "/v1/chat/completions"
    headers: tuple[tuple[str, str], ...] = ()

    def __init__(self, *, strict: bool = True) -> None:
        self._strict = strict

    def parse(self, body: Mapping[str, Any], request: HttpRequest, number: int) -> ModelRequest:
        """What the request asks for.

        Raises:
            RefusedRequest: model or messages are missing, or the history is not well formed.
        """
        model, messages = body.get("model"), body.get("messages")
        if not isinstance(model, str) or not model:
            raise RefusedRequest(HttpError(status=400, message="you must provide a model"))
        if not isinstance(messages, list) or not messages:
            raise RefusedRequest(HttpError(status=400, message="'messages' must not be empty"))
        if self._strict and (fault := check_messages(messages)) is not None:
            raise RefusedRequest(HttpError(status=400, message=fault))
        return ModelRequest(
            number=number,
            protocol=self.name,
            model=model,
            stream=body.get("stream") is True,
            last_text=text_of(messages[-1]),
            ends_with_tool_result=messages[-1].get("role") == "tool",
            tools=_tools(body),
            output_schema=_output_schema(body.get("response_format")),
            max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
            headers=request.headers,
            body=body,
            read_messages=read_messages,
        )

    def render(self, request: ModelRequest, answer: Answer) -> Rendered:
        """The answer to the request, as a stream or a document, as the request wants it.

        Raises:
            ValueError: the protocol has no place for something in the answer.
        """
        if answer.hosted or answer.sources:
            raise ValueError(
                "Chat Completions tells of no tools and sources of the provider's own; ask by "
                "another protocol, or script an answer without them"
            )
        if request.stream:
            return _stream(request, answer)
        return _document(request, answer)

    def speaks(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002 nothing marks its clients
        """Whether a request comes from a client of the protocol, as far as its headers tell."""
        return False

    def error_of(self, reply: ContextOverflow | QuotaExhausted) -> HttpError:
        """The HTTP error that stands for the reply."""
        if isinstance(reply, QuotaExhausted):
            message = "You exceeded your current quota, please check your plan and billing details."
            return HttpError(status=429, message=message, code="insufficient_quota")
        message = (
            f"This model's maximum context length is {reply.window} tokens. However, your "
            f"messages resulted in {reply.tokens} tokens. Please reduce the length of the messages."
        )
        return HttpError(status=400, message=message, code="context_length_exceeded")

    def error_document(self, error: HttpError) -> bytes:
        """The body of an HTTP error."""
        return encoded({"error": self.error_of_status(error)})

    def error_of_status(self, error: HttpError) -> dict[str, Any]:
        """What the provider says of an HTTP error: `message`, `type`, `param` and `code`."""
        unlisted = (
            "server_error" if error.status >= _FIRST_SERVER_ERROR else "invalid_request_error"
        )
        kind, code, message = _ERRORS.get(
            error.status, (unlisted, None, f"The provider answered with {error.status}.")
        )
        code = error.code or code
        return {
            "message": error.message or message,
            "type": _TYPES_BY_CODE.get(code or "", kind),
            "param": None,
            "code": code,
        }

    def error_event(self, error: HttpError) -> bytes:
        """An error in the middle of a stream."""
        return b"data: " + self.error_document(error) + b"\n\n"

    def malformed_event(self, data: str) -> bytes:
        """An event that carries the data as it is."""
        return b"data: " + data.encode() + b"\n\n"

    def models_document(self, models: tuple[str, ...]) -> bytes:
        """The answer to a request for the list of models."""
        return encoded(
            {
                "object": "list",
                "data": [
                    {"id": model, "object": "model", "created": 0, "owned_by": "massgen-bridge"}
                    for model in models
                ],
            }
        )


def _tools(body: Mapping[str, Any]) -> tuple[OfferedTool, ...]:
    if body.get("tool_choice") == "none":
        return ()
    return tuple(
        OfferedTool(
            name=tool["function"]["name"],
            description=tool["function"].get("description"),
            parameters=tool["function"].get("parameters") or {},
        )
        for tool in body.get("tools") or ()
        if "function" in tool
    )


def _output_schema(response_format: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    match response_format:
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            found: Mapping[str, Any] = schema
            return found
        case {"type": "json_object"}:
            return {"type": "object"}
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _Template:
    """What answers to different requests share: bytes with `NUMBER` where they differ."""

    opening: bytes
    tokens: tuple[bytes, ...]
    finish: bytes
    whole: bytes


def _stream(request: ModelRequest, answer: Answer) -> Rendered:
    options = request.body.get("stream_options") or {}
    with_usage = options.get("include_usage") is True and answer.usage != "absent"
    make = _template.__wrapped__ if is_large(answer) else _template
    template = make(answer, request.model, request.max_tokens, with_usage)
    closing = template.finish
    if with_usage:
        usage = encoded(_usage(request, answer, len(template.tokens)))
        closing += _event(request.model, b'"choices":[],"usage":' + usage)
    closing = numbered(closing, request.number) + _DONE

    def split() -> AnswerParts:
        return AnswerParts(
            opening=numbered(template.opening, request.number),
            tokens=tuple(numbered(token, request.number) for token in template.tokens),
            closing=closing,
        )

    return Rendered(
        whole=numbered(template.whole, request.number) + closing,
        count=len(template.tokens),
        streamed=True,
        split=split,
    )


@lru_cache(maxsize=256)
def _template(answer: Answer, model: str, limit: int | None, with_usage: bool) -> _Template:  # noqa: FBT001 lru_cache keys by position
    tail = b',"usage":null' if with_usage else b""
    deltas = tuple(_deltas(answer))
    finish = _finish_reason(answer)
    if limit is not None and len(deltas) > limit:
        deltas, finish = deltas[:limit], "length"
    key = "refusal" if isinstance(answer, Refusal) else "content"
    empty = None if isinstance(answer, ToolCalls) or answer.reasoning else ""
    role = encoded({"role": "assistant", key: empty})
    opening = _event(model, _choice(role, None) + tail)
    tokens = tuple(_event(model, _choice(delta, None) + tail) for delta in deltas)
    return _Template(
        opening=opening,
        tokens=tokens,
        finish=_event(model, _choice(b"{}", finish) + tail),
        whole=opening + b"".join(tokens),
    )


def _deltas(answer: Answer) -> Iterator[bytes]:
    key = "refusal" if isinstance(answer, Refusal) else "content"
    for piece in answer.reasoning_pieces:
        yield encoded({"reasoning_content": piece})
    for piece in answer.pieces:
        yield encoded({key: piece})
    if not isinstance(answer, ToolCalls):
        return
    for index, (name, arguments) in enumerate(answer.calls):
        function = encoded({"name": name, "arguments": ""})
        yield b'{"tool_calls":[{"index":%d,"id":"%b","type":"function","function":%b}]}' % (
            index,
            _call_id(index),
            function,
        )
        for piece in split_evenly(arguments):
            yield encoded({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})


def _event(model: str, content: bytes) -> bytes:
    return (
        b'data: {"id":"chatcmpl-%b","object":"chat.completion.chunk","created":%d,"model":%b,'
        b'"service_tier":"default","system_fingerprint":"fp_scripted",%b}\n\n'
        % (NUMBER, time.time(), encoded(model), content)
    )


def _choice(delta: bytes, finish_reason: str | None) -> bytes:
    return b'"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]' % (
        delta,
        encoded(finish_reason),
    )


def _document(request: ModelRequest, answer: Answer) -> Rendered:
    limit = request.max_tokens
    finish = _finish_reason(answer)
    reasoning, pieces = answer.reasoning_pieces, answer.pieces
    count = len(reasoning) + len(pieces)
    if isinstance(answer, ToolCalls):
        count += sum(1 + len(split_evenly(arguments)) for _, arguments in answer.calls)
    if limit is not None and count > limit:
        reasoning, count, finish = reasoning[:limit], limit, "length"
        pieces = pieces[: limit - len(reasoning)]
    document: dict[str, Any] = {
        "id": f"chatcmpl-{request.number:020d}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.model,
        "choices": [
            {
                "index": 0,
                "message": _message(request, answer, "".join(reasoning), "".join(pieces)),
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    }
    if answer.usage != "absent":
        document["usage"] = _usage(request, answer, count)
    return whole_document(encoded(document), count)


def _message(request: ModelRequest, answer: Answer, reasoning: str, text: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if reasoning:
        message["reasoning_content"] = reasoning
    match answer:
        case Refusal():
            message |= {"content": None, "refusal": text}
        case ToolCalls():
            message["content"] = text or None
            message["tool_calls"] = [
                {
                    "id": numbered(_call_id(index), request.number).decode(),
                    "type": "function",
                    "function": {"name": name, "arguments": arguments},
                }
                for index, (name, arguments) in enumerate(answer.calls)
            ]
        case Text() | Structured():
            pass
        case _:
            assert_never(answer)
    return message


def _finish_reason(answer: Answer) -> str:
    usual = "tool_calls" if isinstance(answer, ToolCalls) else "stop"
    reason = answer.finish_reason or usual
    return _NEAREST_REASONS.get(reason, reason)


def _call_id(index: int) -> bytes:
    return b"call_%b_%d" % (NUMBER, index)


def _usage(request: ModelRequest, answer: Answer, count: int) -> dict[str, Any]:
    usage = answer.usage
    if not isinstance(usage, Usage):
        usage = Usage(
            input_tokens=_prompt_tokens(request),
            output_tokens=count,
            reasoning_tokens=min(count, len(answer.reasoning_pieces)),
        )
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _prompt_tokens(request: ModelRequest) -> int:
    messages = request.body["messages"]
    return counted_tokens(sum(len(text_of(message)) for message in messages), len(messages))
