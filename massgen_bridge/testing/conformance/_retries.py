"""Calls that are made again: by the host's policy alone, and as if nothing had been before."""

# ruff: noqa: D205, S101, PLR2004 - tests assert, and their guarantees take several lines

from __future__ import annotations

import pytest

from massgen_bridge.agent import Usage
from massgen_bridge.connection import RetryPolicy
from massgen_bridge.errors import AgentError, ErrorKind
from massgen_bridge.events import ModelCallStarted, ModelRetried
from massgen_bridge.testing import servers
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._checks import assert_events, assert_refused, assert_whole
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._sent import conversation
from massgen_bridge.testing.conformance._turns import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import (
    Disconnect,
    EndsEarly,
    ErrorEvent,
    HttpError,
    Reply,
    Text,
    ToolCalls,
)

__all__ = ["RetryTests"]

_TWICE = RetryPolicy(attempts=2, base_s=0.01)
_HALF = Text("Half of an answer that will not be finished")
_MIDWAY: dict[str, Reply] = {
    "disconnect": Disconnect(after=5, answer=_HALF),
    "ends": EndsEarly(after=5, answer=_HALF),
    "error-event": ErrorEvent(after=5, answer=_HALF),
}
_AT_ONCE: dict[ErrorKind, Reply] = {
    "network": Disconnect(),
    "rate_limit": HttpError(status=429, retry_after=0.05),
    "server": HttpError(status=503),
}
_FINAL = {"400": HttpError(status=400), "401": HttpError(status=401), "404": HttpError(status=404)}
_COUNTED = servers.Usage(input_tokens=20, output_tokens=7)


class RetryTests(ModelConformanceBase):
    """A model call that failed is made again by the host's policy, and the turn is whole."""

    @pytest.mark.parametrize("fault", _MIDWAY.values(), ids=_MIDWAY)
    async def test_text_of_a_failed_attempt_does_not_count(
        self, serve: StartModelServer, fault: Reply
    ) -> None:
        """A stream that breaks in the middle, and an attempt that then succeeds, give the text of
        the second alone: in the result, in the history, and in the deltas since the last
        `ModelCallStarted`. `ModelRetried` is told once, and usage counts one call.
        """
        server = serve([fault, Text("A whole\n  answer.", usage=_COUNTED)])
        events = collect()
        async with self.agent_at(server, retry=_TWICE) as agent:
            result = await agent.run(turn("Speak."), events)
        assert result.text == "A whole\n  answer."
        assert_whole(result)
        assert len(result.new_messages) == 1
        assert result.usage == Usage(input_tokens=20, output_tokens=7, calls=1)
        assert server.calls == 2
        assert len(events.of(ModelCallStarted)) == 2
        assert len(events.of(ModelRetried)) == 1
        assert_events(events.events, result, streaming=self.capabilities().streaming)

    @pytest.mark.parametrize(("kind", "fault"), _AT_ONCE.items(), ids=_AT_ONCE)
    async def test_a_call_that_is_made_again_is_told_once(
        self, serve: StartModelServer, kind: ErrorKind, fault: Reply
    ) -> None:
        """A call that fails before its first word is made again once: two `ModelCallStarted`, and
        between them one `ModelRetried` with the kind of the failure and a wait that is no shorter
        than the provider asked for. Both requests hold the same messages.
        """
        server, events = serve([fault, Text("Here it is.")]), collect()
        async with self.agent_at(server, retry=_TWICE) as agent:
            result = await agent.run(turn("Speak."), events)
        assert result.text == "Here it is."
        (retried,) = events.of(ModelRetried)
        assert (retried.kind, retried.attempt) == (kind, 1)
        asked_for = getattr(fault, "retry_after", None) or 0
        assert retried.delay_s >= asked_for
        told = [
            one.type for one in events.events if isinstance(one, ModelCallStarted | ModelRetried)
        ]
        assert told == ["model_call_started", "model_retried", "model_call_started"]
        assert server.calls == 2
        assert conversation(server, 0) == conversation(server, 1)

    async def test_attempts_are_used_up_to_the_last(self, serve: StartModelServer) -> None:
        """With three attempts and a provider that fails each time, three requests are sent, and
        the error of the last one comes out.
        """
        server = serve(HttpError(status=500))
        policy = RetryPolicy(attempts=3, base_s=0.01)
        async with self.agent_at(server, retry=policy) as agent:
            with pytest.raises(AgentError) as caught:
                await agent.run(turn("Speak."), collect())
        assert caught.value.kind == "server"
        assert server.calls == 3

    @pytest.mark.parametrize("fault", _FINAL.values(), ids=_FINAL)
    async def test_what_cannot_pass_is_not_tried_again(
        self, serve: StartModelServer, fault: HttpError
    ) -> None:
        """A refused request, a wrong key and a missing model fail at the first attempt, however
        many are allowed.
        """
        server = serve(fault)
        async with self.agent_at(server, retry=RetryPolicy(attempts=4, base_s=0.01)) as agent:
            with pytest.raises(AgentError):
                await agent.run(turn("Speak."), collect())
        assert server.calls == 1

    async def test_a_tool_that_ran_is_not_run_again(self, serve: StartModelServer) -> None:
        """A failed model call is made again, never the turn: a tool that ran before it keeps its
        one call and its result.
        """
        call = ToolCalls(("lookup", {"query": "x", "limit": 1}))
        server = serve([call, HttpError(status=500), Text("Found.")])
        tools = ScriptedTools("seen")
        asked = turn("Look it up.", tools=[LOOKUP], call_tool=tools)
        events = collect()
        async with self.agent_at(server, retry=_TWICE) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, asked)
                return
            result = await agent.run(asked, events)
        assert len(tools.calls) == 1
        assert server.calls == 3
        assert conversation(server)[-1] == ("tool", "seen")
        assert [message.role for message in result.new_messages] == [
            "assistant",
            "tool",
            "assistant",
        ]
        assert_events(events.events, result, streaming=self.capabilities().streaming)
