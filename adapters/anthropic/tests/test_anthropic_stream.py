"""Streams as the servers that speak the protocol really send them."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic_streams import COUNTED, Event, begin, block, end, sse, text
from massgen_bridge_anthropic import bridge_adapters

from massgen_bridge import (
    ProtocolFailed,
    ReasoningDelta,
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
    run_turn,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import HttpError, ModelServer, Text

pytestmark = pytest.mark.anyio


def _thinking(index: int, *pieces: str, signature: str = "signed") -> list[Event]:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    sign = {"type": "signature_delta", "signature": signature}
    return block(index, "thinking", *deltas, sign, thinking="", signature="")


def _call(
    index: int, call_id: str, *pieces: str, name: str = "lookup", **start: Any
) -> list[Event]:
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(index, "tool_use", *deltas, **{"id": call_id, "name": name, "input": {}, **start})


async def _answer(server: ModelServer, events: EventLog | None = None, **more: Any) -> TurnResult:
    return await run_turn(
        bridge_adapters()[0],
        turn("Speak.", **more),
        connection_to(server, protocol="messages"),
        events,
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "end"),
        ("stop_sequence", "end"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
        ("yet_to_be_invented", "end"),
    ],
)
async def test_each_word_for_a_stop_is_understood(
    model_server: StartModelServer, reason: str, expected: StopReason
) -> None:
    server = model_server(sse(begin(), *text(0, "a", "b"), *end(reason)))
    result = await _answer(server)
    assert (result.text, result.stop_reason) == ("ab", expected)


async def test_a_refusal_without_words_says_what_the_provider_explains(
    model_server: StartModelServer,
) -> None:
    details = {"type": "refusal", "category": None, "explanation": "I may not."}
    server = model_server(sse(begin(), *end("refusal", stop_details=details)))
    events = collect()
    result = await _answer(server, events)
    assert (result.text, result.stop_reason) == ("I may not.", "refusal")
    assert events.text == "I may not."


async def test_an_end_without_a_reason_to_stop_is_no_end(model_server: StartModelServer) -> None:
    server = model_server(sse(begin(), *text(0, "a"), *end(None)))
    with pytest.raises(Truncated):
        await _answer(server)


async def test_a_reason_to_stop_is_an_end_without_the_marker(
    model_server: StartModelServer,
) -> None:
    server = model_server(sse(begin(), *text(0, "a"), end()[0]))
    assert (await _answer(server)).text == "a"


@pytest.mark.parametrize("body", ["<html>It works!</html>", '{"type": "message"}', ""])
async def test_an_answer_that_is_no_stream_is_no_success(
    model_server: StartModelServer, body: str
) -> None:
    with pytest.raises(ProtocolFailed):
        await _answer(model_server(HttpError(status=200, body=body)))


@pytest.mark.parametrize(
    "event",
    [
        17,
        "text",
        ["message_start"],
        {"type": "message_start"},
        {"type": "message_delta"},
        {"type": "content_block_start", "index": 0},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 7}},
        {"type": "content_block_delta", "index": 0, "delta": "text"},
        {"type": "message_delta", "delta": {}, "usage": "many"},
        {"type": "message_delta", "delta": {}, "usage": {"input_tokens": -1}},
        _call(1, "c1", name="")[0],
    ],
)
async def test_an_event_in_another_form_is_told_as_such(
    model_server: StartModelServer, event: Any
) -> None:
    begun = text(0, "a")[:2]
    with pytest.raises(ProtocolFailed):
        await _answer(model_server(sse(*begun, event, *end())))


async def test_events_that_are_yet_to_be_invented_are_no_trouble(
    model_server: StartModelServer,
) -> None:
    server = model_server(
        sse(
            {"type": "ping"},
            begin(),
            {"type": "weather", "delta": None},
            *text(0, "a", citations=None),
            *block(1, "hologram", {"type": "light_delta", "light": 7}),
            *end(usage=COUNTED),
        )
    )
    assert (await _answer(server)).text == "a"


async def test_text_may_stand_in_several_blocks_and_in_their_beginnings(
    model_server: StartModelServer,
) -> None:
    events = collect()
    server = model_server(sse(begin(), *text(0, "b", "", "c", text="a"), *text(1, "d"), *end()))
    result = await _answer(server, events)
    assert result.text == events.text == "abcd"


@pytest.mark.parametrize(
    ("started", "ended", "expected"),
    [
        (
            {
                "input_tokens": 10,
                "cache_creation_input_tokens": 200,
                "cache_read_input_tokens": 3000,
                "output_tokens": 1,
            },
            {"output_tokens": 40, "output_tokens_details": {"thinking_tokens": 30}},
            Usage(
                input_tokens=3210,
                cached_tokens=3000,
                cache_write_tokens=200,
                output_tokens=40,
                reasoning_tokens=30,
                calls=1,
            ),
        ),
        (
            {"input_tokens": 0, "output_tokens": 0},
            {"input_tokens": 7, "cache_read_input_tokens": None, "output_tokens": 2},
            Usage(input_tokens=7, output_tokens=2, calls=1),
        ),
        (
            {"input_tokens": 5, "output_tokens": 1},
            None,
            Usage(input_tokens=5, output_tokens=1, calls=1),
        ),
        ({"output_tokens": 1}, {"output_tokens": 2}, None),
    ],
)
async def test_usage_is_what_was_told_last_with_all_of_the_prompt(
    model_server: StartModelServer, started: Any, ended: Any, expected: Usage | None
) -> None:
    server = model_server(sse(begin(usage=started), *text(0, "a"), *end(usage=ended)))
    assert (await _answer(server)).usage == expected


async def test_thinking_is_told_apart_from_the_answer(model_server: StartModelServer) -> None:
    events = collect()
    server = model_server(sse(begin(), *_thinking(0, "Hm, ", "so."), *text(1, "Yes."), *end()))
    result = await _answer(server, events)
    assert result.text == events.text == "Yes."
    assert [event.text for event in events.of(ReasoningDelta)] == ["Hm, ", "so."]


async def test_what_the_model_said_before_a_call_goes_back_unchanged(
    model_server: StartModelServer,
) -> None:
    """Thinking is signed, and some of it cannot be read; the provider checks both."""
    cited = {"type": "char_location", "cited_text": "x"}
    server = model_server(
        [
            sse(
                begin(),
                *_thinking(0, "I must ", "look.", signature="c2lnbmVk"),
                *block(1, "redacted_thinking", data="b3BhcXVl"),
                *block(
                    2,
                    "text",
                    {"type": "text_delta", "text": "Let me see."},
                    {"type": "citations_delta", "citation": cited},
                    text="",
                ),
                *text(3, "\n"),
                *_call(4, "c1", '{"query": "x", ', '"limit": 1}'),
                *end("tool_use"),
            ),
            Text("Done."),
        ],
        strict=False,  # it knows its own signatures only
    )
    result = await _answer(server, tools=[LOOKUP], call_tool=ScriptedTools("found"))
    assert result.new_messages[0].text == "Let me see.\n"
    _, said, told = server.requests[1].body["messages"]
    assert said == {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "I must look.", "signature": "c2lnbmVk"},
            {"type": "redacted_thinking", "data": "b3BhcXVl"},
            {"type": "text", "text": "Let me see.", "citations": [cited]},
            {
                "type": "tool_use",
                "id": "c1",
                "name": "lookup",
                "input": {"query": "x", "limit": 1},
            },
        ],
    }
    assert told["content"] == [{"type": "tool_result", "tool_use_id": "c1", "content": "found"}]


async def test_a_pause_is_followed_by_the_rest(model_server: StartModelServer) -> None:
    """The provider's own tools may take long; what they have given so far goes back as it is."""
    search = {"id": "s1", "name": "web_search", "input": {}}
    query = {"type": "input_json_delta", "partial_json": '{"query": "x"}'}
    found = [{"type": "web_search_result", "url": "https://a.example", "encrypted_content": "e"}]
    server = model_server(
        [
            sse(
                begin(),
                *text(0, "Searching. "),
                *block(1, "server_tool_use", query, **search),
                *end("pause_turn"),
            ),
            sse(
                begin(),
                *block(0, "web_search_tool_result", tool_use_id="s1", content=found),
                *end("pause_turn"),
            ),
            Text("Found."),
        ],
        strict=False,  # to it, this is a prefilled answer
    )
    result = await _answer(server)
    assert [message.text for message in result.new_messages] == ["Searching. ", "Found."]
    assert result.usage is not None
    assert result.usage.calls == 3
    asked, paused = server.requests[2].body["messages"]
    assert asked["role"] == "user"
    assert paused == {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Searching. "},
            {"type": "server_tool_use", **search, "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "s1", "content": found},
        ],
    }


CALLS: dict[str, list[Event]] = {
    "usual": [
        *_call(0, "c1", "", '{"query": "a", ', '"limit": 1}'),
        *_call(1, "c2", '{"query": "b", "limit": 2}'),
    ],
    "interleaved": [
        event
        for pair in zip(
            _call(0, "c1", '{"query": "a", ', '"limit": 1}'),
            _call(1, "c2", '{"query": "b", ', '"limit": 2}'),
            strict=True,
        )
        for event in pair
    ],
    "at-once": [
        *_call(0, "c1", input={"query": "a", "limit": 1}),
        *_call(1, "c2", input={"query": "b", "limit": 2}),
    ],
}


@pytest.mark.parametrize("blocks", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("reason", ["tool_use", "end_turn"])
async def test_calls_are_put_together_however_they_are_cut(
    model_server: StartModelServer, blocks: list[Event], reason: str
) -> None:
    tools = ScriptedTools("found")
    server = model_server([sse(begin(), *blocks, *end(reason)), Text("Done.")])
    await _answer(server, tools=[LOOKUP], call_tool=tools)
    assert tools.calls == [
        ToolCall(call_id="c1", name="lookup", arguments={"query": "a", "limit": 1}),
        ToolCall(call_id="c2", name="lookup", arguments={"query": "b", "limit": 2}),
    ]


@pytest.mark.parametrize(
    ("text", "arguments", "malformed"),
    [
        ("", {}, None),
        ("{}", {}, None),
        ("[1]", {}, "[1]"),
        ("null", {}, "null"),
        ('{"a": 1} {', {}, '{"a": 1} {'),
    ],
)
async def test_only_a_json_object_is_taken_for_arguments(
    model_server: StartModelServer, text: str, arguments: dict[str, Any], malformed: str | None
) -> None:
    tools = ScriptedTools("found")
    server = model_server([sse(begin(), *_call(0, "c1", text), *end()), Text("Done.")])
    await _answer(server, tools=[LOOKUP], call_tool=tools)
    (call,) = tools.calls
    assert (call.arguments, call.malformed) == (arguments, malformed)
    expected = arguments if malformed is None else {"malformed": malformed}
    assert server.requests[1].body["messages"][1]["content"][0]["input"] == expected
