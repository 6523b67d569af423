"""Turns: parameters, limits, retries, tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from massgen_bridge_openai import bridge_adapters
from pydantic import ValidationError

from massgen_bridge import (
    LimitReached,
    Limits,
    ModelRetried,
    ModelTraits,
    ProtocolFailed,
    Quirks,
    RetryPolicy,
    Sampling,
    ServerFailed,
    ToolCall,
    ToolCallStarted,
    ToolResult,
    TurnResult,
    UnsupportedContent,
    assistant,
)
from massgen_bridge.testing.agents import (
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import (
    AutoToolCall,
    Disconnect,
    Hang,
    HttpError,
    ModelServer,
    Refusal,
    Structured,
    Text,
    ToolCalls,
)

if TYPE_CHECKING:
    from massgen_bridge import Turn
    from massgen_bridge.testing.agents import EventLog
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
CALL = ("lookup", {"query": "x", "limit": 1})


async def _run(
    server: ModelServer | str,
    asked: Turn,
    events: EventLog | None = None,
    *,
    options: dict[str, Any] | None = None,
    **connection: Any,
) -> TurnResult:
    agent = make_agent(SPEC, options or {}, connection_to(server, **connection))
    try:
        return await agent.run(asked, events or collect())
    finally:
        await agent.aclose()


async def _body(
    model_server: StartModelServer, asked: Turn | None = None, **more: Any
) -> dict[str, Any]:
    """What the server was sent."""
    server = model_server(default=Text("{}"))
    await _run(server, asked or turn("Speak."), **more)
    body: dict[str, Any] = server.requests[0].body
    return body


async def test_nothing_is_sent_that_nobody_asked_for(model_server: StartModelServer) -> None:
    assert await _body(model_server) == {
        "model": "scripted",
        "messages": [{"role": "user", "content": "Speak."}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_extra_parameters_go_in_unchanged(model_server: StartModelServer) -> None:
    extra = {"reasoning_effort": "low", "provider": {"order": ["one"]}}
    body = await _body(model_server, sampling=Sampling(extra=extra))
    assert body["reasoning_effort"] == "low"
    assert body["provider"] == {"order": ["one"]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "max_tokens"),
        ({"max_tokens_parameter": "max_tokens"}, "max_tokens"),
        ({"max_tokens_parameter": "max_completion_tokens"}, "max_completion_tokens"),
    ],
)
async def test_the_output_limit_has_the_name_that_the_server_knows(
    model_server: StartModelServer, options: dict[str, Any], expected: str
) -> None:
    sampling = Sampling(max_output_tokens=9)
    body = await _body(model_server, sampling=sampling, options=options)
    names = {"max_tokens", "max_completion_tokens"}
    assert {name: body[name] for name in names & set(body)} == {expected: 9}


async def test_the_request_has_the_form_that_the_provider_understands(
    model_server: StartModelServer,
) -> None:
    quirks = Quirks(output_limit="max_completion_tokens", stream_usage=False, seed="random_seed")
    sampling = Sampling(max_output_tokens=9, seed=7)
    body = await _body(model_server, sampling=sampling, quirks=quirks)
    body.pop("messages")
    assert body == {
        "model": "scripted",
        "stream": True,
        "max_completion_tokens": 9,
        "random_seed": 7,
    }


async def test_the_turn_s_limit_comes_before_the_connection_s(
    model_server: StartModelServer,
) -> None:
    narrower = turn("Speak.", limits=Limits(max_output_tokens=4))
    body = await _body(model_server, narrower, sampling=Sampling(max_output_tokens=9))
    assert body["max_tokens"] == 4


@pytest.mark.parametrize("wanted", [True, False])
async def test_parallel_tool_calls_are_asked_for_only_with_tools(
    model_server: StartModelServer, *, wanted: bool
) -> None:
    options = {"parallel_tool_calls": wanted}
    asked = turn("Look.", tools=[LOOKUP], call_tool=ScriptedTools())
    assert (await _body(model_server, asked, options=options))["parallel_tool_calls"] is wanted
    assert "parallel_tool_calls" not in await _body(model_server, options=options)
    assert "parallel_tool_calls" not in await _body(model_server, asked)


async def test_options_are_checked() -> None:
    with pytest.raises(ValidationError):
        make_agent(SPEC, {"max_tokens_parameter": "tokens"}, connection_to("http://127.0.0.1/v1"))


async def test_tools_and_a_schema_go_together(model_server: StartModelServer) -> None:
    server = model_server([ToolCalls(CALL), Structured({"choice": "agent1"})])
    schema = {"type": "object", "properties": {"choice": {"type": "string"}}}
    asked = turn("Vote.", tools=[LOOKUP], call_tool=ScriptedTools("x"), output_schema=schema)
    result = await _run(server, asked)
    assert result.structured == {"choice": "agent1"}
    for request in server.requests:
        assert request.body["response_format"]["json_schema"]["schema"] == schema


async def test_a_refusal_is_no_decision_and_no_error(model_server: StartModelServer) -> None:
    asked = turn("Vote.", output_schema={"type": "object"})
    result = await _run(model_server(Refusal("I will not vote.")), asked)
    assert (result.structured, result.stop_reason) == (None, "refusal")


async def test_a_decision_that_was_cut_off_says_so(model_server: StartModelServer) -> None:
    cut = Text('{"choice": "age', finish_reason="length")
    with pytest.raises(ProtocolFailed, match="cut off by the output limit"):
        await _run(model_server(cut), turn("Vote.", output_schema={"type": "object"}))


@pytest.mark.parametrize(
    ("traits", "asked"),
    [
        (ModelTraits(tools=False), turn("x", tools=[LOOKUP], call_tool=ScriptedTools())),
        (ModelTraits(structured=False), turn("x", output_schema={"type": "object"})),
    ],
)
async def test_what_the_model_cannot_do_is_refused_before_any_call(
    model_server: StartModelServer, traits: ModelTraits, asked: Turn
) -> None:
    server = model_server()
    with pytest.raises(UnsupportedContent, match="correct the traits"):
        await _run(server, asked, **traits.model_dump())
    assert server.calls == 0


async def test_a_failed_model_call_is_made_again_but_not_the_turn(
    model_server: StartModelServer,
) -> None:
    server = model_server(
        [
            ToolCalls(CALL),
            HttpError(status=503),
            Disconnect(after=2, answer=Text("this is void")),
            Text("Done."),
        ]
    )
    tools, events = ScriptedTools("found"), collect()
    asked = turn("Look.", tools=[LOOKUP], call_tool=tools)
    policy = RetryPolicy(attempts=3, base_s=0.01)
    result = await _run(server, asked, events, retry=policy)
    assert result.text == events.text == "Done."
    assert len(tools.calls) == 1, "a tool that has run is not run again"
    assert [event.kind for event in events.of(ModelRetried)] == ["server", "network"]
    assert [request.body["messages"] for request in server.requests[1:]] == [
        server.requests[1].body["messages"]
    ] * 3
    assert result.usage is not None
    assert result.usage.calls == 2, "nobody counted the failed calls"


@pytest.mark.parametrize(
    ("reply", "limits", "said"),
    [
        (Hang(), {"first_token_timeout_s": 1.5}, "no first token after 1.5 s ('first_token_"),
        (Hang(after=0), {"first_token_timeout_s": 1.5}, "no first token after 1.5 s ('first_"),
        (Hang(after=2), {"total_timeout_s": 1.5}, "not done after 1.5 s ('total_timeout_s')"),
        (Hang(after=2), {"timeout_s": 1.5}, "nothing came for 1.5 s: 'timeout_s'"),
    ],
)
async def test_each_limit_of_time_is_named_when_it_has_passed(
    model_server: StartModelServer, reply: Hang, limits: dict[str, float], said: str
) -> None:
    server = model_server([reply, Text("Done.")])
    events = collect()
    retry = RetryPolicy(attempts=2, base_s=0.001)
    connection = connection_to(server, retry=retry).model_copy(update=limits)
    agent = make_agent(SPEC, {}, connection)
    result = await agent.run(turn("Speak."), events)
    await agent.aclose()
    assert result.text == events.text == "Done."
    (retried,) = events.of(ModelRetried)
    assert retried.kind == "timeout"
    assert said in retried.message


async def test_an_answer_that_has_begun_in_time_may_take_longer(
    model_server: StartModelServer,
) -> None:
    server = model_server(Text.of_tokens(10, tokens_per_second=5))
    connection = connection_to(server).model_copy(update={"first_token_timeout_s": 1.5})
    agent = make_agent(SPEC, {}, connection)
    result = await agent.run(turn("Speak."), collect())
    await agent.aclose()
    assert result.usage is not None
    assert result.usage.output_tokens == 10


async def test_the_policy_s_last_error_comes_out(model_server: StartModelServer) -> None:
    server = model_server(HttpError(status=500))
    with pytest.raises(ServerFailed):
        await _run(server, turn("Speak."), retry=RetryPolicy(attempts=3, base_s=0.01))
    assert server.calls == 3


async def test_calls_after_the_one_that_ends_the_turn_are_not_made(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(CALL, CALL, CALL, text="I vote.")])
    ending = ToolResult(call_id="", name="", content="counted", ends_turn=True)
    tools, events = ScriptedTools("looked", ending), collect()
    result = await _run(server, turn("Vote.", tools=[LOOKUP], call_tool=tools), events)
    assert len(tools.calls) == len(events.of(ToolCallStarted)) == 2
    message, results = result.new_messages
    assert (result.message, result.text, result.stop_reason) == (message, "I vote.", "tool")
    told = [part for part in results.parts if isinstance(part, ToolResult)]
    assert [(one.content, one.is_error) for one in told] == [
        ("looked", False),
        ("counted", False),
        ("not called: the turn had ended", True),
    ]
    assert [one.call_id for one in told] == [call.call_id for call in message.tool_calls]


async def test_what_a_turn_adds_is_a_history_that_the_model_takes(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(CALL, ("lookup", "{bad")), Text("Done."), Text("Again.")])
    first = turn("Look.", tools=[LOOKUP], call_tool=ScriptedTools("found"))
    result = await _run(server, first)
    second = turn(*first.messages, *result.new_messages, "And now?")
    assert (await _run(server, second)).text == "Again."


async def test_a_call_cut_by_the_output_limit_is_not_made(model_server: StartModelServer) -> None:
    tools = ScriptedTools("found")
    server = model_server(ToolCalls(CALL, finish_reason="length"))
    with pytest.raises(LimitReached, match="in the middle of a tool call"):
        await _run(server, turn("Look.", tools=[LOOKUP], call_tool=tools))
    assert tools.calls == []


async def test_calls_of_a_filtered_answer_are_not_made(model_server: StartModelServer) -> None:
    tools = ScriptedTools("found")
    server = model_server(ToolCalls(CALL, text="I", finish_reason="content_filter"))
    result = await _run(server, turn("Look.", tools=[LOOKUP], call_tool=tools))
    assert (result.stop_reason, result.new_messages) == ("refusal", (assistant("I"),))
    assert tools.calls == []


async def test_the_last_call_that_a_turn_may_make_counts(model_server: StartModelServer) -> None:
    server = model_server([ToolCalls(CALL), Text("Done.")])
    limits = Limits(max_model_calls=2)
    asked = turn("Look.", tools=[LOOKUP], call_tool=ScriptedTools("found"), limits=limits)
    assert (await _run(server, asked)).text == "Done."


async def test_beyond_that_no_tool_is_called_in_vain(model_server: StartModelServer) -> None:
    tools = ScriptedTools("found")
    limits = Limits(max_model_calls=2)
    asked = turn("Look.", tools=[LOOKUP], call_tool=tools, limits=limits)
    with pytest.raises(LimitReached, match="2 model calls"):
        await _run(model_server(AutoToolCall(again=True)), asked)
    assert len(tools.calls) == 2


async def test_a_tool_of_another_name_is_left_to_the_host(model_server: StartModelServer) -> None:
    async def refuse(call: ToolCall) -> ToolResult:
        text = f"there is no tool {call.name!r}"
        return ToolResult(call_id=call.call_id, name=call.name, content=text, is_error=True)

    server = model_server([ToolCalls(("made_up", {})), Text("Sorry.")])
    asked = turn("Look.", tools=[LOOKUP], call_tool=ScriptedTools(refuse))
    assert (await _run(server, asked)).text == "Sorry."
    assert server.requests[1].body["messages"][-1]["content"] == "there is no tool 'made_up'"
