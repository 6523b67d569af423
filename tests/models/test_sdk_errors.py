"""What SDKs raise, told apart without the SDKs."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai
import pytest
from google import genai

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
    Truncated,
)
from massgen_bridge.models.sdk_errors import (
    SDK_ERRORS,
    code_of_kind,
    error_text,
    model_call_error,
    refused_call_error,
    sdk_error,
)
from massgen_bridge.testing.servers import HttpError, ModelServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from massgen_bridge.errors import ErrorKind


def _raised(module: str, *names: str, text: str = "it broke", **attributes: Any) -> Exception:
    """An exception of a class as libraries have them, the base class first."""
    base: type[Exception] = Exception
    for name in names:
        base = type(name, (base,), {"__module__": module})
    error = base(text)
    vars(error).update(attributes)
    return error


def _mapped(
    error: BaseException, kinds: Mapping[str, type[AgentError]] = SDK_ERRORS
) -> AgentError | None:
    return sdk_error(error, where="'here'", agent_id="ann", kinds=kinds, packages={"sdk"})


@pytest.mark.parametrize(("name", "kind"), SDK_ERRORS.items())
def test_each_known_class_has_its_kind(name: str, kind: type[AgentError]) -> None:
    found = _mapped(_raised("sdk._errors", name))
    assert type(found) is kind
    assert str(found) == "'here': it broke"
    assert found.agent_id == "ann"


def test_an_unknown_class_counts_as_its_nearest_known_base() -> None:
    error = _raised("sdk", "OpenAIError", "APIConnectionError", "APITimeoutError", "NewTimeout")
    assert type(_mapped(error)) is TimedOut


def test_names_mean_the_classes_of_the_given_packages_alone() -> None:
    assert _mapped(_raised("another", "RateLimitError")) is None
    assert _mapped(_raised("sdkx", "RateLimitError")) is None


def test_kinds_may_be_others() -> None:
    error = _raised("sdk", "GraphRecursionError")
    assert _mapped(error) is None
    assert type(_mapped(error, {"GraphRecursionError": LimitReached})) is LimitReached


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_raised("httpx", "RequestError", "TransportError", "ReadError"), NetworkFailed),
        (_raised("httpx2._exceptions", "TransportError", "RemoteProtocolError"), NetworkFailed),
        (_raised("httpcore", "TimeoutException", "ReadTimeout"), TimedOut),
        (_raised("httpx2", "RequestError", "DecodingError"), ProtocolFailed),
        (_raised("httpx", "RequestError", "TooManyRedirects"), ProtocolFailed),
        (_raised("anyio", "EndOfStream"), NetworkFailed),
        (ConnectionResetError("reset"), NetworkFailed),
        (TimeoutError("too late"), TimedOut),
    ],
)
def test_what_an_sdk_lets_through_has_a_kind_too(
    error: Exception, expected: type[AgentError]
) -> None:
    assert type(_mapped(error)) is expected


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), OSError("x")])
def test_what_is_nobodys_is_left_to_the_caller(error: Exception) -> None:
    assert _mapped(error) is None


STATUSES: dict[int, type[AgentError]] = {
    302: ProtocolFailed,
    400: BadRequest,
    401: AuthFailed,
    402: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    408: TimedOut,
    409: ServerFailed,
    413: BadRequest,
    425: ServerFailed,
    429: RateLimited,
    499: NetworkFailed,
    500: ServerFailed,
    529: ServerFailed,
}


@pytest.mark.parametrize(("status", "expected"), STATUSES.items())
def test_the_status_tells_of_errors_without_a_class_of_their_own(
    status: int, expected: type[AgentError]
) -> None:
    found = _mapped(_raised("sdk", "APIStatusError", status_code=status))
    assert type(found) is expected
    assert str(found) == f"'here': HTTP {status}: it broke"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": 429}, RateLimited),
        ({"code": 418}, BadRequest),
        ({"code": 529}, ServerFailed),
        ({"code": 0, "type": "overloaded_error"}, ServerFailed),
        ({"code": "rate_limit_exceeded"}, RateLimited),
        ({"type": "authentication_error"}, AuthFailed),
        ({"code": "never heard of"}, ServerFailed),
        ({"type": "error", "error": {"type": "rate_limit_error"}}, RateLimited),
        ({"type": "error", "error": {"type": "timeout_error"}}, TimedOut),
        (None, ServerFailed),
    ],
)
@pytest.mark.parametrize("raised", [{}, {"status_code": 200}], ids=["no-status", "status-200"])
def test_errors_within_a_stream_are_told_by_their_code(
    body: dict[str, Any] | None, expected: type[AgentError], raised: dict[str, Any]
) -> None:
    name = "APIStatusError" if raised else "APIError"
    found = _mapped(_raised("sdk", name, body=body, **raised))
    assert type(found) is expected
    assert "HTTP" not in str(found)


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("RateLimitError", {"code": "insufficient_quota"}, PermissionDenied),
        ("InternalServerError", {"type": "exceed_context_size_error"}, ContextOverflow),
        ("BadRequestError", {"message": "prompt is too long: 9 > 8"}, ContextOverflow),
        ("BadRequestError", {"error": {"message": "prompt is too long"}}, ContextOverflow),
        ("BadRequestError", {"message": "… exceed context limit: 9 + 8 > 16"}, ContextOverflow),
        ("BadRequestError", {"message": "Your credit balance is too low"}, PermissionDenied),
        ("BadRequestError", {"message": "Incorrect API key provided."}, AuthFailed),
        ("BadRequestError", [{"error": {"message": "API key not valid."}}], AuthFailed),
        ("BadRequestError", {"message": "x" * 900 + " maximum context length"}, ContextOverflow),
        ("InternalServerError", {"message": "prompt is too long"}, ServerFailed),
    ],
)
def test_what_the_provider_says_may_tell_more_than_the_class(
    name: str, body: object, expected: type[AgentError]
) -> None:
    assert type(_mapped(_raised("sdk", name, body=body, status_code=400))) is expected


def test_the_time_to_wait_is_read_from_the_headers() -> None:
    response = SimpleNamespace(headers={"retry-after": "7"})
    found = _mapped(_raised("sdk", "RateLimitError", response=response))
    assert found is not None
    assert found.retry_after_s == 7.0


def test_the_providers_words_come_first() -> None:
    error = _raised("sdk", "APIStatusError", text="Error code: 400 - {...}")
    vars(error)["body"] = {"message": "Too\n  much."}
    assert error_text(error) == "Too much."
    vars(error)["body"] = "Bad gateway"
    assert error_text(error) == "Bad gateway"
    vars(error)["body"] = " "
    assert error_text(error) == "Error code: 400 - {...}"


_BODIES = {
    "": "the provider gives no reason",
    "null": "the provider gives no reason",
    "[]": "the provider gives no reason",
    '{"error": {"message": "", "code": 500}}': "the provider gives no reason",
    '{"detail": "no such model"}': "no such model",
    '{"detail": [{"msg": "too long"}]}': '{"detail": [{"msg": "too long"}]}',
    '{"error": "plain"}': "plain",
    "<!DOCTYPE html><title>Bad\ngateway</title><h1>nginx</h1>": "Bad gateway",
    "<html>upset</html>": "<html>upset</html>",
}


@pytest.mark.parametrize("body", _BODIES)
def test_a_refusal_in_a_form_of_its_own_is_told_in_its_words_or_said_to_give_none(
    body: str,
) -> None:
    asked: list[Any] = [{"role": "user", "content": "q"}]
    refusals = (openai.APIStatusError, anthropic.APIStatusError, genai.errors.APIError)
    with (
        ModelServer(default=HttpError(status=500, body=body)) as server,
        openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as chat,
        anthropic.Anthropic(
            base_url=server.base_url("messages"), api_key="k", max_retries=0
        ) as claude,
        genai.Client(api_key="k", http_options={"base_url": server.base_url("gemini")}) as gemini,
    ):
        calls: dict[str, Callable[[], object]] = {
            "openai": lambda: chat.chat.completions.create(model="m", messages=asked),
            "anthropic": lambda: claude.messages.create(model="m", max_tokens=1, messages=asked),
            "google": lambda: gemini.models.generate_content(model="m", contents="q"),
        }
        for sdk, call in calls.items():
            with pytest.raises(refusals) as raised:
                call()
            error = model_call_error(raised.value, where="'m'", agent_id="ann", sdk=sdk)
            assert str(error) == f"'m': HTTP 500: {_BODIES[body]}", sdk


def test_causes_say_what_the_error_does_not() -> None:
    error = _raised("sdk", "APIConnectionError", text="Connection error.")
    error.__cause__ = ConnectionResetError("gone")
    error.__cause__.__cause__ = OSError("gone")
    assert error_text(error) == "Connection error: gone"
    vars(error)["status_code"] = 500
    assert error_text(error) == "Connection error."


def test_an_error_that_causes_itself_has_a_text() -> None:
    error = RuntimeError("odd")
    error.__cause__ = error
    assert error_text(error) == "odd"


def test_a_text_is_one_line_of_bounded_length_and_never_empty() -> None:
    assert error_text(KeyError()) == "KeyError"
    long = error_text(ValueError("word\n" * 300))
    assert "\n" not in long
    assert len(long) == 501
    assert long.endswith("…")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_raised("sdk", "RateLimitError"), RateLimited),
        (ConnectionResetError("reset"), NetworkFailed),
        (TimeoutError("too late"), TimedOut),
        (FileNotFoundError("no certificates"), NetworkFailed),
        (json.JSONDecodeError("no JSON", "{", 1), ProtocolFailed),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no UTF-8"), ProtocolFailed),
        (RuntimeError("unforeseen"), AgentCrashed),
    ],
)
def test_everything_that_comes_out_of_a_model_call_has_a_kind(
    error: Exception, expected: type[AgentError]
) -> None:
    found = model_call_error(error, where="'here'", agent_id="ann", sdk="sdk")
    assert type(found) is expected
    assert str(found).startswith("'here': ")
    assert found.agent_id == "ann"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_raised("sdk", "RateLimitError"), RateLimited),
        (Truncated("cut off"), Truncated),
        (json.JSONDecodeError("no JSON", "{", 1), ProtocolFailed),
        (RuntimeError("unforeseen"), AgentCrashed),
    ],
)
def test_a_framework_may_wrap_what_comes_out_of_a_model_call(
    error: Exception, expected: type[AgentError]
) -> None:
    outer = RuntimeError("the framework's own words")
    outer.__cause__ = LookupError("between them")
    outer.__cause__.__cause__ = error
    found = model_call_error(outer, where="'here'", agent_id="ann", sdk="sdk")
    assert type(found) is expected


def test_exceptions_that_cause_each_other_come_to_an_end() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    found = model_call_error(one, where="'here'", agent_id="ann", sdk="sdk")
    assert type(found) is AgentCrashed


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "no"}}, BadRequest),
        (400, {"error": {"message": "maximum context length"}}, ContextOverflow),
        (400, {"error": {"message": "no", "code": "context_length_exceeded"}}, ContextOverflow),
        (401, {"error": {"message": "no"}}, AuthFailed),
        (402, "no", PermissionDenied),
        (403, {"type": "error", "error": {"type": "permission_error"}}, PermissionDenied),
        (404, {}, NotFound),
        (408, {}, TimedOut),
        (409, {}, ServerFailed),
        (413, "<html>", BadRequest),
        (429, {"error": {"message": "slow"}}, RateLimited),
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}, PermissionDenied),
        (500, [{"error": {"message": "no"}}], ServerFailed),
        (302, "", ProtocolFailed),
        (None, {"error": {"type": "overloaded_error"}}, ServerFailed),
        (None, {"error": {"code": "rate_limit_exceeded"}}, RateLimited),
        (None, {"error": {"message": "no idea"}}, ServerFailed),
    ],
)
def test_a_refusal_without_an_sdk_is_of_the_same_kind(
    status: int | None, body: Any, kind: type[AgentError]
) -> None:
    error = refused_call_error(status, {"Retry-After": "3"}, body, where="x", agent_id="ada")
    assert type(error) is kind
    assert error.agent_id == "ada"
    assert str(error).startswith("x: " if status is None else f"x: HTTP {status}: ")
    assert getattr(error, "retry_after_s", None) == 3


@pytest.mark.parametrize(
    ("delay", "expected"), [("36.5s", 36.5), ("0s", 0.0), ("soon", None), (5, None)]
)
def test_google_asks_for_a_wait_in_the_error_itself(delay: Any, expected: float | None) -> None:
    details = [{"@type": "other"}, "odd", {"@type": "RetryInfo", "retryDelay": delay}]
    body = {"error": {"code": 429, "message": "Slow down.", "details": details}}
    error = refused_call_error(429, {}, body, where="x", agent_id="ada")
    assert type(error) is RateLimited
    assert error.retry_after_s == expected
    told = refused_call_error(429, {"retry-after": "2"}, body, where="x", agent_id="ada")
    assert told.retry_after_s == 2


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_the_gateways_own_errors_tell_their_kind_whatever_their_status(kind: ErrorKind) -> None:
    response = httpx2.Response(502, request=httpx2.Request("POST", "http://127.0.0.1/v1"))
    body = {"message": "as the gateway says", "code": code_of_kind(kind)}
    for sdk in (openai, anthropic):
        raised = sdk.InternalServerError("no", response=response, body=body)
        error = model_call_error(raised, where="x", agent_id="ada", sdk=sdk.__name__)
        assert error.kind == kind
        assert "as the gateway says" in str(error)
