"""What the providers' SDKs raise or let through, as errors of massgen-bridge.

No SDK is imported: classes are known by name, because the majors of an SDK do not have the same
ones, and a framework may bring any of them.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from massgen_bridge.errors import (
    ERROR_KINDS,
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
    error_of_kind,
    error_words,
)
from massgen_bridge.models.retry import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from massgen_bridge.errors import ErrorKind

__all__ = [
    "SDK_ERRORS",
    "causes",
    "code_of_kind",
    "error_text",
    "model_call_error",
    "refused_call_error",
    "reported_error",
    "sdk_error",
]

SDK_ERRORS: Mapping[str, type[AgentError]] = {
    "APIConnectionError": NetworkFailed,
    "APIError": ServerFailed,
    "APIResponseValidationError": ProtocolFailed,
    "APIStatusError": BadRequest,
    "APITimeoutError": TimedOut,
    "APIWebhookValidationError": ProtocolFailed,
    "AnthropicError": AgentCrashed,
    "AuthenticationError": AuthFailed,
    "BadRequestError": BadRequest,
    "ClientClosedRequestError": NetworkFailed,
    "ClientError": BadRequest,
    "ConflictError": ServerFailed,
    "ContentFilterFinishReasonError": BadRequest,
    "ContentTooLargeError": BadRequest,
    "ContinuationInterruptedError": NetworkFailed,
    "ContractSpendLimitReachedError": PermissionDenied,
    "CredentialsError": AuthFailed,
    "DeadlineExceededError": ServerFailed,
    "EnforcedSpendLimitReachedError": PermissionDenied,
    "GatewayTimeoutError": ServerFailed,
    "HTTPNotImplementedError": ServerFailed,
    "IdentityTokenFileError": AuthFailed,
    "InternalServerError": ServerFailed,
    "InvalidWebhookSignatureError": ProtocolFailed,
    "LengthFinishReasonError": LimitReached,
    "NotFoundError": NotFound,
    "OAuthError": AuthFailed,
    "OpenAIError": AgentCrashed,
    "OverloadedError": ServerFailed,
    "PaymentRequiredError": PermissionDenied,
    "PermissionDeniedError": PermissionDenied,
    "PreconditionFailedError": BadRequest,
    "RateLimitError": RateLimited,
    "RequestHeaderFieldsTooLargeError": BadRequest,
    "RequestTimeoutError": TimedOut,
    "RequestTooLargeError": BadRequest,
    "RetryableError": ServerFailed,
    "ServerError": ServerFailed,
    "ServiceUnavailableError": ServerFailed,
    "SubjectTokenProviderError": AuthFailed,
    "UnknownApiResponseError": ProtocolFailed,
    "UnprocessableEntityError": BadRequest,
    "WebSocketConnectionClosedError": NetworkFailed,
    "WebSocketQueueFullError": NetworkFailed,
}
"""By class name; the SDKs of OpenAI and Anthropic share most of them, Google's has its own."""

# These tell nothing by themselves.
_NAMELESS = frozenset({"APIError", "APIStatusError", "ClientError", "ServerError"})

# The SDKs' majors stand on different HTTP libraries, and each lets some of their errors through.
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
    499: NetworkFailed,  # to the provider, the client has left
}
# What providers write into `code` and `type` of an error; the status of some of them misleads.
_BY_WORD: Mapping[str, type[AgentError]] = {
    "api_error": ServerFailed,
    "authentication_error": AuthFailed,
    "billing_error": PermissionDenied,
    "bio_policy": BadRequest,
    "context_length_exceeded": ContextOverflow,
    "data_residency_mismatch": BadRequest,
    "empty_image_file": BadRequest,
    "exceed_context_size_error": ContextOverflow,
    "failed_to_download_image": BadRequest,
    "image_content_policy_violation": BadRequest,
    "image_file_not_found": BadRequest,
    "image_file_too_large": BadRequest,
    "image_parse_error": BadRequest,
    "image_too_large": BadRequest,
    "image_too_small": BadRequest,
    "insufficient_quota": PermissionDenied,
    "invalid_api_key": AuthFailed,
    "invalid_base64_image": BadRequest,
    "invalid_image": BadRequest,
    "invalid_image_format": BadRequest,
    "invalid_image_mode": BadRequest,
    "invalid_image_url": BadRequest,
    "invalid_prompt": BadRequest,
    "invalid_request_error": BadRequest,
    "misalignment_policy_violation": BadRequest,
    "not_found_error": NotFound,
    "overloaded_error": ServerFailed,
    "permission_error": PermissionDenied,
    "rate_limit_error": RateLimited,
    "rate_limit_exceeded": RateLimited,
    "request_too_large": BadRequest,
    "server_error": ServerFailed,
    "timeout_error": TimedOut,
    "unsupported_image_media_type": BadRequest,
    "vector_store_timeout": ServerFailed,
}
# The host's gateway names the kind of an error itself: a status says less.
_OWN = "massgen_bridge_"
_BY_OWN_WORD: Mapping[str, type[AgentError]] = {
    f"{_OWN}{kind}": error_of_kind(kind) for kind in ERROR_KINDS
}
# These count whatever the status says.
_DECISIVE = (ContextOverflow, PermissionDenied)
_OVERFLOW = re.compile(
    r"maximum context length|context (window|length|limit|size)|prompt is too long|too many tokens"
    r"|input token count.{0,40}exceeds|tokens? .{0,40}must be <=",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(r"(incorrect|invalid) api key|api key not valid", re.IGNORECASE)
_NO_MONEY = re.compile(r"credit balance is too low|credits are depleted", re.IGNORECASE)
_LONGEST_TEXT = 500
_NO_REASON = "the provider gives no reason"
_PAGE = re.compile(r"<(title|h1)[^>]*>\s*(.+?)\s*</\1>", re.IGNORECASE | re.DOTALL)


def sdk_error(
    error: BaseException,
    *,
    where: str,
    agent_id: str,
    kinds: Mapping[str, type[AgentError]] = SDK_ERRORS,
    packages: Collection[str],
) -> AgentError | None:
    """The error that stands for an exception of an SDK or of the HTTP library below it.

    Args:
        error: What came out of a model call; its causes serve for the text alone.
        where: Names the connection and its model.
        agent_id: The agent that made the call.
        kinds: Error classes by the name of an exception class.
        packages: The packages whose exception classes those names mean.

    Returns:
        The error to raise; None where the exception is none of theirs.
    """
    kind = _kind(error, kinds, packages)
    if kind is None:
        return None
    status = _refusal(error)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    text = _redirection(status, headers) or error_text(error)
    return kind(
        f"{where}: {text}" if status is None else f"{where}: HTTP {status}: {text}",
        agent_id=agent_id,
        retry_after_s=_asked_wait_s(error, headers),
    )


def model_call_error(error: Exception, *, where: str, agent_id: str, sdk: str) -> AgentError:
    """The one error that stands for what came out of a model call by an SDK.

    Args:
        error: What the SDK raised or let through, an `AgentError` of the adapter's own, or what a
            framework raised from one of these: its causes are looked at, too.
        where: Names the connection and its model.
        agent_id: The agent that made the call.
        sdk: The SDK's package.
    """
    for cause in causes(error):
        if isinstance(cause, AgentError):
            return type(cause)(
                f"{where}: {cause}", agent_id=agent_id, retry_after_s=cause.retry_after_s
            )
        known = sdk_error(cause, where=where, agent_id=agent_id, packages={sdk})
        if known is not None:
            return known
    kinds = (_kind_of_foreign(cause) for cause in causes(error))
    kind = next((kind for kind in kinds if kind is not AgentCrashed), AgentCrashed)
    text = error_text(error)
    if isinstance(error, json.JSONDecodeError):
        text = f"an event of the stream is no JSON: {text}"
    return kind(f"{where}: {text}", agent_id=agent_id)


def code_of_kind(kind: ErrorKind) -> str:
    """The `code` by which the host's gateway tells the kind of an error of its own."""
    return f"{_OWN}{kind}"


def refused_call_error(
    status: int | None, headers: Mapping[str, str], body: Any, *, where: str, agent_id: str
) -> AgentError:
    """The error that stands for a provider's refusal, without an SDK in between.

    Args:
        status: The HTTP status; None for what was reported in the middle of a stream.
        headers: The headers of the answer.
        body: Its body, decoded from JSON where it is some.
        where: Names the connection and its model.
        agent_id: The agent that made the call.
    """
    refused = _Refused(status, body)
    words = [_BY_WORD[word] for word in _words(refused) if word in _BY_WORD]
    decisive = next((word for word in words if word in _DECISIVE), None)
    kind = decisive or _kind_of_nameless(refused, words) or ServerFailed
    kind = _closer_kind(kind, refused)
    text = _redirection(status, headers) or error_text(refused)
    return kind(
        f"{where}: {text}" if status is None else f"{where}: HTTP {status}: {text}",
        agent_id=agent_id,
        retry_after_s=_asked_wait_s(refused, headers),
    )


def _redirection(status: int | None, headers: Mapping[str, str]) -> str | None:
    """What an answer says that only leads elsewhere; None for all others."""
    if status is None or not HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return None
    there = next((value for name, value in headers.items() if name.lower() == "location"), "")
    if not there:
        return None
    return (
        f"the server leads to {there.partition('?')[0]}, where neither the key nor the request "
        "goes unasked: if that is right, give it as 'base_url'"
    )


def _asked_wait_s(error: BaseException, headers: Mapping[str, str]) -> float | None:
    """Seconds that a provider asks to wait, in its headers or in the error itself."""
    asked = retry_after_s(headers)
    details = _body(error).get("details")
    if asked is not None or not isinstance(details, list):
        return asked
    for one in details:  # Google's form
        delay = one.get("retryDelay") if isinstance(one, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return retry_after_s({"retry-after": delay[:-1]})
    return None


def reported_error(told: Mapping[str, Any]) -> AgentError:
    """The error that stands for what a provider reports in the middle of a stream.

    Args:
        told: Its `code`, `type` and `message`, as far as it has them.
    """
    said = {key: told.get(key) for key in ("code", "type", "message")}
    if said["type"] == "error":  # the type of the event that it came in
        del said["type"]
    refused = _Refused(None, said)
    kinds = [_BY_OWN_WORD.get(word) or _BY_WORD.get(word) for word in _words(refused)]
    kind = next((known for known in kinds if known is not None), ServerFailed)
    if kind is BadRequest or not any(kinds):
        kind = _kind_by_text(_text(refused)) or kind
    return kind(error_text(refused))


class _Refused(Exception):
    def __init__(self, status: int | None, body: Any) -> None:
        super().__init__(_NO_REASON)
        self.status_code = status
        self.body = body


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and what caused it, down to the first cause."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def error_text(error: BaseException) -> str:
    """What happened, in one line of bounded length: the provider's own words where it sent some."""
    line = " ".join(_text(error).split()) or type(error).__name__
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


def _kind(
    error: BaseException, kinds: Mapping[str, type[AgentError]], packages: Collection[str]
) -> type[AgentError] | None:
    names = _class_names(error, packages)
    kind = next((kinds[name] for name in names if name in kinds), None)
    if kind is None:
        return _kind_of_transport(error)
    words = [_BY_WORD[word] for word in _words(error) if word in _BY_WORD]
    own = (_BY_OWN_WORD[word] for word in _words(error) if word in _BY_OWN_WORD)
    decisive = next(own, None) or next((word for word in words if word in _DECISIVE), None)
    if decisive is not None:
        return decisive
    if names[0] in _NAMELESS:  # one without a class of its own
        kind = _kind_of_nameless(error, words) or kind
    return _closer_kind(kind, error)


def _closer_kind(kind: type[AgentError], error: BaseException) -> type[AgentError]:
    """What the text of an error says more exactly than its status does."""
    if kind is BadRequest:
        return _kind_by_text(_text(error)) or kind
    if kind is RateLimited and _NO_MONEY.search(_text(error)):
        return PermissionDenied
    return kind


def _kind_of_nameless(
    error: BaseException, words: list[type[AgentError]]
) -> type[AgentError] | None:
    status = _refusal(error)
    if status is not None:
        refused = BadRequest if status >= HTTPStatus.BAD_REQUEST else ProtocolFailed
        return _kind_by_status(status) or refused
    code = _body(error).get("code")  # reported in the middle of a stream
    if isinstance(code, int) and code >= HTTPStatus.BAD_REQUEST:
        return _kind_by_status(code) or BadRequest
    if words:
        return words[0]
    return None if getattr(error, "status_code", None) is None else ServerFailed


def _refusal(error: BaseException) -> int | None:
    """The status of a refused request; None for what was reported in the middle of a stream."""
    status = getattr(error, "status_code", None)
    if status is None:  # Google's SDK leaves it with the response
        status = getattr(getattr(error, "response", None), "status_code", None)
    refused = isinstance(status, int) and status >= HTTPStatus.MULTIPLE_CHOICES
    return status if refused else None


def _kind_of_foreign(error: BaseException) -> type[AgentError]:
    """The kind of an exception that is neither the SDK's nor its HTTP library's."""
    if isinstance(error, OSError):
        return NetworkFailed
    if isinstance(error, ValueError):  # no JSON, or no UTF-8
        return ProtocolFailed
    return AgentCrashed


def _kind_by_status(status: int) -> type[AgentError] | None:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerFailed
    return _BY_STATUS.get(status)


def _kind_by_text(text: str) -> type[AgentError] | None:
    """Some providers give away only in words what a refused request suffers from."""
    if _OVERFLOW.search(text):
        return ContextOverflow
    if _NO_MONEY.search(text):
        return PermissionDenied
    return AuthFailed if _BAD_KEY.search(text) else None


def _kind_of_transport(error: BaseException) -> type[AgentError] | None:
    if names := _class_names(error, _TRANSPORTS):
        return next(
            (_TRANSPORT_ERRORS[name] for name in names if name in _TRANSPORT_ERRORS), NetworkFailed
        )
    if isinstance(error, TimeoutError):
        return TimedOut
    return NetworkFailed if isinstance(error, ConnectionError) else None


def _class_names(error: BaseException, packages: Collection[str]) -> list[str]:
    """Names of the error's classes that one of the packages defines, the nearest first."""
    return [
        base.__name__
        for base in type(error).__mro__
        if base.__module__.partition(".")[0] in packages
    ]


def _body(error: BaseException) -> Mapping[str, Any]:
    body = getattr(error, "body", None)
    if body is None:  # in Google's SDK
        body = getattr(error, "details", None)
    if isinstance(body, list) and body:  # Gemini's form
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict):  # not every SDK unwraps it
        body = body["error"]
    return body if isinstance(body, dict) else {}


def _words(error: BaseException) -> Iterator[str]:
    body = _body(error)
    yield from (str(body[key]) for key in ("code", "type") if body.get(key) is not None)
    details = body.get("details")
    for one in details if isinstance(details, list) else ():
        if isinstance(one, dict) and isinstance(one.get("reason"), str):  # Google's form
            yield one["reason"]


def _text(error: BaseException) -> str:
    text = _said(error) or error_words(error)
    first = error.__cause__ if getattr(error, "status_code", None) is None else None
    for cause in causes(first):
        why = error_words(cause)
        if why and why not in text:
            text = f"{text.rstrip('.')}: {why}"
    return text


def _said(error: BaseException) -> str | None:
    """The provider's own words; None where only the SDK says something."""
    body = _body(error)
    # 'detail' is what servers made with FastAPI say.
    some = (
        body.get("message"),
        body.get("detail"),
        body.get("error"),
        getattr(error, "body", None),
    )
    said = next((one for one in some if isinstance(one, str) and one.strip()), None)
    if said is not None:
        page = _PAGE.search(said) if said.lstrip().startswith("<") else None  # of a proxy
        return page[2] if page else said
    phrases = (_NO_REASON, f"Error code: {_refusal(error)}", f"{_refusal(error)} ")
    if not error_words(error).startswith(phrases):
        return None
    rest = {key: one for key, one in body.items() if one and key not in {"code", "status"}}
    return json.dumps(rest, ensure_ascii=False, default=str) if rest else _NO_REASON
