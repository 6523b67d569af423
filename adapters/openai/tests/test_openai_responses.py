"""Turns by Responses: what is asked, how it is read, and what goes back while a turn goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from massgen_bridge_openai import bridge_adapters

from massgen_bridge import (
    AgentError,
    BadRequest,
    ContextOverflow,
    ImagePart,
    Limits,
    LogLine,
    Message,
    ModelTraits,
    ProtocolFailed,
    RateLimited,
    ReasoningDelta,
    Sampling,
    ServerFailed,
    TextPart,
    ToolCall,
    ToolResult,
    Truncated,
    Turn,
    TurnResult,
    UnsupportedContent,
    assistant,
    user,
)
from massgen_bridge.testing.agents import (
    EventLog,
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    run_turn,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import HttpError, ModelServer, Text, ToolCalls

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
CALL = ("lookup", {"query": "x", "limit": 1})
PNG = ImagePart(media_type="image/png", data=b"PNG")
SEALED = "reasoning.encrypted_content"


async def _run(
    server: ModelServer,
    asked: Turn,
    events: EventLog | None = None,
    *,
    options: dict[str, Any] | None = None,
    **connection: Any,
) -> TurnResult:
    to = connection_to(server, protocol="responses", **connection)
    return await run_turn(SPEC, asked, to, events, options=options)


async def _body(start: StartModelServer, asked: Turn | None = None, **more: Any) -> dict[str, Any]:
    """What the server was sent."""
    server = start(Text("{}"))
    await _run(server, asked or turn("Speak."), **more)
    body: dict[str, Any] = server.requests[0].body
    return body


def _stream(*events: dict[str, Any]) -> HttpError:
    """A stream of these events."""
    lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return HttpError(status=200, body="".join(lines), content_type="text/event-stream")


def _item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": {"type": kind, **fields}}


def _said(text: str, **fields: Any) -> tuple[dict[str, Any], ...]:
    """A message that comes whole, without deltas."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    done = _item("message", id="msg_1", role="assistant", content=content, **fields)
    return {**done, "type": "response.output_item.added"}, done


def _end(**fields: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"status": "completed", **fields}}


async def test_nothing_is_stored_and_nothing_sent_that_nobody_asked_for(
    model_server: StartModelServer,
) -> None:
    assert await _body(model_server) == {
        "model": "scripted",
        "input": [{"role": "user", "content": "Speak."}],
        "stream": True,
        "store": False,
        "include": [SEALED],
    }


async def test_the_options_are_in_the_request(model_server: StartModelServer) -> None:
    options = {
        "reasoning_effort": "high",
        "reasoning_summary": "auto",
        "verbosity": "low",
        "service_tier": "flex",
        "parallel_tool_calls": False,
    }
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    asked = turn(
        "Speak.",
        tools=[LOOKUP],
        call_tool=ScriptedTools(),
        output_schema=schema,
        limits=Limits(max_output_tokens=7),
    )
    sampling = Sampling(max_output_tokens=99, extra={"prompt_cache_key": "mine"})
    body = await _body(model_server, asked, options=options, sampling=sampling)
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["text"]["verbosity"] == "low"
    form = body["text"]["format"]
    assert (form["type"], form["schema"], form["strict"]) == ("json_schema", schema, True)
    assert body["service_tier"] == "flex"
    assert body["parallel_tool_calls"] is False
    assert body["max_output_tokens"] == 7
    assert body["prompt_cache_key"] == "mine"
    assert [(tool["type"], tool["name"], tool["strict"]) for tool in body["tools"]] == [
        ("function", "lookup", False)
    ]


async def test_the_same_options_are_understood_by_chat_completions(
    model_server: StartModelServer,
) -> None:
    server = model_server(Text("Yes."))
    options = {"reasoning_effort": "low", "verbosity": "high", "service_tier": "priority"}
    agent = make_agent(SPEC, options, connection_to(server))
    await agent.run(turn("Speak."), collect())
    await agent.aclose()
    assert {name: server.requests[0].body[name] for name in options} == options


@pytest.mark.parametrize("model", ["gpt-4o-mini", "openai/gpt-4.1"])
async def test_models_that_do_not_reason_are_not_asked_for_it(
    model_server: StartModelServer, model: str
) -> None:
    assert "include" not in await _body(model_server, model=model)


async def test_a_model_that_refuses_to_seal_its_reasoning_is_asked_without(
    model_server: StartModelServer,
) -> None:
    refusal = HttpError(status=400, message="Encrypted content is not supported with this model.")
    server = model_server([refusal, Text("One."), Text("Two.")])
    agent = make_agent(SPEC, {}, connection_to(server, protocol="responses"))
    assert (await agent.run(turn("Speak."), collect())).text == "One."
    assert (await agent.run(turn("Again."), collect())).text == "Two."
    await agent.aclose()
    assert ["include" in request.body for request in server.requests] == [True, False, False]


async def test_reasoning_goes_back_sealed_while_the_turn_goes_on(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(CALL, reasoning="I must look."), Text("Done.")])
    events = collect()
    asked = turn("Speak.", tools=[LOOKUP], call_tool=ScriptedTools("found"))
    result = await _run(server, asked, events, options={"reasoning_summary": "detailed"})
    assert result.text == "Done."
    assert "".join(event.text for event in events.of(ReasoningDelta)) == "I must look."
    question, thought, call, output = server.requests[1].body["input"]
    assert question == {"role": "user", "content": "Speak."}
    assert (thought["type"], bool(thought["encrypted_content"])) == ("reasoning", True)
    assert call["type"] == "function_call"
    assert (output["call_id"], output["output"]) == (call["call_id"], "found")


async def test_reasoning_that_cannot_go_back_is_left_out_with_its_ids(
    model_server: StartModelServer,
) -> None:
    call = _item(
        "function_call", id="fc_1", call_id="c1", name="lookup", arguments=json.dumps(CALL[1])
    )
    thought = _item("reasoning", id="rs_1", summary=[], encrypted_content=None)
    server = model_server([_stream(thought, call, _end()), Text("Done.")])
    await _run(server, turn("Speak.", tools=[LOOKUP], call_tool=ScriptedTools("found")))
    sent = server.requests[1].body["input"][1:]
    assert [(item["type"], "id" in item) for item in sent] == [
        ("function_call", False),
        ("function_call_output", False),
    ]


async def test_pictures_of_tools_are_in_their_results(model_server: StartModelServer) -> None:
    class Camera(ScriptedTools):
        async def __call__(self, call: ToolCall) -> ToolResult:
            result = await super().__call__(call)
            return result.model_copy(update={"media": (PNG,)})

    for protocol in ("responses", "chat"):
        server = model_server([ToolCalls(CALL), Text("A cup.")])
        to = connection_to(server, protocol=protocol)
        agent = make_agent(SPEC, {}, to)
        asked = turn("Look.", tools=[LOOKUP], call_tool=Camera("taken"))
        result = await agent.run(asked, collect())
        again = turn(*asked.messages, *result.new_messages, user("And now?"), turn_id="turn-2")
        await agent.run(again, collect())
        await agent.aclose()
        for request in server.requests[1:]:
            assert request.asked is not None
            shown = [one for one in request.asked.messages if one.media]
            assert [[media.data for media in one.media] for one in shown] == [[PNG.data]]
            assert shown[0].role == ("tool" if protocol == "responses" else "user")
            if protocol == "chat":
                assert "'lookup'" in shown[0].text


async def test_pictures_that_the_model_has_shown_go_back_to_it(
    model_server: StartModelServer,
) -> None:
    call = ToolCall(call_id="another provider's: " + "x" * 90, name="lookup", arguments={})
    answer = ToolResult(call_id=call.call_id, name="lookup", content="found")
    history = (
        user("Draw."),
        Message(role="assistant", parts=(TextPart(text="Here."), PNG, call)),
        Message(role="tool", parts=(answer,)),
        Message(role="assistant", parts=(PNG,)),
        user("Larger."),
    )
    for protocol in ("responses", "chat"):
        server = model_server(Text("No."))
        agent = make_agent(SPEC, {}, connection_to(server, protocol=protocol))
        await agent.run(turn(*history, tools=[LOOKUP], call_tool=ScriptedTools()), collect())
        await agent.aclose()
        asked = server.requests[0].asked
        assert asked is not None
        sent = [(one.role, len(one.calls), len(one.media)) for one in asked.messages]
        assert sent == [
            ("user", 0, 0),
            ("assistant", 1, 0),
            ("tool", 0, 0),
            ("user", 0, 1),
            ("user", 0, 1),
            ("user", 0, 0),
        ]


async def test_sound_is_refused_before_any_call(model_server: StartModelServer) -> None:
    server = model_server(Text("I hear."))
    sound = Message.model_validate(
        {"role": "user", "parts": [{"type": "audio", "media_type": "audio/wav", "data": "UE5H"}]}
    )
    traits = ModelTraits(inputs=frozenset({"audio"}))
    with pytest.raises(UnsupportedContent, match="protocol: chat"):
        await _run(server, turn(sound), inputs=traits.inputs)
    assert server.calls == 0


# --- what comes -----------------------------------------------------------------------------------


async def test_what_the_model_says_on_its_way_is_not_its_answer(
    model_server: StartModelServer,
) -> None:
    aside = _said("I will look.", phase="commentary")
    delta = {"type": "response.output_text.delta", "delta": "I will look."}
    server = model_server(_stream(aside[0], delta, aside[1], *_said("It is tea."), _end()))
    events = collect()
    result = await _run(server, turn("What is it?"), events)
    assert result.text == events.text == "It is tea."
    assert [event.text for event in events.of(ReasoningDelta)] == ["I will look."]


async def test_several_messages_are_one_answer_in_paragraphs(
    model_server: StartModelServer,
) -> None:
    server = model_server(_stream(*_said("One."), *_said("Two."), _end()))
    events = collect()
    result = await _run(server, turn("Count."), events)
    assert result.text == events.text == "One.\n\nTwo."


async def test_a_schema_holds_for_the_last_message(model_server: StartModelServer) -> None:
    server = model_server(_stream(*_said("So:"), *_said('{"vote": 2}'), _end()))
    result = await _run(server, turn("Vote.", output_schema={"type": "object"}))
    assert result.structured == {"vote": 2}


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("server_error", "Sorry about that.", ServerFailed),
        ("rate_limit_exceeded", "Too many.", RateLimited),
        ("invalid_prompt", "Not allowed.", BadRequest),
        ("image_too_large", "Too large.", BadRequest),
        ("context_length_exceeded", "Too long.", ContextOverflow),
        (None, "Input exceeds the context window of this model.", ContextOverflow),
        ("unheard_of", "Who knows.", ServerFailed),
    ],
)
async def test_a_response_that_failed_is_the_error_that_it_names(
    model_server: StartModelServer, code: str | None, message: str, expected: type[AgentError]
) -> None:
    told = {"code": code, "message": message}
    failed = {"type": "response.failed", "response": {"status": "failed", "error": told}}
    plain = {"type": "error", **told, "param": None, "sequence_number": 3}
    wrapped = {"type": "error", "error": {**told, "type": "invalid_request_error"}}
    endings = (failed, plain) if expected is ServerFailed else (failed, plain, wrapped)
    for ending in endings:
        server = model_server(_stream(*_said("Half."), ending))
        with pytest.raises(AgentError, match=message) as caught:
            await _run(server, turn("Speak."))
        assert type(caught.value) is expected
        assert "(model 'scripted')" in str(caught.value)


async def test_a_stream_without_its_end_is_truncated(model_server: StartModelServer) -> None:
    with pytest.raises(Truncated):
        await _run(model_server(_stream(*_said("Half."))), turn("Speak."))


@pytest.mark.parametrize(
    "event", [{"type": "response.output_text.delta"}, {"no": "type"}, ["no", "object"]]
)
async def test_an_event_without_its_form_is_told(
    model_server: StartModelServer, event: Any
) -> None:
    body = f"data: {json.dumps(event)}\n\n"
    server = model_server(HttpError(status=200, body=body, content_type="text/event-stream"))
    with pytest.raises(ProtocolFailed, match="no event of a response"):
        await _run(server, turn("Speak."))


async def test_what_only_a_tool_of_its_own_could_do_is_refused(
    model_server: StartModelServer,
) -> None:
    server = model_server(_stream(_item("computer_call", id="cu_1"), _end()))
    with pytest.raises(UnsupportedContent, match="'computer_call'"):
        await _run(server, turn("Click."))


async def test_a_tool_of_the_provider_that_failed_is_told(model_server: StartModelServer) -> None:
    failed = _item("image_generation_call", id="ig_1", error={"message": "Moderated."})
    server = model_server(_stream(failed, *_said("I could not."), _end()))
    events = collect()
    result = await _run(server, turn("Draw."), events)
    assert [line.text for line in events.of(LogLine)] == [
        "image_generation_call failed: Moderated."
    ]
    assert result.message == assistant("I could not.")
