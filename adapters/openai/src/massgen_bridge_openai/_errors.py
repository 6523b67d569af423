"""Every exception that the SDK raises or lets through, as an error of massgen-bridge."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from massgen_bridge import (
    AgentCrashed,
    AgentError,
    AuthFailed,
    BadRequest,
    ContextOverflow,
    LimitReached,
    NetworkFailed,
    NotFound,
    PermissionDenied,
    ProtocolFailed,
    RateLimited,
    ServerFailed,
    TimedOut,
    retry_after_s,
)

__all__ = ["SDK_ERRORS", "agent_error"]

SDK_ERRORS: Mapping[str, type[AgentError]] = {
    "APIConnectionError": NetworkFailed,
    "APIError": ServerFailed,
    "APIResponseValidationError": ProtocolFailed,
    "APIStatusError": BadRequest,
    "APITimeoutError": TimedOut,
    "AuthenticationError": AuthFailed,
    "BadRequestError": BadRequest,
    "ConflictError": ServerFailed,
    "ContentFilterFinishReasonError": BadRequest,
    "InternalServerError": ServerFailed,
    "InvalidWebhookSignatureError": ProtocolFailed,
    "LengthFinishReasonError": LimitReached,
    "NotFoundError": NotFound,
    "OAuthError": AuthFailed,
    "OpenAIError": AgentCrashed,
    "PermissionDeniedError": PermissionDenied,
    "RateLimitError": RateLimited,
    "SubjectTokenProviderError": AuthFailed,
    "UnprocessableEntityError": BadRequest,
    "WebSocketConnectionClosedError": NetworkFailed,
    "WebSocketQueueFullError": NetworkFailed,
}
"""By the name of a class of `openai`, because its majors do not have the same classes."""

# The SDK's majors stand on different HTTP libraries, and each lets some of their errors through.
_TRANSPORTS = frozenset({"anyio", "h11", "h2", "httpcore", "httpcore2", "httpx", "httpx2", "ssl"})
_TRANSPORT_ERRORS: Mapping[str, type[AgentError]] = {
    "TimeoutException": TimedOut,
    "DecodingError": ProtocolFailed,
    "TooManyRedirects": ProtocolFailed,
}

_BY_STATUS: Mapping[int, type[AgentError]] = {
    HTTPStatus.UNAUTHORIZED: AuthFailed,
    HTTPStatus.PAYMENT_REQUIRED: PermissionDenied,
    HTTPStatus.FORBIDDEN: PermissionDenied,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.REQUEST_TIMEOUT: TimedOut,
    HTTPStatus.CONFLICT: ServerFailed,
    HTTPStatus.TOO_EARLY: ServerFailed,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimited,
}

# What providers write into `code` and `type` of an error; the status of some of them misleads.
_BY_WORD: Mapping[str, type[AgentError]] = {
    "authentication_error": AuthFailed,
    "context_length_exceeded": ContextOverflow,
    "exceed_context_size_error": ContextOverflow,
    "insufficient_quota": PermissionDenied,
    "invalid_api_key": AuthFailed,
    "invalid_request_error": BadRequest,
    "overloaded_error": ServerFailed,
    "rate_limit_error": RateLimited,
    "rate_limit_exceeded": RateLimited,
}
# These count whatever the status says.
_DECISIVE = (ContextOverflow, PermissionDenied)

_OVERFLOW = re.compile(
    r"maximum context length|context (window|length|size)|prompt is too long|too many tokens"
    r"|input token count.{0,40}exceeds|tokens? .{0,40}must be <=",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(r"(incorrect|invalid) api key|api key not valid", re.IGNORECASE)
_LONGEST_TEXT = 500


def agent_error(error: Exception, *, where: str, agent_id: str) -> AgentError:
    """The one error of massgen-bridge that stands for what came out of a model call.

    Args:
        error: What the SDK raised or let through.
        where: Names the connection and its model.
        agent_id: The agent that made the call.
    """
    text = _text(error)
    status = getattr(error, "status_code", None)
    return _kind(error, status, text)(
        f"{where}: {text}" if status is None else f"{where}: HTTP {status}: {text}",
        agent_id=agent_id,
        retry_after_s=_retry_after(error),
    )


def _kind(error: Exception, status: int | None, text: str) -> type[AgentError]:
    names = _class_names(error, {"openai"})
    kind = next((SDK_ERRORS[name] for name in names if name in SDK_ERRORS), None)
    if kind is None:
        return _kind_beside_sdk(error)
    words = [_BY_WORD[word] for word in _words(error) if word in _BY_WORD]
    decisive = next((word for word in words if word in _DECISIVE), None)
    if decisive is not None:
        return decisive
    if names[0] == "APIStatusError" and status is not None:
        kind = _kind_by_status(status)
    if names[0] == "APIError":  # reported in the middle of a stream
        code = _body(error).get("code")
        if isinstance(code, int) and code >= HTTPStatus.BAD_REQUEST:
            kind = _kind_by_status(code)
        elif words:
            kind = words[0]
    if kind is BadRequest:
        return _kind_by_text(text) or kind
    return kind


def _kind_by_text(text: str) -> type[AgentError] | None:
    """Some providers give away only in words what a refused request suffers from."""
    if _OVERFLOW.search(text):
        return ContextOverflow
    return AuthFailed if _BAD_KEY.search(text) else None


def _kind_by_status(status: int) -> type[AgentError]:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerFailed
    refused = BadRequest if status >= HTTPStatus.BAD_REQUEST else ProtocolFailed
    return _BY_STATUS.get(status, refused)


def _kind_beside_sdk(error: Exception) -> type[AgentError]:
    """The kind of an exception that is none of the SDK's own."""
    if names := _class_names(error, _TRANSPORTS):
        return next(
            (_TRANSPORT_ERRORS[name] for name in names if name in _TRANSPORT_ERRORS), NetworkFailed
        )
    if isinstance(error, OSError):
        return TimedOut if isinstance(error, TimeoutError) else NetworkFailed
    if isinstance(error, ValueError):  # no JSON, or no UTF-8
        return ProtocolFailed
    return AgentCrashed


def _class_names(error: Exception, packages: Collection[str]) -> list[str]:
    """Names of the error's classes that one of the packages defines, the nearest first."""
    return [
        base.__name__
        for base in type(error).__mro__
        if base.__module__.partition(".")[0] in packages
    ]


def _body(error: Exception) -> Mapping[str, Any]:
    body = getattr(error, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], Mapping):  # Gemini's form
        body = body[0].get("error")
    return body if isinstance(body, Mapping) else {}


def _words(error: Exception) -> Iterator[str]:
    body = _body(error)
    yield from (str(body[key]) for key in ("code", "type") if body.get(key) is not None)


def _text(error: Exception) -> str:
    """What happened, in one line: the provider's own words where it sent some."""
    said = _body(error).get("message") or getattr(error, "body", None)
    text = said if isinstance(said, str) and said.strip() else str(error)
    if isinstance(error, json.JSONDecodeError):
        text = f"an event of the stream is no JSON: {text}"
    cause = error.__cause__
    while cause is not None and getattr(error, "status_code", None) is None:
        if str(cause) and str(cause) not in text:
            text = f"{text.rstrip('.')}: {cause}"
        cause = cause.__cause__
    line = " ".join(text.split()) or type(error).__name__
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


def _retry_after(error: BaseException) -> float | None:
    return retry_after_s(getattr(getattr(error, "response", None), "headers", None) or {})
