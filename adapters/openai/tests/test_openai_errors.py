"""Every exception of the SDK has one kind."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import openai
import pytest
from massgen_bridge_openai import bridge_adapters

from massgen_bridge import (
    AgentCrashed,
    AgentError,
    AuthFailed,
    BadRequest,
    ContextOverflow,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerFailed,
    TimedOut,
)
from massgen_bridge.adapting import SDK_ERRORS, model_call_error
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.exceptions import exceptions_of
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import ErrorEvent, HttpError, Reply

# The SDK is used in a way that it does not support, or keeps the class to itself.
MISUSE = {
    "APIRemovedInV1",
    "MissingStreamClassError",
    "MutuallyExclusiveAuthError",
    "OpenAIError",
    "StreamAlreadyConsumed",
    "_AmbiguousModuleClientUsageError",
    "_TransientTokenExchangeError",
}


@pytest.mark.parametrize("cls", exceptions_of("openai"), ids=lambda cls: cls.__name__)
def test_every_exception_class_of_the_sdk_has_a_kind(cls: type[Exception]) -> None:
    error = cls.__new__(cls)
    found = model_call_error(error, where="'here'", agent_id="a1", sdk="openai")
    # By its own name or that of a near base, not merely as something of the SDK's.
    assert (type(found) is AgentCrashed) == (cls.__name__ in MISUSE)


def test_the_classes_are_looked_up_by_names_that_the_sdk_has() -> None:
    own = {cls.__name__ for cls in exceptions_of("openai")}
    assert len(own & set(SDK_ERRORS)) > 15


def test_further_classes_of_the_sdk_count_as_what_they_derive_from() -> None:
    class NewKindOfTimeout(openai.APITimeoutError):
        __module__ = "openai._new"

    error = NewKindOfTimeout(request=_request())
    found = model_call_error(error, where="'here'", agent_id="a1", sdk="openai")
    assert type(found) is TimedOut


def _request() -> Any:
    """A request of whichever HTTP library this release of the SDK stands on."""
    client = openai.AsyncOpenAI(api_key="none", base_url="http://127.0.0.1/v1")
    return client._client.build_request("GET", "/")


async def _error_of(server: Any) -> AgentError:
    agent = make_agent(bridge_adapters()[0], {}, connection_to(server))
    try:
        with pytest.raises(AgentError) as caught:
            await agent.run(turn("Speak."), collect())
    finally:
        await agent.aclose()
    return caught.value


STATUSES: dict[int, type[AgentError]] = {
    400: BadRequest,
    401: AuthFailed,
    402: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    405: BadRequest,
    408: TimedOut,
    409: ServerFailed,
    413: BadRequest,
    415: BadRequest,
    422: BadRequest,
    425: ServerFailed,
    429: RateLimited,
    500: ServerFailed,
    502: ServerFailed,
    503: ServerFailed,
    504: ServerFailed,
    529: ServerFailed,
}


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "expected"), STATUSES.items())
async def test_each_status_has_its_kind(
    model_server: StartModelServer,
    status: int,
    expected: type[AgentError],
) -> None:
    error = await _error_of(model_server(HttpError(status=status, message="It went wrong.")))
    assert type(error) is expected
    assert str(error) == f"'loopback' (model 'scripted'): HTTP {status}: It went wrong."
    assert error.agent_id == "agent"


def _said(message: str, *, status: int = 400, **more: Any) -> HttpError:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", **more}})
    return HttpError(status=status, body=body)


WORDS: dict[str, tuple[Reply, type[AgentError]]] = {
    "openai-context": (_said("Too long.", code="context_length_exceeded"), ContextOverflow),
    "llama-cpp-context": (
        _said("the request exceeds the available context size", type="exceed_context_size_error"),
        ContextOverflow,
    ),
    "vllm-context": (
        _said("This model's maximum context length is 4096 tokens. However, you requested 5000"),
        ContextOverflow,
    ),
    "proxy-context": (_said("prompt is too long: 210000 tokens > 200000 maximum"), ContextOverflow),
    "together-context": (
        _said("`inputs` tokens + `max_new_tokens` must be <= 4097.", status=422),
        ContextOverflow,
    ),
    "gemini-context": (
        _said("The input token count (1100000) exceeds the maximum number of tokens allowed."),
        ContextOverflow,
    ),
    "xai-key": (_said("Incorrect API key provided: xa***99."), AuthFailed),
    "gemini-key": (
        HttpError(
            status=400,
            body='[{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID"}}]',
        ),
        AuthFailed,
    ),
    "no-money": (HttpError(status=429, code="insufficient_quota"), PermissionDenied),
    "stream-status": (
        ErrorEvent(error=HttpError(status=429, code="rate_limit_exceeded")),
        RateLimited,
    ),
    "stream-context": (
        ErrorEvent(error=HttpError(status=400, code="context_length_exceeded")),
        ContextOverflow,
    ),
    "stream-overloaded": (ErrorEvent(error=HttpError(status=529)), ServerFailed),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("reply", "expected"), WORDS.values(), ids=WORDS)
async def test_what_a_provider_says_tells_more_than_its_status(
    model_server: StartModelServer,
    reply: Reply,
    expected: type[AgentError],
) -> None:
    error = await _error_of(model_server(reply))
    assert type(error) is expected, str(error)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "0.25"}, 0.25, id="fraction"),
        pytest.param({"retry-after": "-3"}, None, id="negative"),
        pytest.param({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, id="milliseconds"),
        pytest.param({"retry-after": "soon"}, None, id="words"),
        pytest.param({"retry-after": "inf"}, None, id="endless"),
        pytest.param({}, None, id="none"),
    ],
)
async def test_the_time_to_wait_is_read_from_the_headers(
    model_server: StartModelServer,
    headers: dict[str, str],
    expected: float | None,
) -> None:
    error = await _error_of(model_server(HttpError(status=503, headers=tuple(headers.items()))))
    assert error.retry_after_s == expected


@pytest.mark.anyio
@pytest.mark.parametrize(("ahead", "least", "most"), [(60, 50, 60), (-60, 0, 0)])
async def test_the_time_to_wait_may_be_a_date(
    model_server: StartModelServer,
    ahead: int,
    least: float,
    most: float,
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    error = await _error_of(model_server(HttpError(status=429, retry_after=date)))
    assert error.retry_after_s is not None
    assert least <= error.retry_after_s <= most


@pytest.mark.anyio
async def test_a_page_of_html_becomes_one_short_line(
    model_server: StartModelServer,
) -> None:
    page = f"<html>\n<body>\n{'<p>Bad gateway</p>' * 200}\n</body></html>"
    reply = HttpError(status=502, body=page, content_type="text/html")
    error = await _error_of(model_server(reply))
    assert "\n" not in str(error)
    assert len(str(error)) < 600
