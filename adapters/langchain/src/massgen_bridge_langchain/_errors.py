"""What LangChain, LangGraph and the providers' SDKs raise, as errors of massgen-bridge."""

from __future__ import annotations

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
    Truncated,
    retry_after_s,
)

__all__ = ["KINDS", "agent_error", "chain"]

KINDS: Mapping[str, type[AgentError]] = {
    # langchain_core: what every provider's package should raise
    "ContextOverflowError": ContextOverflow,
    "ModelAPIError": ServerFailed,
    "ModelAuthenticationError": AuthFailed,
    "ModelConnectionError": NetworkFailed,
    "ModelInvalidRequestError": BadRequest,
    "ModelNotFoundError": NotFound,
    "ModelPermissionDeniedError": PermissionDenied,
    "ModelRateLimitError": RateLimited,
    "ModelTimeoutError": TimedOut,
    "OutputParserException": ProtocolFailed,
    # langchain and langchain_openai
    "OpenAIRefusalError": BadRequest,
    "StreamChunkTimeoutError": TimedOut,
    "StructuredOutputError": ProtocolFailed,
    # langgraph
    "GraphRecursionError": LimitReached,
    "NodeTimeoutError": TimedOut,
    # the SDKs of OpenAI and Anthropic, which share most names
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
"""By class name: the SDKs' majors do not have the same classes, and most are not installed."""

_FRAMEWORKS = frozenset(
    {"anthropic", "langchain", "langchain_core", "langchain_openai", "langgraph", "openai"}
)
# The SDKs' majors stand on different HTTP libraries, and each lets some of their errors through.
_TRANSPORTS = frozenset({"anyio", "h11", "h2", "httpcore", "httpcore2", "httpx", "httpx2", "ssl"})
_TRANSPORT_KINDS: Mapping[str, type[AgentError]] = {
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


def agent_error(
    error: Exception, *, agent_id: str, where: str, in_model_call: bool = False
) -> AgentError | None:
    """The error of massgen-bridge that stands for an exception of a framework or an SDK.

    Args:
        error: What was raised; its causes are looked at, too.
        agent_id: The agent it happened to.
        where: Says in the error's text where it happened.
        in_model_call: Whether it came out of a model call, where bad values mean a bad answer.

    Returns:
        The error to raise, or None where nobody knows what the exception means.
    """
    for cause in chain(error):
        if isinstance(cause, AgentError):
            return type(cause)(
                f"{where}: {cause}", agent_id=agent_id, retry_after_s=cause.retry_after_s
            )
        kind = _kind(cause, in_model_call=in_model_call)
        if kind is not None:
            status = getattr(cause, "status_code", None)
            said = _text(cause) if status is None else f"HTTP {status}: {_text(cause)}"
            return kind(f"{where}: {said}", agent_id=agent_id, retry_after_s=_retry_after(cause))
    return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and what caused it, down to the first cause."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _kind(error: BaseException, *, in_model_call: bool) -> type[AgentError] | None:
    names = _class_names(error, _FRAMEWORKS)
    kind = next((KINDS[name] for name in names if name in KINDS), None)
    if kind is None:
        return _kind_beside_frameworks(error, in_model_call=in_model_call)
    words = [_BY_WORD[word] for word in _words(error) if word in _BY_WORD]
    decisive = next((word for word in words if word in _DECISIVE), None)
    if decisive is not None:
        return decisive
    status = getattr(error, "status_code", None)
    if names[0] in {"APIError", "APIStatusError"}:  # one without a class of its own
        kind = _kind_of_nameless(error, status, words) or kind
    if kind is BadRequest:
        return _kind_by_text(str(error)) or kind
    return kind


def _kind_of_nameless(
    error: BaseException, status: int | None, words: list[type[AgentError]]
) -> type[AgentError] | None:
    code = status if status is not None else _body(error).get("code")
    if isinstance(code, int):
        if code in _BY_STATUS:
            return _BY_STATUS[code]
        if code >= HTTPStatus.BAD_REQUEST:
            return ServerFailed if code >= HTTPStatus.INTERNAL_SERVER_ERROR else BadRequest
    return words[0] if words else None


def _kind_by_text(text: str) -> type[AgentError] | None:
    """Some providers give away only in words what a refused request suffers from."""
    if _OVERFLOW.search(text):
        return ContextOverflow
    return AuthFailed if _BAD_KEY.search(text) else None


def _kind_beside_frameworks(
    error: BaseException, *, in_model_call: bool
) -> type[AgentError] | None:
    if names := _class_names(error, _TRANSPORTS):
        return next(
            (_TRANSPORT_KINDS[name] for name in names if name in _TRANSPORT_KINDS), NetworkFailed
        )
    if isinstance(error, TimeoutError):
        return TimedOut
    if isinstance(error, ConnectionError):
        return NetworkFailed
    if in_model_call and isinstance(error, ValueError | TypeError | LookupError | AttributeError):
        # "No generation chunks were returned" is all that LangChain says of an empty stream.
        return Truncated if "No generation chunks" in str(error) else ProtocolFailed
    return None


def _class_names(error: BaseException, packages: Collection[str]) -> list[str]:
    """Names of the error's classes that one of the packages defines, the nearest first."""
    return [
        base.__name__
        for base in type(error).__mro__
        if base.__module__.partition(".")[0] in packages
    ]


def _body(error: BaseException) -> Mapping[str, Any]:
    body = getattr(error, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], Mapping):  # Gemini's form
        body = body[0].get("error")
    return body if isinstance(body, Mapping) else {}


def _words(error: BaseException) -> Iterator[str]:
    body = _body(error)
    yield from (str(body[key]) for key in ("code", "type") if body.get(key) is not None)


def _text(error: BaseException) -> str:
    """What happened, in one line: the provider's own words where it sent some."""
    said = _body(error).get("message") or getattr(error, "body", None)
    text = said if isinstance(said, str) and said.strip() else str(error)
    causes = chain(error.__cause__) if getattr(error, "status_code", None) is None else ()
    for cause in causes:
        text = f"{text}: {cause}" if str(cause) and str(cause) not in text else text
    line = " ".join(text.split()) or type(error).__name__
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


def _retry_after(error: BaseException) -> float | None:
    return retry_after_s(getattr(getattr(error, "response", None), "headers", None) or {})
