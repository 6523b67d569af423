"""Every exception of the SDK has one kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import google.genai.client
import pytest
from google.genai import errors
from massgen_bridge_gemini import bridge_adapters

from massgen_bridge import (
    AgentCrashed,
    AgentError,
    AuthFailed,
    BadRequest,
    ContextOverflow,
    NetworkFailed,
    NotFound,
    PermissionDenied,
    ProtocolFailed,
    RateLimited,
    ServerFailed,
    TimedOut,
)
from massgen_bridge.adapting import model_call_error
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.exceptions import exceptions_of
from massgen_bridge.testing.servers import ErrorEvent, HttpError, QuotaExhausted

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import ModelServer, Reply

BY_STATUS: dict[int, type[AgentError]] = {
    400: BadRequest,
    401: AuthFailed,
    403: PermissionDenied,
    404: NotFound,
    408: TimedOut,
    409: ServerFailed,
    413: BadRequest,
    429: RateLimited,
    499: NetworkFailed,
    500: ServerFailed,
    503: ServerFailed,
    504: ServerFailed,
}
BY_CLASS: dict[type[Exception], type[AgentError]] = {
    errors.APIError: ServerFailed,
    errors.ClientError: BadRequest,
    errors.ServerError: ServerFailed,
    errors.UnknownApiResponseError: ProtocolFailed,
    errors.ContinuationInterruptedError: NetworkFailed,
    # The SDK is used in a way that it does not support.
    errors.FunctionInvocationError: ProtocolFailed,
    errors.UnknownFunctionCallArgumentError: ProtocolFailed,
    errors.UnsupportedFunctionError: ProtocolFailed,
}


def test_the_classes_are_those_of_the_installed_sdk() -> None:
    assert set(BY_CLASS) == set(exceptions_of("google.genai.errors"))
    assert google.genai.client.__name__ == "google.genai.client"


@pytest.mark.parametrize(("cls", "expected"), BY_CLASS.items())
def test_every_class_has_a_kind(cls: type[Exception], expected: type[AgentError]) -> None:
    error = cls.__new__(cls)
    found = model_call_error(error, where="'here'", agent_id="a1", sdk="google")
    assert type(found) is expected
    assert not isinstance(found, AgentCrashed)


async def _error_of(server: ModelServer) -> AgentError:
    agent = make_agent(bridge_adapters()[0], {}, connection_to(server, protocol="gemini"))
    try:
        with pytest.raises(AgentError) as caught:
            await agent.run(turn("Speak."), collect())
    finally:
        await agent.aclose()
    return caught.value


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "expected"), BY_STATUS.items())
async def test_each_status_has_its_kind(
    model_server: StartModelServer, status: int, expected: type[AgentError]
) -> None:
    error = await _error_of(model_server(HttpError(status=status, message="It went wrong.")))
    assert type(error) is expected
    assert str(error) == f"'loopback' (model 'scripted'): HTTP {status}: It went wrong."


def _said(message: str, *, status: int = 400, **more: object) -> HttpError:
    body = {"error": {"code": status, "message": message, "status": "X", **more}}
    return HttpError(status=status, body=json.dumps(body))


WORDS: dict[str, tuple[Reply, type[AgentError]]] = {
    "key": (_said("API key not valid. Please pass a valid API key."), AuthFailed),
    "context": (
        _said("The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        ContextOverflow,
    ),
    "no-money": (QuotaExhausted(), PermissionDenied),
    "stream-overloaded": (ErrorEvent(error=HttpError(status=503)), ServerFailed),
    "stream-rate": (ErrorEvent(error=HttpError(status=429)), RateLimited),
    "redirect": (
        HttpError(status=307, headers=(("location", "http://127.0.0.1:9/"),)),
        ProtocolFailed,
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("reply", "expected"), WORDS.values(), ids=WORDS)
async def test_what_google_says_tells_more_than_its_status(
    model_server: StartModelServer, reply: Reply, expected: type[AgentError]
) -> None:
    error = await _error_of(model_server(reply))
    assert type(error) is expected, str(error)
    assert "{" not in str(error), "the provider's words, and not its JSON"


@pytest.mark.anyio
async def test_an_error_within_a_stream_is_not_said_to_have_a_status(
    model_server: StartModelServer,
) -> None:
    error = await _error_of(model_server(ErrorEvent(error=HttpError(status=503, message="Busy."))))
    assert str(error) == "'loopback' (model 'scripted'): Busy."


@pytest.mark.anyio
async def test_the_wait_that_google_asks_for_counts(model_server: StartModelServer) -> None:
    """It stands in the error itself, and in no header."""
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36.5s"}
    reply = _said("Slow down.", status=429, details=[{"@type": "x"}, retry])
    error = await _error_of(model_server(reply))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 36.5
