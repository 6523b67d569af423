"""Every exception of the SDK has one kind."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import anthropic.resources.messages
import pytest
from massgen_bridge_anthropic import bridge_adapters

from massgen_bridge import (
    AgentCrashed,
    AgentError,
    AuthFailed,
    BadRequest,
    ContextOverflow,
    NetworkFailed,
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
from massgen_bridge.testing.servers import ErrorEvent, HttpError, ModelServer, Reply

BY_STATUS: dict[int, type[AgentError]] = {
    400: BadRequest,
    401: AuthFailed,
    402: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    408: TimedOut,
    409: ServerFailed,
    412: BadRequest,
    413: BadRequest,
    422: BadRequest,
    429: RateLimited,
    431: BadRequest,
    499: NetworkFailed,
    501: ServerFailed,
    503: ServerFailed,
    504: ServerFailed,
    529: ServerFailed,
}
# Spending limits end no sooner because somebody asks again.
SPENT = {"ContractSpendLimitReachedError", "EnforcedSpendLimitReachedError"}

ALL = exceptions_of("anthropic")
OF_STATUS = [
    cls for cls in ALL if issubclass(cls, anthropic.APIStatusError) and hasattr(cls, "status_code")
]
# What runs tools for the SDK, or knows other clouds, has errors that no model call raises.
OTHERS = [
    cls for cls in ALL if cls not in OF_STATUS and not cls.__module__.startswith("anthropic.lib.")
]
# The SDK is used in a way that it does not support.
MISUSE = {"AnthropicError", "MissingStreamClassError", "StreamAlreadyConsumed"}


def _found(cls: type[Exception]) -> AgentError:
    error = cls.__new__(cls)
    return model_call_error(error, where="'here'", agent_id="a1", sdk="anthropic")


def test_the_classes_are_those_of_the_installed_sdk() -> None:
    assert len(OF_STATUS) >= 9
    assert len({cls.__name__ for cls in ALL} & set(SDK_ERRORS)) > 15


@pytest.mark.parametrize("cls", OF_STATUS, ids=lambda cls: cls.__name__)
def test_every_class_for_a_status_has_the_kind_of_its_status(cls: Any) -> None:
    expected = PermissionDenied if cls.__name__ in SPENT else BY_STATUS[cls.status_code]
    assert type(_found(cls)) is expected


@pytest.mark.parametrize("cls", OTHERS, ids=lambda cls: cls.__name__)
def test_every_other_class_has_a_kind(cls: type[Exception]) -> None:
    found = _found(cls)
    assert (type(found) is AgentCrashed) == (cls.__name__ in MISUSE)
    assert str(found) == f"'here': {cls.__name__}"


def test_further_classes_of_the_sdk_count_as_what_they_derive_from() -> None:
    class NewKindOfTimeout(anthropic.APITimeoutError):
        __module__ = "anthropic._new"

    assert type(_found(NewKindOfTimeout)) is TimedOut


async def _error_of(server: ModelServer) -> AgentError:
    agent = make_agent(bridge_adapters()[0], {}, connection_to(server, protocol="messages"))
    try:
        with pytest.raises(AgentError) as caught:
            await agent.run(turn("Speak."), collect())
    finally:
        await agent.aclose()
    return caught.value


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "expected"), [*BY_STATUS.items(), (502, ServerFailed)])
async def test_each_status_has_its_kind(
    model_server: StartModelServer, status: int, expected: type[AgentError]
) -> None:
    error = await _error_of(model_server(HttpError(status=status, message="It went wrong.")))
    assert type(error) is expected
    assert str(error) == f"'loopback' (model 'scripted'): HTTP {status}: It went wrong."
    assert error.agent_id == "agent"


def _said(message: str, kind: str = "invalid_request_error", *, status: int = 400) -> HttpError:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}})
    return HttpError(status=status, body=body)


WORDS: dict[str, tuple[Reply, type[AgentError]]] = {
    "context": (_said("prompt is too long: 210000 tokens > 200000 maximum"), ContextOverflow),
    "context-and-output": (
        _said("input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"),
        ContextOverflow,
    ),
    "no-money": (_said("Your credit balance is too low to access the API."), PermissionDenied),
    "billing": (_said("Billing.", "billing_error", status=400), PermissionDenied),
    "stream-overloaded": (ErrorEvent(error=HttpError(status=529)), ServerFailed),
    "stream-rate": (ErrorEvent(error=HttpError(status=429)), RateLimited),
    "stream-timeout": (ErrorEvent(error=HttpError(status=504)), TimedOut),
    "stream-auth": (ErrorEvent(error=HttpError(status=401)), AuthFailed),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("reply", "expected"), WORDS.values(), ids=WORDS)
async def test_what_a_provider_says_tells_more_than_its_status(
    model_server: StartModelServer, reply: Reply, expected: type[AgentError]
) -> None:
    error = await _error_of(model_server(reply))
    assert type(error) is expected, str(error)
    assert "{" not in str(error), "the provider's words, and not its JSON"


@pytest.mark.anyio
async def test_an_error_within_a_stream_is_not_said_to_have_a_status(
    model_server: StartModelServer,
) -> None:
    error = await _error_of(model_server(ErrorEvent(error=HttpError(status=529))))
    assert str(error) == "'loopback' (model 'scripted'): Overloaded"
