"""Failures: told by kind, told once, and never taken for success."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

import socket
import time

import pytest

from massgen_bridge.agent import Agent, Turn
from massgen_bridge.errors import (
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
from massgen_bridge.testing import servers
from massgen_bridge.testing.agents import TEST_KEY, ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._checks import GRACE_S, assert_refused
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._turns import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import (
    Disconnect,
    EndsEarly,
    ErrorEvent,
    Hang,
    HttpError,
    MalformedSSE,
    Reply,
    Text,
    ToolCalls,
)

__all__ = ["FailureTests"]

_FAULTS: dict[str, tuple[Reply, type[AgentError]]] = {
    "400": (HttpError(status=400), BadRequest),
    "401": (HttpError(status=401), AuthFailed),
    "403": (HttpError(status=403), PermissionDenied),
    "404": (HttpError(status=404), NotFound),
    "429": (HttpError(status=429), RateLimited),
    "500": (HttpError(status=500), ServerFailed),
    "503": (HttpError(status=503), ServerFailed),
    "529": (HttpError(status=529), ServerFailed),
    "html": (
        HttpError(status=502, body="<html>Bad gateway</html>", content_type="text/html"),
        ServerFailed,
    ),
    "context": (servers.ContextOverflow(), ContextOverflow),
    "disconnect-at-once": (Disconnect(), NetworkFailed),
    "disconnect-midway": (Disconnect(after=2), NetworkFailed),
    "ends-at-once": (EndsEarly(after=0), Truncated),
    "ends-midway": (EndsEarly(after=2), Truncated),
    "error-event": (ErrorEvent(), ServerFailed),
    "malformed": (MalformedSSE(), ProtocolFailed),
    "reset": (Disconnect(after=2, reset=True), NetworkFailed),
}


_SILENCE_S = 0.4


class FailureTests(ModelConformanceBase):
    """Each way to fail has its kind of error, and none passes for success."""

    @pytest.mark.parametrize(("fault", "expected"), _FAULTS.values(), ids=_FAULTS)
    async def test_each_fault_has_its_kind(
        self, serve: StartModelServer, fault: Reply, expected: type[AgentError]
    ) -> None:
        """HTTP errors, broken connections, streams that end early, hold an error or cannot be read
        each come out as the class of `AgentError` that says so, in one readable line. One request
        is sent: whether a call is made again is the host's policy, never the framework's.
        """
        server = serve(fault)
        async with self.agent_at(server) as agent:
            error = await _failure(agent, turn("Speak."))
        assert type(error) is expected, f"{type(error).__name__}: {error}"
        assert server.calls == 1, "retries belong to the host's policy"
        _assert_readable(error)

    @pytest.mark.parametrize("asked_for", [2, 0.5])
    async def test_the_time_to_wait_is_handed_on(
        self, serve: StartModelServer, asked_for: float
    ) -> None:
        """`RateLimited.retry_after_s` is what the provider asks for in Retry-After, in seconds,
        fractions included.
        """
        server = serve(HttpError(status=429, retry_after=asked_for))
        async with self.agent_at(server) as agent:
            error = await _failure(agent, turn("Speak."))
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == asked_for

    async def test_a_key_does_not_get_out_with_an_error(self, serve: StartModelServer) -> None:
        """Neither the text of an error nor anything that it carries holds the connection's key."""
        server = serve(HttpError(status=401))
        async with self.agent_at(server) as agent:
            error = await _failure(agent, turn("Speak."))
        assert TEST_KEY not in f"{error} {error!r} {error.__dict__}"

    async def test_nobody_there_is_a_network_failure(self) -> None:
        """A connection that is refused, for nobody listens there, is a `NetworkFailed`."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        async with self.agent_at(self.address(f"http://127.0.0.1:{port}")) as agent:
            error = await _failure(agent, turn("Speak."))
        assert type(error) is NetworkFailed, f"{type(error).__name__}: {error}"
        _assert_readable(error)

    @pytest.mark.parametrize("after", [None, 2], ids=["at-once", "midway"])
    async def test_silence_beyond_the_time_limit_is_told_as_such(
        self, serve: StartModelServer, after: int | None
    ) -> None:
        """A server that says nothing for `timeout_s` seconds, before its first byte or in the
        middle of its answer, makes the turn fail as `TimedOut` within 2 seconds more.
        """
        async with self.agent_at(serve(Hang(after=after)), timeout_s=_SILENCE_S) as agent:
            began = time.monotonic()
            error = await _failure(agent, turn("Speak."))
            took = time.monotonic() - began
        assert type(error) is TimedOut, f"{type(error).__name__}: {error}"
        assert took < _SILENCE_S + GRACE_S, f"it waited {took:.1f} s"

    async def test_a_slow_answer_is_no_silence(self, serve: StartModelServer) -> None:
        """The connection's `timeout_s` bounds each wait for bytes, not the whole answer."""
        server = serve(Text.of_tokens(15, tokens_per_second=10))
        async with self.agent_at(server, timeout_s=1.0) as agent:
            result = await agent.run(turn("Speak."), collect())
        assert result.text == Text.of_tokens(15).text

    async def test_a_cut_stream_is_no_success(self, serve: StartModelServer) -> None:
        """A stream that ends in order, but without its end marker, is `Truncated`: half an answer
        never passes for a whole one.
        """
        async with self.agent_at(serve(EndsEarly(after=3))) as agent:
            error = await _failure(agent, turn("Speak."))
        assert type(error) is Truncated, f"{type(error).__name__}: {error}"

    async def test_a_cut_tool_call_is_not_made(self, serve: StartModelServer) -> None:
        """A stream that breaks off after a whole tool call, in the middle of the next, is
        `Truncated`, and no tool is called.
        """
        call = ToolCalls(("lookup", {"query": "all", "limit": 12345678}), ("lookup", {}))
        whole = 12  # the first call is complete, the second has begun
        server, tools = serve(EndsEarly(after=whole, answer=call)), ScriptedTools("done")
        asked = turn("Look it up.", tools=[LOOKUP], call_tool=tools)
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, asked)
                return
            error = await _failure(agent, asked)
        assert type(error) is Truncated, f"{type(error).__name__}: {error}"
        assert tools.calls == []

    async def test_a_tool_call_that_the_limit_cut_off_is_not_made(
        self, serve: StartModelServer
    ) -> None:
        """A tool call in an answer that the output limit cut off fails the turn; no tool is called
        and the model is not asked again.
        """
        cut = ToolCalls(("lookup", '{"query": "unf'), finish_reason="length")
        server, tools = serve([cut, Text("This must not be asked for.")]), ScriptedTools("done")
        asked = turn("Look it up.", tools=[LOOKUP], call_tool=tools)
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, asked)
                return
            error = await _failure(agent, asked)
        assert type(error) is LimitReached, f"{type(error).__name__}: {error}"
        assert (tools.calls, server.calls) == ([], 1)

    async def test_an_agent_survives_its_failures(self, serve: StartModelServer) -> None:
        """After each of these failures, one after the other, the next turn is done as if nothing
        had been.
        """
        faults = [fault for fault, _ in _FAULTS.values()]
        server = serve([*faults, Text("Here again.")])
        async with self.agent_at(server) as agent:
            for _ in faults:
                await _failure(agent, turn("Speak."))
            result = await agent.run(turn("Speak."), collect())
        assert result.text == "Here again."


async def _failure(agent: Agent, asked: Turn) -> AgentError:
    with pytest.raises(AgentError) as caught:
        await agent.run(asked, collect())
    return caught.value


def _assert_readable(error: AgentError) -> None:
    text = str(error)
    assert text.strip()
    assert "\n" not in text, "an error is one line for a person"
    assert "Traceback" not in text
