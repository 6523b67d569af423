"""Whatever goes wrong between LangChain and a model has one kind of error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import langchain.agents.middleware
import langchain_openai
import langgraph.errors
import pytest
from massgen_bridge_langchain import bridge_adapters
from massgen_bridge_langchain._errors import KINDS, agent_error

from massgen_bridge import AgentError, ErrorKind, NetworkFailed, RetryPolicy, TextDelta
from massgen_bridge.testing.agents import TEST_KEY, collect, connection_to, make_agent, turn
from massgen_bridge.testing.exceptions import exceptions_of
from massgen_bridge.testing.servers import (
    ContextOverflow,
    Disconnect,
    EndsEarly,
    ErrorEvent,
    Hang,
    HttpError,
    MalformedSSE,
    Reply,
)

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

FAULTS: list[tuple[Reply, ErrorKind]] = [
    (HttpError(status=400), "bad_request"),
    (HttpError(status=400, message="Incorrect API key provided"), "auth"),
    (HttpError(status=401), "auth"),
    (HttpError(status=402), "permission"),
    (HttpError(status=403), "permission"),
    (HttpError(status=404), "not_found"),
    (HttpError(status=408), "timeout"),
    (HttpError(status=409), "server"),
    (HttpError(status=413), "bad_request"),
    (HttpError(status=422), "bad_request"),
    (HttpError(status=429), "rate_limit"),
    (HttpError(status=429, code="insufficient_quota"), "permission"),
    (HttpError(status=500), "server"),
    (HttpError(status=503), "server"),
    (HttpError(status=529), "server"),
    (HttpError(status=500, body="<html>Bad gateway</html>", content_type="text/html"), "server"),
    (HttpError(status=200, body="", content_type="text/event-stream"), "truncated"),
    (HttpError(status=200, body="data: [1, 2]\n\n"), "protocol"),
    (ContextOverflow(), "context"),
    (Disconnect(), "network"),
    (Disconnect(after=2), "network"),
    (Disconnect(after=2, reset=True), "network"),
    (EndsEarly(after=0), "truncated"),
    (EndsEarly(after=3), "truncated"),
    (ErrorEvent(), "server"),
    (ErrorEvent(error=HttpError(status=429)), "rate_limit"),
    (MalformedSSE(), "protocol"),
    (Hang(), "timeout"),
    (Hang(after=2), "timeout"),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS, ids=repr)
async def test_a_fault_of_the_server_has_its_kind(
    model_server: StartModelServer, fault: Reply, kind: ErrorKind
) -> None:
    server = model_server(fault)
    (spec,) = bridge_adapters()
    agent = make_agent(spec, {}, connection_to(server, timeout_s=1.5), agent_id="ann")
    with pytest.raises(AgentError) as caught:
        await agent.run(turn("?"), collect())
    await agent.aclose()
    assert caught.value.kind == kind
    assert caught.value.agent_id == "ann"
    assert str(caught.value).startswith("'loopback' (model 'scripted'): ")
    assert TEST_KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.calls == 1


async def test_nobody_there_is_a_failure_of_the_network() -> None:
    (spec,) = bridge_adapters()
    agent = make_agent(spec, {}, connection_to("http://127.0.0.1:9/v1"))
    with pytest.raises(NetworkFailed):
        await agent.run(turn("?"), collect())
    await agent.aclose()


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("7", 7, 7), ("0.25", 0.25, 0.25), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0)],
)
async def test_the_time_that_a_provider_asks_for_is_kept(
    model_server: StartModelServer, header: str, low: float, high: float
) -> None:
    (spec,) = bridge_adapters()
    server = model_server(HttpError(status=429, retry_after=header))
    agent = make_agent(spec, {}, connection_to(server))
    with pytest.raises(AgentError) as caught:
        await agent.run(turn("?"), collect())
    await agent.aclose()
    assert caught.value.retry_after_s is not None
    assert low <= caught.value.retry_after_s <= high


async def test_what_cannot_pass_is_not_tried_again(model_server: StartModelServer) -> None:
    server = model_server(HttpError(status=401))
    (spec,) = bridge_adapters()
    agent = make_agent(spec, {}, connection_to(server, retry=RetryPolicy(attempts=5, base_s=0.001)))
    log = collect()
    with pytest.raises(AgentError):
        await agent.run(turn("?"), log)
    await agent.aclose()
    assert server.calls == 1
    assert log.of(TextDelta) == []


# --- every class of exception ---------------------------------------------------------------------


def _classes() -> tuple[type[Exception], ...]:
    for module in (langchain.agents.middleware, langchain_openai):
        assert module.__name__  # imported for its classes of errors
    return exceptions_of(
        "langchain.agents",
        "langchain_core.exceptions",
        "langchain_core.tools",
        "langchain_openai",
        "langgraph.errors",
        "openai",
    )


# What a graph is told by, or its own code has done wrong: the host calls it a crash of the agent.
_OF_THE_GRAPH = {
    "EmptyInputError",
    "GraphBubbleUp",
    "GraphDrained",
    "GraphInterrupt",
    "InvalidUpdateError",
    "NodeCancelledError",
    "NodeInterrupt",
    "PIIDetectionError",
    "ParentCommand",
    "SchemaAnnotationError",
    "TaskNotFound",
    "UnknownInterruptError",
}
# Bases that are never raised by themselves, and the trouble of LangSmith's tracer.
_UNMAPPED = _OF_THE_GRAPH | {"LangChainException", "ModelError", "TracerException"}
# The SDK is used in a way that it does not support.
_MISUSE = {
    "APIRemovedInV1",
    "MutuallyExclusiveAuthError",
    "OpenAIError",
    "StreamAlreadyConsumed",
    "_AmbiguousModuleClientUsageError",
}
# Of the SDK, but none of its own errors.
_FOREIGN = {"MissingStreamClassError", "_TransientTokenExchangeError"}


@pytest.mark.parametrize("cls", _classes(), ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_every_class_of_the_sdk_and_of_langchain_is_mapped(cls: type[Exception]) -> None:
    error: Any = cls.__new__(cls)
    mapped = agent_error(error, agent_id="ann", where="here")
    if cls.__name__ in _UNMAPPED | _FOREIGN:
        assert mapped is None
        return
    assert mapped is not None, "map it"
    # By its own name or that of a near base, not merely as something of the SDK's.
    names = [base.__name__ for base in cls.__mro__]
    nearest = next(name for name in names if name in KINDS)
    assert (nearest == "OpenAIError") == (cls.__name__ in _MISUSE)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (langgraph.errors.GraphRecursionError("25 steps"), "limit"),
        (TimeoutError("too long"), "timeout"),
        (ConnectionResetError("gone"), "network"),
    ],
)
def test_what_lies_around_a_model_call_is_mapped(raised: Exception, kind: ErrorKind) -> None:
    mapped = agent_error(raised, agent_id="ann", where="here")
    assert mapped is not None
    assert mapped.kind == kind


def test_a_cause_says_what_its_consequence_does_not() -> None:
    outer = RuntimeError("it did not work")
    outer.__cause__ = KeyError("x")
    outer.__cause__.__cause__ = ConnectionResetError("gone")
    mapped = agent_error(outer, agent_id="ann", where="here")
    assert mapped is not None
    assert mapped.kind == "network"


def test_what_nobody_knows_is_left_to_the_host() -> None:
    outer = RuntimeError("odd")
    outer.__cause__ = outer
    assert agent_error(outer, agent_id="ann", where="here") is None
