"""The protocol of the Gemini API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers import gemini_answers
from massgen_bridge.testing.servers.gemini_history import (
    last_text,
    parts_of,
    read_messages,
    spelled,
)
from massgen_bridge.testing.servers.gemini_rules import FIELDS, check_request
from massgen_bridge.testing.servers.model_request import ModelRequest, OfferedTool
from massgen_bridge.testing.servers.protocol import RefusedRequest, Rendered
from massgen_bridge.testing.servers.script import ContextOverflow, HttpError, QuotaExhausted
from massgen_bridge.testing.servers.wire_values import encoded

if TYPE_CHECKING:
    from massgen_bridge.testing.servers.answers import Answer
    from massgen_bridge.testing.servers.http_request import HttpRequest

__all__ = ["Gemini"]

_KEY = "x-goog-api-key"
_CALL = re.compile(r"/v1(?:beta|alpha)?/models/(?P<model>[^/:]+):(?P<method>\w+)")
_STREAMED = "streamGenerateContent"
_METHODS = {_STREAMED: True, "generateContent": False}
_INFO = "type.googleapis.com/google.rpc."

# By status: the error's status, its text.
_ERRORS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "Your API key does not have the permission to do this."),
    404: ("NOT_FOUND", "The model is not found for API version v1beta."),
    408: ("DEADLINE_EXCEEDED", "The request took too long to arrive."),
    409: ("ABORTED", "The request is in conflict with another one."),
    413: ("INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota for requests per minute."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred."),
    501: ("UNIMPLEMENTED", "The operation is not implemented."),
    502: ("UNAVAILABLE", "The server had a temporary problem."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The deadline expired before the answer was complete."),
    529: ("UNAVAILABLE", "The service is overloaded."),
}
_TOO_MANY = 429
_FIRST_SERVER_ERROR = 500
_MOST_BYTES = 20 * 1024 * 1024
_SAMPLING = {
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "seed": "seed",
    "stopSequences": "stop_sequences",
    "temperature": "temperature",
    "topK": "top_k",
    "topP": "top_p",
}


class Gemini:
    """Speaks the Gemini API: `generateContent` and `streamGenerateContent`.

    Args:
        strict: whether requests that Google refuses are refused here, too, such as a function's
            response that answers no call.
    """

    name = "gemini"
    path = "/{version}/models/{model}:{method}"
    models_path = "/v1beta/models"
    headers = (("server", "scaffolding on HTTPServer2"),)

    def __init__(self, *, strict: bool = True) -> None:
        self._strict = strict

    def speaks(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from a client of the protocol, as far as its headers tell."""
        return _KEY in headers

    def parse(self, body: Mapping[str, Any], request: HttpRequest, number: int) -> ModelRequest:
        """What the request asks for.

        Raises:
            RefusedRequest: it is not well formed, or wants what this server does not do.
        """
        called = _CALL.fullmatch(request.path)
        if called is None or called["method"] not in _METHODS:
            raise RefusedRequest(HttpError(status=404, message=f"no method at {request.path}"))
        model, stream = called["model"], _METHODS[called["method"]]
        body = spelled(body, FIELDS)
        if self._strict and len(request.body) > _MOST_BYTES:
            raise RefusedRequest(HttpError(status=413))
        fault = _address_fault(request.query, stream=stream)
        if self._strict:
            fault = fault or check_request(body, model)
        if fault is not None:
            raise RefusedRequest(HttpError(status=400, message=fault))
        settings = body.get("generationConfig") or {}
        parts = parts_of(body["contents"][-1])
        return ModelRequest(
            number=number,
            protocol=self.name,
            model=model,
            stream=stream,
            last_text=last_text(body),
            ends_with_tool_result=bool(parts) and "functionResponse" in parts[-1],
            tools=_tools(body),
            output_schema=settings.get("responseJsonSchema") or settings.get("responseSchema"),
            max_tokens=settings.get("maxOutputTokens"),
            headers=request.headers,
            body=body,
            read_messages=read_messages,
            settings={_SAMPLING[name]: settings[name] for name in _SAMPLING if name in settings},
        )

    def render(self, request: ModelRequest, answer: Answer) -> Rendered:
        """The answer to the request, as a stream or a document, as the request wants it."""
        return gemini_answers.render(request, answer)

    def error_of(self, reply: ContextOverflow | QuotaExhausted) -> HttpError:
        """The HTTP error that stands for the reply."""
        if isinstance(reply, QuotaExhausted):
            message = "Your prepayment credits are depleted. Please manage your project's billing."
            return HttpError(status=429, message=message)
        message = (
            f"The input token count ({reply.tokens}) exceeds the maximum number of tokens allowed "
            f"({reply.window})."
        )
        return HttpError(status=400, message=message)

    def error_document(self, error: HttpError) -> bytes:
        """The body of an HTTP error."""
        return encoded(_error(error))

    def error_event(self, error: HttpError) -> bytes:
        """An error in the middle of a stream."""
        return gemini_answers.event(_error(error))

    def malformed_event(self, data: str) -> bytes:
        """An event that carries the data as it is."""
        return b"data: " + data.encode() + b"\r\n\r\n"

    def models_document(self, models: tuple[str, ...]) -> bytes:
        """The answer to a request for the list of models."""
        return encoded(
            {
                "models": [
                    {
                        "name": f"models/{model}",
                        "displayName": model,
                        "supportedGenerationMethods": ["generateContent"],
                    }
                    for model in models
                ]
            }
        )


def _address_fault(query: str, *, stream: bool) -> str | None:
    settings = query.split("&") if query else []
    if any(setting.startswith("key=") for setting in settings):
        return f"this server takes no key in the address; expected the header {_KEY}"
    if stream and "alt=sse" not in settings:
        return "this server streams server-sent events only; expected '?alt=sse'"
    return None


def _error(error: HttpError) -> dict[str, Any]:
    unlisted = "INTERNAL" if error.status >= _FIRST_SERVER_ERROR else "INVALID_ARGUMENT"
    status, text = _ERRORS.get(
        error.status, (unlisted, f"The provider answered with {error.status}.")
    )
    told: dict[str, Any] = {
        "code": error.status,
        "message": error.message or text,
        "status": status,
    }
    details: list[dict[str, Any]] = []
    if error.code is not None:
        details.append({"@type": f"{_INFO}ErrorInfo", "reason": error.code})
    if error.status == _TOO_MANY and isinstance(error.retry_after, int | float):
        details.append({"@type": f"{_INFO}RetryInfo", "retryDelay": f"{error.retry_after:g}s"})
    if details:
        told["details"] = details
    return {"error": told}


def _tools(body: Mapping[str, Any]) -> tuple[OfferedTool, ...]:
    """The tools that the client runs; those of the provider are none of a script's business."""
    config = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if config.get("mode") == "NONE":
        return ()
    return tuple(
        OfferedTool(
            name=tool["name"],
            description=tool.get("description"),
            parameters=tool.get("parametersJsonSchema") or tool.get("parameters") or {},
        )
        for offered in body.get("tools") or ()
        for tool in offered.get("functionDeclarations") or ()
    )
