"""Tools: called through the turn, with what the model wrote, and their results go back to it."""

# ruff: noqa: D205, S101, PLR2004 - tests assert, and their guarantees take several lines

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge.agent import Limits, Turn, TurnResult
from massgen_bridge.errors import AgentError, LimitReached, ToolFailed
from massgen_bridge.events import ToolCallFinished, ToolCallStarted
from massgen_bridge.messages import ToolResult
from massgen_bridge.testing.agents import EventLog, ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._checks import assert_events, assert_refused
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._sent import asked, conversation
from massgen_bridge.testing.conformance._turns import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import AutoToolCall, ModelServer, Text, ToolCalls

__all__ = ["ToolTests"]

_ARGUMENTS = {"query": 'größer "als"\n  zwei', "limit": 3}
_CALL = ToolCalls(("lookup", _ARGUMENTS))
_TOLD = ("tool_call_started", "tool_call_finished", "text_delta")
_VOTE = LOOKUP.model_copy(update={"name": "vote", "ends_turn": True})


def _ask(tools: ScriptedTools, **more: Any) -> Turn:
    return turn("Look it up.", tools=[LOOKUP, _VOTE], call_tool=tools, **more)


class ToolTests(ModelConformanceBase):
    """An agent with tools calls them as the model says; one without refuses the turn."""

    async def _run(self, server: ModelServer, wanted: Turn, events: EventLog) -> TurnResult | None:
        """Do a turn with tools; None where the agent has none and has refused it."""
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, wanted)
                assert server.calls == 0
                return None
            return await agent.run(wanted, events)

    async def test_a_tool_gets_its_arguments_and_the_model_its_result(
        self, serve: StartModelServer
    ) -> None:
        """Arguments and result pass unchanged, quotes, accents, lines and indentation included. The
        history of the turn holds the call, its result and the final answer, in that order.
        """
        server, tools, events = (
            serve([_CALL, Text("Found it.")]),
            ScriptedTools("42,\n  so"),
            collect(),
        )
        result = await self._run(server, _ask(tools), events)
        if result is None:
            return
        (call,) = tools.calls
        assert (call.name, call.arguments, call.malformed) == ("lookup", _ARGUMENTS, None)
        assert server.calls == 2
        assert conversation(server)[-1] == ("tool", "42,\n  so")
        assert (result.text, result.stop_reason) == ("Found it.", "end")
        asking, answering, final = result.new_messages
        assert (asking.role, answering.role, final) == ("assistant", "tool", result.message)
        assert asking.tool_calls == (call,)
        assert answering.parts == (
            ToolResult(call_id=call.call_id, name="lookup", content="42,\n  so"),
        )

    async def test_tools_are_offered_as_the_host_defines_them(
        self, serve: StartModelServer
    ) -> None:
        """Name, description and schema of the turn's tools reach the model, and no other tool
        does.
        """
        server = serve(Text("No need."))
        if await self._run(server, _ask(ScriptedTools()), collect()) is None:
            return
        offered = {tool.name: tool for tool in asked(server).tools}
        assert set(offered) == {"lookup", "vote"}
        assert offered["lookup"].description == LOOKUP.description
        schema = offered["lookup"].parameters
        assert schema["properties"].keys() == {"query", "limit"}
        assert set(schema["required"]) == {"query", "limit"}

    async def test_no_tool_is_called_unless_the_model_does(self, serve: StartModelServer) -> None:
        """A model that is offered tools and answers in words has called none: the agent calls
        none in its name, such as a vote, and its answer is the model's.
        """
        server, tools, events = serve(Text("I abstain.")), ScriptedTools("done"), collect()
        result = await self._run(server, _ask(tools), events)
        if result is None:
            return
        assert tools.calls == []
        assert events.of(ToolCallStarted) == []
        assert (result.text, result.stop_reason) == ("I abstain.", "end")
        assert server.calls == 1

    async def test_what_the_model_says_before_a_call_is_kept(self, serve: StartModelServer) -> None:
        """Words that come with a tool call stay with it in the history, and go back to the model;
        the answer of the turn is what follows the call.
        """
        calling = ToolCalls(("lookup", _ARGUMENTS), text="Let me see:\n")
        server, events = serve([calling, Text("Found it.")]), collect()
        result = await self._run(server, _ask(ScriptedTools("42")), events)
        if result is None:
            return
        assert result.new_messages[0].text == "Let me see:\n"
        assert result.text == "Found it."
        assert [m.text for m in asked(server).messages if m.role == "assistant"] == [
            "Let me see:\n"
        ]
        assert_events(events.events, result, streaming=self.capabilities().streaming)

    async def test_tool_calls_are_told_of_in_order(self, serve: StartModelServer) -> None:
        """A tool call is told of by its start, its end, and then the words that follow from it;
        start and end are matched by the call's id.
        """
        server, events = serve([_CALL, Text("Found it.")]), collect()
        if await self._run(server, _ask(ScriptedTools("42")), events) is None:
            return
        told = [event.type for event in events.events if event.type in _TOLD]
        assert list(dict.fromkeys(told))[:2] == ["tool_call_started", "tool_call_finished"]
        (started,), (finished,) = events.of(ToolCallStarted), events.of(ToolCallFinished)
        assert started.call.arguments == _ARGUMENTS
        assert (finished.result.call_id, finished.result.content) == (started.call.call_id, "42")
        if self.capabilities().streaming:
            assert events.text == "Found it."

    async def test_calls_made_at_once_keep_their_order(self, serve: StartModelServer) -> None:
        """Of three calls that a model makes in one answer, every result goes back to the call that
        it belongs to, in the order of the calls.
        """
        arguments = [{"query": f"q{number}", "limit": number} for number in range(3)]
        server = serve([ToolCalls(*(("lookup", given) for given in arguments)), Text("All.")])
        tools = ScriptedTools("zero", "one", "two")
        result = await self._run(server, _ask(tools), collect())
        if result is None:
            return
        assert sorted((call.arguments for call in tools.calls), key=str) == arguments
        sent = asked(server).messages
        calls = {call.call_id: call for message in sent for call in message.calls}
        results = [message for message in sent if message.role == "tool"]
        assert [calls[one.answers or ""].arguments for one in results] == arguments
        contents = dict(zip(["q0", "q1", "q2"], ["zero", "one", "two"], strict=True))
        given = [contents[call.arguments["query"]] for call in tools.calls]
        assert given == ["zero", "one", "two"]
        assert [one.text for one in results] == given

    async def test_a_tool_may_end_the_turn(self, serve: StartModelServer) -> None:
        """After a result with `ends_turn` no further model call is made. The turn's stop reason is
        `tool`, and its message is the one that made the call.
        """
        server = serve([ToolCalls(("vote", _ARGUMENTS)), Text("This must not be asked for.")])
        ending = ToolResult(call_id="", name="", content="counted", ends_turn=True)
        result = await self._run(server, _ask(ScriptedTools(ending)), collect())
        if result is None:
            return
        assert server.calls == 1
        assert result.stop_reason == "tool"
        assert [message.role for message in result.new_messages] == ["assistant", "tool"]
        assert result.message == result.new_messages[0]

    async def test_a_failed_call_is_told_to_the_model(self, serve: StartModelServer) -> None:
        """A result with `is_error` goes to the model with its words, which goes on, and stays an
        error in the history. The tool is not called again.
        """
        failed = ToolResult(call_id="", name="", content="error: no such thing", is_error=True)
        server, tools = serve([_CALL, Text("There is no such thing.")]), ScriptedTools(failed)
        result = await self._run(server, _ask(tools), collect())
        if result is None:
            return
        assert len(tools.calls) == 1, "whether to call it again is for the model to say"
        assert conversation(server)[-1] == ("tool", "error: no such thing")
        assert result.text == "There is no such thing."
        (told,) = result.new_messages[1].parts
        assert isinstance(told, ToolResult)
        assert told.is_error

    async def test_arguments_that_are_no_json_are_never_made_up(
        self, serve: StartModelServer
    ) -> None:
        """Arguments that are no JSON object come to the host as `malformed`, to the letter, with
        empty `arguments`; its answer goes to the model.
        """
        wrong = '{"query": "unfinished'
        refused = ToolResult(call_id="", name="", content="error: no JSON", is_error=True)
        server, tools = (
            serve([ToolCalls(("lookup", wrong)), Text("Sorry.")]),
            ScriptedTools(refused),
        )
        result = await self._run(server, _ask(tools), collect())
        if result is None:
            return
        assert [(call.arguments, call.malformed) for call in tools.calls] == [({}, wrong)]
        assert conversation(server)[-1] == ("tool", "error: no JSON")
        assert result.text == "Sorry."

    @pytest.mark.parametrize("error", [ToolFailed("the tool broke"), LimitReached("no more calls")])
    async def test_a_tool_that_cannot_be_called_fails_the_turn(
        self, serve: StartModelServer, error: AgentError
    ) -> None:
        """What `call_tool` raises comes out of the turn as it is, and the model is not asked
        again.
        """
        server = serve([_CALL, Text("This must not be asked for.")])
        wanted = _ask(ScriptedTools(error))
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, wanted)
                assert server.calls == 0
                return
            with pytest.raises(type(error), match=str(error)):
                await agent.run(wanted, collect())
        assert server.calls == 1

    async def test_a_model_that_never_stops_calling_is_stopped(
        self, serve: StartModelServer
    ) -> None:
        """A turn that may make three model calls makes three; then it fails as `LimitReached`."""
        server = serve(AutoToolCall(again=True))
        wanted = _ask(ScriptedTools("once more"), limits=Limits(max_model_calls=3))
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, wanted)
                assert server.calls == 0
                return
            with pytest.raises(LimitReached):
                await agent.run(wanted, collect())
        assert server.calls == 3
