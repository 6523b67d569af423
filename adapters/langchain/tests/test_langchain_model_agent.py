"""The agent that LangChain makes of a model, against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from massgen_bridge_langchain import bridge_adapters

from massgen_bridge import (
    Agent,
    LimitReached,
    Limits,
    Message,
    ModelCallFinished,
    ModelCallStarted,
    ModelRetried,
    ProtocolFailed,
    Quirks,
    RetryPolicy,
    Sampling,
    TextDelta,
    TextPart,
    ToolCall,
    ToolCallStarted,
    ToolDefinition,
    ToolFailed,
    ToolResult,
    UnsupportedContent,
    Usage,
    assistant,
    system,
    user,
)
from massgen_bridge.testing.agents import (
    TEST_KEY,
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.servers import (
    AutoToolCall,
    EndsEarly,
    HttpError,
    Refusal,
    Structured,
    Text,
    ToolCalls,
)
from massgen_bridge.testing.servers import Usage as Counted

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import ModelServer

pytestmark = pytest.mark.anyio

LOOK_UP = ToolDefinition(
    name="look-up",
    description="Looks a word up.",
    input_schema={
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
    },
)
SCHEMA = {
    "type": "object",
    "properties": {"pet": {"type": "string"}},
    "required": ["pet"],
    "additionalProperties": False,
}


def agent_at(server: ModelServer, options: dict[str, Any] | None = None, **settings: Any) -> Agent:
    (spec,) = bridge_adapters()
    return make_agent(spec, options or {}, connection_to(server, **settings))


def sent(server: ModelServer, number: int = -1) -> dict[str, Any]:
    body: dict[str, Any] = server.requests[number].body
    return body


async def test_the_answer_arrives_in_deltas_and_as_a_whole(
    model_server: StartModelServer,
) -> None:
    agent = agent_at(model_server(Text("A cat, of course.")))
    log = collect()
    result = await agent.run(turn("Which pet?"), log)
    assert result.text == "A cat, of course."
    assert result.new_messages == (result.message,)
    assert result.stop_reason == "end"
    assert [delta.text for delta in log.of(TextDelta)] == ["A", " cat,", " of", " course."]
    assert [type(event) for event in log.events] == [
        ModelCallStarted,
        *[TextDelta] * 4,
        ModelCallFinished,
    ]
    await agent.aclose()


async def test_the_whole_history_reaches_the_model_in_its_roles(
    model_server: StartModelServer,
) -> None:
    server = model_server(Text("ok"))
    agent = agent_at(server)
    call = ToolCall(call_id="c1", name="look-up", arguments={"word": "cat"})
    cut = ToolCall(call_id="c2", name="look-up", malformed='{"word": "d')
    history = (
        system("Be brief."),
        Message(role="user", parts=(TextPart(text="Look it up."),), name="ann"),
        Message(role="assistant", parts=(TextPart(text="I do."), call, cut)),
        Message(
            role="tool",
            parts=(
                ToolResult(call_id="c1", name="look-up", content="a pet"),
                ToolResult(call_id="c2", name="look-up", content="no JSON", is_error=True),
            ),
        ),
        assistant("It is a pet."),
        user("Sure?"),
    )
    await agent.run(turn(*history), collect())
    assert sent(server)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look it up.", "name": "ann"},
        {
            "role": "assistant",
            "content": "I do.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "look-up", "arguments": '{"word": "cat"}'},
                },
                {
                    "id": "c2",
                    "type": "function",
                    "function": {
                        "name": "look-up",
                        "arguments": '{"malformed": "{\\"word\\": \\"d"}',
                    },
                },
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a pet"},
        {"role": "tool", "tool_call_id": "c2", "content": "no JSON"},
        {"role": "assistant", "content": "It is a pet."},
        {"role": "user", "content": "Sure?"},
    ]
    await agent.aclose()


async def test_the_connection_says_what_is_sent(
    model_server: StartModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, "ambient-secret")
    monkeypatch.setenv("OPENAI_PROXY", "http://ambient-secret.invalid")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Ambient: ambient-secret")
    server = model_server(Text("ok"))
    sampling = Sampling(temperature=0.2, top_p=0.9, seed=7, max_output_tokens=50, extra={"mood": 1})
    agent = agent_at(server, model="gpt-5.6-mini", headers={"X-Team": "blue"}, sampling=sampling)
    await agent.run(turn("Hi", limits=Limits(max_output_tokens=20)), collect())
    await agent.aclose()
    (request,) = server.requests
    body = sent(server)
    assert {
        name: body[name] for name in ("temperature", "top_p", "seed", "max_tokens", "mood")
    } == {
        "temperature": 0.2,
        "top_p": 0.9,
        "seed": 7,
        "max_tokens": 20,
        "mood": 1,
    }
    assert body["model"] == "gpt-5.6-mini"
    assert "max_completion_tokens" not in body
    assert request.path == "/v1/chat/completions"
    assert request.headers["x-team"] == "blue"
    assert request.api_key == TEST_KEY
    assert not [v for v in request.headers.values() if "ambient" in v or "secret" in v]


async def test_the_request_has_the_form_that_the_provider_understands(
    model_server: StartModelServer,
) -> None:
    server = model_server(default=Structured({"ok": True}))
    quirks = Quirks(
        output_limit="max_completion_tokens",
        stream_usage=False,
        seed="random_seed",
        strict_schemas=False,
        system_role="developer",
    )
    sampling = Sampling(seed=7, max_output_tokens=50, extra={"mood": 1})
    agent = agent_at(server, quirks=quirks, sampling=sampling)
    asked = turn(system("Be kind."), "Well?", output_schema={"type": "object"})
    await agent.run(asked, collect())
    await agent.aclose()
    body = sent(server)
    assert not {"stream_options", "seed", "max_tokens"} & body.keys()
    assert (body["random_seed"], body["max_completion_tokens"], body["mood"]) == (7, 50, 1)
    assert "strict" not in body["response_format"]["json_schema"]
    assert body["messages"][0]["role"] == "developer"


async def test_a_connection_without_a_key_sends_none(model_server: StartModelServer) -> None:
    server = model_server(Text("ok"))
    agent = agent_at(server, api_key=None)
    await agent.run(turn("Hi"), collect())
    await agent.aclose()
    assert "authorization" not in server.requests[0].headers


async def test_models_that_langchain_would_send_elsewhere_stay_with_chat_completions(
    model_server: StartModelServer,
) -> None:
    server = model_server(Text("ok"))
    agent = agent_at(server, model="gpt-6-sol")
    await agent.run(turn("Hi", tools=[LOOK_UP], call_tool=ScriptedTools()), collect())
    await agent.aclose()
    assert [request.path for request in server.requests] == ["/v1/chat/completions"]


async def test_tools_are_called_through_the_turn_one_after_the_other(
    model_server: StartModelServer,
) -> None:
    server = model_server(
        [
            ToolCalls(
                ("look-up", {"word": "cat"}), ("look-up", {"word": "dog"}), text="Let's see."
            ),
            Text("Both are pets."),
        ]
    )
    agent = agent_at(server, {"parallel_tool_calls": True})
    tools = ScriptedTools("a pet", "another pet")
    log = collect()
    result = await agent.run(turn("?", tools=[LOOK_UP], call_tool=tools), log)
    await agent.aclose()
    assert [call.arguments for call in tools.calls] == [{"word": "cat"}, {"word": "dog"}]
    assert result.text == "Both are pets."
    asked, told, last = result.new_messages
    assert asked.text == "Let's see."
    assert asked.tool_calls == tuple(tools.calls)
    assert [part.content for part in told.parts if isinstance(part, ToolResult)] == [
        "a pet",
        "another pet",
    ]
    assert last == result.message
    kinds = [event.type for event in log.events if event.type.startswith("tool_call")]
    assert kinds == ["tool_call_started", "tool_call_finished"] * 2
    assert [event.call for event in log.of(ToolCallStarted)] == tools.calls
    assert result.usage is not None
    assert result.usage.calls == 2
    assert [message["role"] for message in sent(server)["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
    ]
    assert sent(server)["parallel_tool_calls"] is True
    (offered,) = sent(server)["tools"]
    assert offered["function"]["parameters"] == LOOK_UP.input_schema


async def test_a_result_that_ends_the_turn_ends_it_without_another_model_call(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(("look-up", {"word": "a"}), ("look-up", {"word": "b"}))])
    agent = agent_at(server)
    tools = ScriptedTools(ToolResult(call_id="", name="", content="enough", ends_turn=True))
    log = collect()
    result = await agent.run(turn("?", tools=[LOOK_UP], call_tool=tools), log)
    await agent.aclose()
    assert server.calls == 1
    assert len(tools.calls) == 1
    assert result.stop_reason == "tool"
    assert result.message.tool_calls[0] == tools.calls[0]
    first, second = (p for p in result.new_messages[-1].parts if isinstance(p, ToolResult))
    assert first.ends_turn
    assert second.is_error
    assert second.content == "not called: the turn had ended"
    assert len(log.of(ModelCallFinished)) == 1


async def test_an_error_result_goes_back_to_the_model(model_server: StartModelServer) -> None:
    server = model_server([ToolCalls(("look-up", {"word": "a"})), Text("I could not.")])
    agent = agent_at(server)
    tools = ScriptedTools(ToolResult(call_id="", name="", content="denied", is_error=True))
    result = await agent.run(turn("?", tools=[LOOK_UP], call_tool=tools), collect())
    await agent.aclose()
    assert result.text == "I could not."
    assert sent(server)["messages"][-1]["content"] == "denied"


async def test_arguments_that_are_no_json_are_passed_on_as_they_came(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(("look-up", '{"word": "ca')), Text("sorry")])
    agent = agent_at(server)
    tools = ScriptedTools(ToolResult(call_id="", name="", content="no JSON", is_error=True))
    result = await agent.run(turn("?", tools=[LOOK_UP], call_tool=tools), collect())
    await agent.aclose()
    (call,) = tools.calls
    assert (call.arguments, call.malformed) == ({}, '{"word": "ca')
    assert result.new_messages[0].tool_calls == (call,)


async def test_a_tool_that_the_turn_does_not_have_is_the_host_s_to_refuse(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(("unknown", {})), Text("sorry")])
    agent = agent_at(server)
    tools = ScriptedTools(ToolResult(call_id="", name="", content="no such tool", is_error=True))
    await agent.run(turn("?", tools=[LOOK_UP], call_tool=tools), collect())
    await agent.aclose()
    assert [call.name for call in tools.calls] == ["unknown"]


@pytest.mark.parametrize("error", [ToolFailed("broken"), LimitReached("no more tool calls")])
async def test_what_the_host_raises_from_a_tool_call_ends_the_turn(
    model_server: StartModelServer, error: Exception
) -> None:
    server = model_server([ToolCalls(("look-up", {"word": "a"}))])
    agent = agent_at(server)
    with pytest.raises(type(error), match=str(error)):
        await agent.run(turn("?", tools=[LOOK_UP], call_tool=ScriptedTools(error)), collect())
    await agent.aclose()
    assert server.calls == 1


async def test_the_limit_of_model_calls_holds(model_server: StartModelServer) -> None:
    server = model_server(AutoToolCall(again=True))
    agent = agent_at(server)
    with pytest.raises(LimitReached, match="3 model calls"):
        await agent.run(
            turn("?", tools=[LOOK_UP], call_tool=ScriptedTools(), limits=Limits(max_model_calls=3)),
            collect(),
        )
    await agent.aclose()
    assert server.calls == 3


async def test_a_schema_holds_the_answer_on_the_wire(model_server: StartModelServer) -> None:
    server = model_server(Structured({"pet": "cat"}))
    agent = agent_at(server)
    result = await agent.run(turn("?", output_schema=SCHEMA), collect())
    await agent.aclose()
    assert result.structured == {"pet": "cat"}
    assert result.text == '{"pet":"cat"}'
    assert sent(server)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"additionalProperties": True},
        {"required": []},
        {"properties": {"pet": {"type": "string", "maxLength": 9}}},
        {"properties": {"pet": {"type": "array", "items": {"type": "object"}}}},
    ],
)
async def test_a_schema_that_strict_mode_refuses_only_guides(
    model_server: StartModelServer, change: dict[str, Any]
) -> None:
    server = model_server(Structured({"pet": "cat"}))
    agent = agent_at(server)
    await agent.run(turn("?", output_schema=SCHEMA | change), collect())
    await agent.aclose()
    assert sent(server)["response_format"]["json_schema"]["strict"] is False


async def test_a_schema_and_tools_go_together(model_server: StartModelServer) -> None:
    server = model_server([ToolCalls(("look-up", {"word": "cat"})), Structured({"pet": "cat"})])
    agent = agent_at(server)
    result = await agent.run(
        turn("?", tools=[LOOK_UP], call_tool=ScriptedTools("a pet"), output_schema=SCHEMA),
        collect(),
    )
    await agent.aclose()
    assert result.structured == {"pet": "cat"}
    assert len(result.new_messages) == 3
    assert "strict" not in sent(server)["tools"][0]["function"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [(Text("a cat"), "is not:"), (Text('{"pet": "c', finish_reason="length"), "was cut off")],
)
async def test_an_answer_that_is_not_the_json_asked_for_is_an_error(
    model_server: StartModelServer, answer: Text, problem: str
) -> None:
    agent = agent_at(model_server(answer))
    with pytest.raises(ProtocolFailed, match=problem):
        await agent.run(turn("?", output_schema=SCHEMA), collect())
    await agent.aclose()


async def test_the_reason_to_stop_is_told(model_server: StartModelServer) -> None:
    server = model_server(
        [
            Text("A cat and", finish_reason="length"),
            Refusal("I will not say."),
            Text("", finish_reason="content_filter"),
        ]
    )
    agent = agent_at(server)
    results = [await agent.run(turn("?"), collect()) for _ in range(3)]
    await agent.aclose()
    assert [result.stop_reason for result in results] == ["length", "refusal", "refusal"]
    assert results[1].text == "I will not say."


async def test_a_refusal_is_no_answer_to_a_schema(model_server: StartModelServer) -> None:
    agent = agent_at(model_server(Refusal("I will not say.")))
    result = await agent.run(turn("?", output_schema=SCHEMA), collect())
    await agent.aclose()
    assert (result.stop_reason, result.structured) == ("refusal", None)


async def test_a_tool_call_that_was_cut_off_is_not_made(model_server: StartModelServer) -> None:
    server = model_server(ToolCalls(("look-up", '{"word": "c'), finish_reason="length"))
    agent = agent_at(server)
    tools = ScriptedTools()
    with pytest.raises(LimitReached, match="in the middle of a tool call"):
        await agent.run(turn("?", tools=[LOOK_UP], call_tool=tools), collect())
    await agent.aclose()
    assert tools.calls == []


async def test_usage_has_one_meaning(model_server: StartModelServer) -> None:
    counted = Counted(input_tokens=30, output_tokens=9, cached_tokens=20, reasoning_tokens=4)
    agent = agent_at(model_server(Text("ok", usage=counted)))
    log = collect()
    result = await agent.run(turn("?"), log)
    await agent.aclose()
    usage = Usage(input_tokens=30, cached_tokens=20, output_tokens=9, reasoning_tokens=4, calls=1)
    assert result.usage == usage
    assert [event.usage for event in log.of(ModelCallFinished)] == [usage]


async def test_a_server_that_does_not_count_gives_no_usage(model_server: StartModelServer) -> None:
    agent = agent_at(model_server(Text("ok", usage="absent")))
    log = collect()
    result = await agent.run(turn("?"), log)
    await agent.aclose()
    assert result.usage is None
    assert [event.usage for event in log.of(ModelCallFinished)] == [None]


async def test_a_failed_call_is_made_again_and_its_text_is_void(
    model_server: StartModelServer,
) -> None:
    server = model_server([HttpError(status=503), EndsEarly(), Text("at last")])
    agent = agent_at(server, retry=RetryPolicy(attempts=3, base_s=0.001))
    log = collect()
    result = await agent.run(turn("?"), log)
    await agent.aclose()
    assert result.text == log.text == "at last"
    assert [event.kind for event in log.of(ModelRetried)] == ["server", "truncated"]
    assert len(log.of(ModelCallStarted)) == 3
    assert len(log.of(ModelCallFinished)) == 1


async def test_traits_of_the_connection_are_kept_to(model_server: StartModelServer) -> None:
    server = model_server(Text("ok"))
    agent = agent_at(server, tools=False, structured=False)
    with pytest.raises(UnsupportedContent, match="cannot call tools"):
        await agent.run(turn("?", tools=[LOOK_UP]), collect())
    with pytest.raises(UnsupportedContent, match="output schema"):
        await agent.run(turn("?", output_schema=SCHEMA), collect())
    await agent.aclose()
    assert server.calls == 0
