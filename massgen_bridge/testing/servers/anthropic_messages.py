"""The Anthropic Messages protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers import anthropic_answers
from massgen_bridge.testing.servers.anthropic_history import blocks_of, last_text, read_messages
from massgen_bridge.testing.servers.anthropic_rules import check_request
from massgen_bridge.testing.servers.model_request import ModelRequest, OfferedTool
from massgen_bridge.testing.servers.protocol import RefusedRequest, Rendered
from massgen_bridge.testing.servers.script import ContextOverflow, HttpError, QuotaExhausted
from massgen_bridge.testing.servers.wire_values import encoded

if TYPE_CHECKING:
    from massgen_bridge.testing.servers.answers import Answer
    from massgen_bridge.testing.servers.http_request import HttpRequest

__all__ = ["AnthropicMessages"]

_VERSION = "anthropic-version"
_REQUEST_ID = "req_00000000000000scripted"

# By status: the error's type, its text.
_ERRORS = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the API."),
    403: ("permission_error", "Your API key may not use the specified resource."),
    404: ("not_found_error", "The model does not exist."),
    408: ("timeout_error", "The request took too long to arrive."),
    409: ("conflict_error", "The request is in conflict with another one."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out while it was processed."),
    529: ("overloaded_error", "Overloaded"),
}
_FIRST_SERVER_ERROR = 500
_MOST_BYTES = 32 * 1024 * 1024


class AnthropicMessages:
    """Speaks Messages.

    Args:
        strict: whether requests that Anthropic refuses are refused here, too, such as a tool's
            result that answers no call.
    """

    name = "messages"
    path = "/v1/messages"
    headers = (("request-id", _REQUEST_ID),)

    def __init__(self, *, strict: bool = True) -> None:
        self._strict = strict

    def speaks(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from a client of the protocol, as far as its headers tell."""
        return _VERSION in headers

    def parse(self, body: Mapping[str, Any], request: HttpRequest, number: int) -> ModelRequest:
        """What the request asks for.

        Raises:
            RefusedRequest: it is not well formed, or says no version of the protocol.
        """
        if self._strict and len(request.body) > _MOST_BYTES:
            raise RefusedRequest(HttpError(status=413))
        fault = None if self.speaks(request.headers) else f"{_VERSION}: header is required"
        if self._strict:
            fault = fault or check_request(body)
        if fault is not None:
            raise RefusedRequest(HttpError(status=400, message=fault))
        content = blocks_of(body["messages"][-1]["content"])
        return ModelRequest(
            number=number,
            protocol=self.name,
            model=body["model"],
            stream=body.get("stream") is True,
            last_text=last_text(body),
            ends_with_tool_result=bool(content) and content[-1].get("type") == "tool_result",
            tools=_tools(body),
            output_schema=_output_schema(body),
            max_tokens=body["max_tokens"],
            headers=request.headers,
            body=body,
            read_messages=read_messages,
        )

    def render(self, request: ModelRequest, answer: Answer) -> Rendered:
        """The answer to the request, as a stream or a document, as the request wants it."""
        return anthropic_answers.render(request, answer)

    def error_of(self, reply: ContextOverflow | QuotaExhausted) -> HttpError:
        """The HTTP error that stands for the reply."""
        if isinstance(reply, QuotaExhausted):
            return HttpError(status=402)
        message = f"prompt is too long: {reply.tokens} tokens > {reply.window} maximum"
        return HttpError(status=400, message=message)

    def error_document(self, error: HttpError) -> bytes:
        """The body of an HTTP error."""
        return encoded(_error(error))

    def error_event(self, error: HttpError) -> bytes:
        """An error in the middle of a stream."""
        return anthropic_answers.event("error", _error(error))

    def malformed_event(self, data: str) -> bytes:
        """An event that carries the data as it is."""
        return b"event: content_block_delta\ndata: " + data.encode() + b"\n\n"

    def models_document(self, models: tuple[str, ...]) -> bytes:
        """The answer to a request for the list of models."""
        return encoded(
            {
                "data": [
                    {
                        "type": "model",
                        "id": model,
                        "display_name": model,
                        "created_at": "1970-01-01T00:00:00Z",
                        "lifecycle": "active",
                    }
                    for model in models
                ],
                "has_more": False,
                "first_id": models[0] if models else None,
                "last_id": models[-1] if models else None,
            }
        )


def _error(error: HttpError) -> dict[str, Any]:
    unlisted = "api_error" if error.status >= _FIRST_SERVER_ERROR else "invalid_request_error"
    kind, text = _ERRORS.get(
        error.status, (unlisted, f"The provider answered with {error.status}.")
    )
    told: dict[str, Any] = {"type": kind, "message": error.message or text}
    if error.code is not None:
        told["details"] = {"error_code": error.code}
    return {"type": "error", "error": told, "request_id": _REQUEST_ID}


def _tools(body: Mapping[str, Any]) -> tuple[OfferedTool, ...]:
    """The tools that the client runs; those of the provider are none of a script's business."""
    if (body.get("tool_choice") or {}).get("type") == "none":
        return ()
    return tuple(
        OfferedTool(
            name=tool["name"],
            description=tool.get("description"),
            parameters=tool["input_schema"],
        )
        for tool in body.get("tools") or ()
        if tool.get("type", "custom") == "custom"
    )


def _output_schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    match body:
        case {"output_config": {"format": {"type": "json_schema", "schema": schema}}}:
            found: Mapping[str, Any] = schema
            return found
        case _:
            return None
