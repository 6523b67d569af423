"""Streams as the servers that speak the protocol really send them."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from massgen_bridge_openai import bridge_adapters

from massgen_bridge import (
    ProtocolFailed,
    Quirks,
    ReasoningDelta,
    ServerFailed,
    StopReason,
    ToolCall,
    Truncated,
    TurnResult,
    Usage,
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
from massgen_bridge.testing.servers import HttpError, Text

pytestmark = pytest.mark.anyio


def _sse(*chunks: Any, done: str = "data: [DONE]\n\n") -> HttpError:
    """A stream of these chunks, whatever they are."""
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + done
    return HttpError(status=200, body=body, content_type="text/event-stream")


def _delta(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _call(index: int | None, call_id: str | None, name: str | None, text: str) -> dict[str, Any]:
    piece = {"index": index, "id": call_id, "function": {"name": name, "arguments": text}}
    return _delta(tool_calls=[{key: value for key, value in piece.items() if value is not None}])


async def _answer(server: Any, events: EventLog | None = None, **more: Any) -> TurnResult:
    return await run_turn(
        bridge_adapters()[0], turn("Speak.", **more), connection_to(server), events
    )


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("stop", "end"),
        ("eos", "end"),
        ("end_turn", "end"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("content_filter", "refusal"),
    ],
)
async def test_each_word_for_a_stop_is_understood(
    model_server: StartModelServer,
    finish: str,
    expected: StopReason,
) -> None:
    server = model_server(_sse(_delta(content="a"), _delta(finish, content="b")))
    result = await _answer(server)
    assert (result.text, result.stop_reason) == ("ab", expected)


@pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource"])
async def test_a_server_that_gives_up_is_no_success(
    model_server: StartModelServer,
    finish: str,
) -> None:
    with pytest.raises(ServerFailed, match=finish):
        await _answer(model_server(_sse(_delta(content="a"), _delta(finish))))


async def test_an_end_marker_without_a_reason_to_stop_is_no_end(
    model_server: StartModelServer,
) -> None:
    with pytest.raises(Truncated):
        await _answer(model_server(_sse(_delta(content="a"))))


async def test_a_reason_to_stop_is_an_end_without_the_marker(
    model_server: StartModelServer,
) -> None:
    result = await _answer(model_server(_sse(_delta("stop", content="a"), done="")))
    assert result.text == "a"


@pytest.mark.parametrize(
    "body", ["<html>It works!</html>", '{"choices": [{"message": {"content": "a"}}]}', ""]
)
async def test_an_answer_that_is_no_stream_is_no_success(
    model_server: StartModelServer,
    body: str,
) -> None:
    with pytest.raises(ProtocolFailed):
        await _answer(model_server(HttpError(status=200, body=body)))


@pytest.mark.parametrize(
    "chunk",
    [
        17,
        "text",
        ["choices"],
        {"choices": 3},
        {"choices": [None]},
        {"choices": {"index": 0}},
        {"choices": [{"delta": "text"}]},
        {"choices": [{"delta": {"content": {"text": "a"}}}]},
        {"choices": [{"delta": {"content": [{"type": "text", "text": "a"}]}}]},
        {"choices": [{"delta": {"tool_calls": ["look"]}}]},
        {"choices": [], "usage": {"prompt_tokens": -1}},
        {"choices": [], "usage": {"prompt_tokens": "many"}},
    ],
)
async def test_a_chunk_in_another_form_is_told_as_such(
    model_server: StartModelServer,
    chunk: Any,
) -> None:
    with pytest.raises(ProtocolFailed):
        await _answer(model_server(_sse(chunk, _delta("stop", content="a"))))


async def test_parts_that_are_left_out_or_null_are_no_trouble(
    model_server: StartModelServer,
) -> None:
    server = model_server(
        _sse(
            {"id": "x"},
            {"choices": None, "usage": None},
            {"choices": [{"delta": None}]},
            {"choices": [{}]},
            _delta(role="assistant", content=None, tool_calls=None, refusal=None),
            _delta(content="a"),
            {"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 3}},
        )
    )
    result = await _answer(server)
    assert result.text == "a"
    assert result.usage == Usage(input_tokens=3, calls=1)


async def test_usage_may_come_with_every_chunk(
    model_server: StartModelServer,
) -> None:
    counted = [{"prompt_tokens": 9, "completion_tokens": n} for n in (1, 2)]
    chunks = [_delta(content="a"), _delta("stop", content="b")]
    server = model_server(
        _sse(*(chunk | {"usage": usage} for chunk, usage in zip(chunks, counted, strict=True)))
    )
    assert (await _answer(server)).usage == Usage(input_tokens=9, output_tokens=2, calls=1)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
async def test_reasoning_is_told_apart_from_the_answer(
    model_server: StartModelServer,
    key: str,
) -> None:
    chunks = (_delta(**{key: "Hm, "}), _delta(**{key: "so."}), _delta("stop", content="Yes."))
    events = collect()
    result = await _answer(model_server(_sse(*chunks)), events)
    assert result.text == events.text == "Yes."
    assert [event.text for event in events.of(ReasoningDelta)] == ["Hm, ", "so."]


@pytest.mark.parametrize(
    ("field", "sent_back"),
    [
        ("reasoning_content", {"reasoning_content": "I must look. Now."}),
        ("reasoning", {"reasoning": "I must look. Now."}),
        (None, {}),
    ],
)
async def test_reasoning_before_a_tool_call_goes_back_as_the_provider_takes_it(
    field: Literal["reasoning_content", "reasoning"] | None,
    sent_back: dict[str, str],
    model_server: StartModelServer,
) -> None:
    name = field or "reasoning"
    thinking = (_delta(**{name: "I must look. "}), _delta(**{name: "Now."}))
    call = _call(0, "c1", "lookup", '{"query": "x", "limit": 1}')
    server = model_server([_sse(*thinking, call, _delta("tool_calls")), Text("Done.")])
    asked = turn("Speak.", tools=[LOOKUP], call_tool=ScriptedTools("found"))
    agent = make_agent(
        bridge_adapters()[0], {}, connection_to(server, quirks=Quirks(reasoning_field=field))
    )
    assert (await agent.run(asked, collect())).text == "Done."
    await agent.aclose()
    sent = server.requests[1].body["messages"][1]
    assert {key: sent[key] for key in sent if key.startswith("reasoning")} == sent_back


CALLS: dict[str, list[dict[str, Any]]] = {
    "usual": [
        _call(0, "c1", "lookup", ""),
        _call(0, None, None, '{"query": "a", '),
        _call(0, None, None, '"limit": 1}'),
        _call(1, "c2", "lookup", '{"query": "b", "limit": 2}'),
    ],
    "interleaved": [
        _call(0, "c1", "lookup", '{"query": "a", '),
        _call(1, "c2", "lookup", '{"query": "b", '),
        _call(0, None, None, '"limit": 1}'),
        _call(1, None, None, '"limit": 2}'),
    ],
    "same-index": [
        _call(0, "c1", "lookup", '{"query": "a", "limit": 1}'),
        _call(0, "c2", "lookup", '{"query": "b", "limit": 2}'),
    ],
    "no-index": [
        _call(None, "c1", "lookup", '{"query": "a", '),
        _call(None, None, None, '"limit": 1}'),
        _call(None, "c2", "lookup", '{"query": "b", "limit": 2}'),
    ],
    "id-repeated": [
        _call(0, "c1", "lookup", '{"query": "a", '),
        _call(0, "c1", "lookup", '"limit": 1}'),
        _call(1, "c2", "lookup", '{"query": "b", '),
        _call(1, "c2", None, '"limit": 2}'),
    ],
    "id-changing": [
        _call(0, "c1", "lookup", '{"query": "a", '),
        _call(0, "x1", None, '"limit": 1}'),
        _call(1, "c2", "lookup", '{"query": "b", '),
        _call(1, "x2", None, '"limit": 2}'),
    ],
}


@pytest.mark.parametrize("pieces", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
async def test_calls_are_put_together_however_they_are_cut(
    model_server: StartModelServer,
    pieces: list[dict[str, Any]],
    finish: str,
) -> None:
    tools = ScriptedTools("found")
    server = model_server([_sse(*pieces, _delta(finish)), Text("Done.")])
    await _answer(server, tools=[LOOKUP], call_tool=tools)
    assert tools.calls == [
        ToolCall(call_id="c1", name="lookup", arguments={"query": "a", "limit": 1}),
        ToolCall(call_id="c2", name="lookup", arguments={"query": "b", "limit": 2}),
    ]


async def test_calls_without_an_id_get_one_each(
    model_server: StartModelServer,
) -> None:
    tools = ScriptedTools("found")
    pieces = (_call(index, None, "lookup", "{}") for index in range(2))
    server = model_server([_sse(*pieces, _delta("tool_calls")), Text("Done.")])
    await _answer(server, tools=[LOOKUP], call_tool=tools)
    ids = [call.call_id for call in tools.calls]
    assert len(set(ids)) == 2
    sent = [m["tool_call_id"] for m in server.requests[1].body["messages"] if m["role"] == "tool"]
    assert sent == ids


async def test_a_call_without_a_name_is_no_call(
    model_server: StartModelServer,
) -> None:
    server = model_server(_sse(_call(0, "c1", None, "{}"), _delta("tool_calls")))
    with pytest.raises(ProtocolFailed, match="without a name"):
        await _answer(server, tools=[LOOKUP], call_tool=ScriptedTools())


@pytest.mark.parametrize(
    ("text", "arguments", "malformed"),
    [
        ("", {}, None),
        ("  ", {}, None),
        ("{}", {}, None),
        ("[1]", {}, "[1]"),
        ('"x"', {}, '"x"'),
        ("null", {}, "null"),
        ("{'a': 1}", {}, "{'a': 1}"),
        ('{"a": 1} {', {}, '{"a": 1} {'),
    ],
)
async def test_only_a_json_object_is_taken_for_arguments(
    model_server: StartModelServer,
    text: str,
    arguments: dict[str, Any],
    malformed: str | None,
) -> None:
    tools = ScriptedTools("found")
    server = model_server([_sse(_call(0, "c1", "lookup", text), _delta("stop")), Text("Done.")])
    await _answer(server, tools=[LOOKUP], call_tool=tools)
    (call,) = tools.calls
    assert (call.arguments, call.malformed) == (arguments, malformed)
