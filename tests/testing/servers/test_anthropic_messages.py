"""Every kind of answer in the Anthropic Messages protocol, as bytes on the wire."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from testing.servers.plain_http import Answer, Event, events_of, post

from massgen_bridge.testing.servers import (
    AutoToolCall,
    Drip,
    ModelServer,
    Refusal,
    Structured,
    Text,
    ToolCalls,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = {"anthropic-version": "2023-06-01"}
TOOL = {
    "name": "lookup",
    "description": "Looks something up.",
    "input_schema": {
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["query"],
    },
}
VERDICT = {
    "type": "object",
    "properties": {"vote": {"type": "string", "enum": ["red", "blue"]}},
    "required": ["vote"],
    "additionalProperties": False,
}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def send(server: ModelServer, text: str = "Hello there", **more: Any) -> Answer:
    body = {
        "model": "m",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": text}],
        **more,
    }
    answer = post(server, "/v1/messages", body, headers=VERSION)
    assert answer.status == 200, answer.body
    return answer


def ask(server: ModelServer, text: str = "Hello there", **more: Any) -> Any:
    return send(server, text, **more).json


def stream(server: ModelServer, text: str = "Hello there", **more: Any) -> list[Event]:
    answer = send(server, text, stream=True, **more)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = events_of(answer.body)
    assert [event.json["type"] for event in events] == [event.name for event in events]
    return events


def deltas(events: list[Event]) -> list[dict[str, Any]]:
    return [event.json["delta"] for event in events if event.name == "content_block_delta"]


def texts(events: list[Event]) -> list[str]:
    return [delta["text"] for delta in deltas(events) if delta["type"] == "text_delta"]


def last_delta(events: list[Event]) -> dict[str, Any]:
    (event,) = (event.json for event in events if event.name == "message_delta")
    changed: dict[str, Any] = event["delta"]
    return changed


def test_text_is_answered_whole(server: ModelServer) -> None:
    server.enqueue(Text("Two words"))
    answer = send(server)
    message = answer.json
    assert message["content"] == [{"type": "text", "text": "Two words"}]
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", "m")
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert message["usage"]["output_tokens"] == 2
    assert message["usage"]["input_tokens"] > 0
    assert message["id"].startswith("msg_")
    assert answer.headers["request-id"].startswith("req_")


def test_text_is_streamed_a_token_at_a_time(server: ModelServer) -> None:
    server.enqueue(Text("Grüße an  alle\n"))
    events = stream(server)
    assert [name for name, _ in groupby(event.name for event in events)] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert texts(events) == ["Grüße", " an", "  alle", "\n"]
    started = events[0].json["message"]
    assert (started["content"], started["stop_reason"]) == ([], None)
    assert started["usage"]["input_tokens"] > 0
    assert events[2].json["content_block"] == {"type": "text", "text": ""}
    assert last_delta(events) == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2].json["usage"]["output_tokens"] == 4


def test_an_empty_text_is_no_block(server: ModelServer) -> None:
    server.enqueue(Text(""), Text(""))
    assert ask(server)["content"] == []
    names = [event.name for event in stream(server)]
    assert names == ["message_start", "ping", "message_delta", "message_stop"]


def test_reasoning_is_a_signed_block_before_the_text(server: ModelServer) -> None:
    thoughtful = Text("Tea.", reasoning="Hm, let me think.")
    server.enqueue(thoughtful, thoughtful)
    thinking, text = ask(server)["content"]
    assert (thinking["type"], thinking["thinking"]) == ("thinking", "Hm, let me think.")
    assert thinking["signature"]
    assert text == {"type": "text", "text": "Tea."}
    events = stream(server)
    starts = [event.json for event in events if event.name == "content_block_start"]
    assert [(start["index"], start["content_block"]["type"]) for start in starts] == [
        (0, "thinking"),
        (1, "text"),
    ]
    kinds = [delta["type"] for delta in deltas(events)]
    assert kinds == ["thinking_delta"] * 4 + ["signature_delta", "text_delta"]
    assert "".join(delta.get("thinking", "") for delta in deltas(events)) == "Hm, let me think."
    assert deltas(events)[4]["signature"] == thinking["signature"]
    usage = events[-2].json["usage"]
    assert (usage["output_tokens"], usage["output_tokens_details"]) == (5, {"thinking_tokens": 4})


def test_usage_tells_the_cache_apart(server: ModelServer) -> None:
    usage = Usage(
        input_tokens=100,
        output_tokens=20,
        cached_tokens=60,
        cache_write_tokens=30,
        reasoning_tokens=5,
    )
    server.enqueue(Text("a b c", usage=usage), Text("a b c", usage=usage))
    expected = {
        "input_tokens": 10,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
        "service_tier": "standard",
    }
    assert ask(server)["usage"] == expected
    events = stream(server)
    assert events[0].json["message"]["usage"] == expected
    assert events[-2].json["usage"] == expected


def test_usage_can_be_missing(server: ModelServer) -> None:
    server.enqueue(Text("a", usage="absent"), Text("a", usage="absent"))
    assert ask(server)["usage"] == {}
    events = stream(server)
    assert (events[0].json["message"]["usage"], events[-2].json["usage"]) == ({}, {})


def test_prompt_tokens_grow_with_the_prompt(server: ModelServer) -> None:
    short, long, told = ask(server, "a"), ask(server, "a" * 4000), ask(server, "a", system="b" * 40)
    assert long["usage"]["input_tokens"] - short["usage"]["input_tokens"] == 999
    assert told["usage"]["input_tokens"] - short["usage"]["input_tokens"] == 10


@pytest.mark.parametrize(
    ("answer", "limit", "content"),
    [
        (Text("one two three"), 2, [{"type": "text", "text": "one two"}]),
        (
            Text("Tea.", reasoning="Let me think"),
            2,
            [{"type": "thinking", "thinking": "Let me", "signature": ""}],
        ),
        (ToolCalls(("lookup", {"query": "Tee"}), text="So:"), 1, [{"type": "text", "text": "So:"}]),
    ],
)
def test_an_answer_keeps_to_the_limit_of_tokens(
    server: ModelServer, answer: Text | ToolCalls, limit: int, content: Any
) -> None:
    server.enqueue(answer, answer)
    message = ask(server, max_tokens=limit)
    assert (message["content"], message["stop_reason"]) == (content, "max_tokens")
    assert message["usage"]["output_tokens"] == limit
    events = stream(server, max_tokens=limit)
    assert len(deltas(events)) == limit
    assert last_delta(events)["stop_reason"] == "max_tokens"
    opened = [event.json["index"] for event in events if event.name == "content_block_start"]
    closed = [event.json["index"] for event in events if event.name == "content_block_stop"]
    assert opened == closed == [0]


def test_a_call_that_is_cut_off_has_no_input(server: ModelServer) -> None:
    server.enqueue(ToolCalls(("lookup", {"query": "Tee"})))
    (call,) = ask(server, max_tokens=2)["content"]
    assert (call["name"], call["input"]) == ("lookup", {})


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("pause", "pause_turn"),
        ("context_window", "model_context_window_exceeded"),
    ],
)
def test_the_finish_reason_can_be_given(server: ModelServer, reason: Any, told: str) -> None:
    server.enqueue(Text("cut", finish_reason=reason), Text("cut", finish_reason=reason))
    assert ask(server)["stop_reason"] == told
    assert last_delta(stream(server))["stop_reason"] == told


def test_a_stop_sequence_is_named(server: ModelServer) -> None:
    server.enqueue(*[Text("cut", finish_reason="stop_sequence")] * 2)
    message = ask(server, stop_sequences=["END"])
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    assert last_delta(stream(server)) == {"stop_reason": "stop_sequence", "stop_sequence": None}


def test_a_refusal_is_a_reason_to_stop(server: ModelServer) -> None:
    server.enqueue(Refusal("I will not."), Refusal("I will not."))
    message = ask(server)
    assert message["stop_reason"] == "refusal"
    assert message["stop_details"]["type"] == "refusal"
    assert message["content"] == [{"type": "text", "text": "I will not."}]
    events = stream(server)
    assert "".join(texts(events)) == "I will not."
    assert last_delta(events)["stop_details"]["type"] == "refusal"


def test_tool_calls_are_answered_whole(server: ModelServer) -> None:
    calls = ToolCalls(("lookup", {"query": "Tee?"}), ("lookup", ""), text="Let me see.")
    server.enqueue(calls, calls)
    first, second = ask(server, tools=[TOOL]), ask(server, tools=[TOOL])
    assert first["stop_reason"] == "tool_use"
    text, *uses = first["content"]
    assert text == {"type": "text", "text": "Let me see."}
    assert [(use["type"], use["name"], use["input"]) for use in uses] == [
        ("tool_use", "lookup", {"query": "Tee?"}),
        ("tool_use", "lookup", {}),
    ]
    assert len({use["id"] for use in uses + second["content"][1:]}) == 4


def test_tool_calls_are_streamed_in_pieces(server: ModelServer) -> None:
    server.enqueue(ToolCalls(("lookup", {"query": "größer"}), ("other", ""), reasoning="Hm"))
    events = stream(server)
    starts = [event.json for event in events if event.name == "content_block_start"]
    assert [start["content_block"].get("name") for start in starts] == [None, "lookup", "other"]
    assert starts[1]["content_block"]["input"] == {}
    ids = [start["content_block"]["id"] for start in starts[1:]]
    assert len(set(ids)) == 2
    assert all(call_id.startswith("toolu_") for call_id in ids)
    arguments: dict[int, str] = {1: "", 2: ""}
    for event in events:
        if event.name == "content_block_delta" and event.json["index"]:
            arguments[event.json["index"]] += event.json["delta"]["partial_json"]
    assert arguments == {1: '{"query":"größer"}', 2: ""}
    assert last_delta(events)["stop_reason"] == "tool_use"


def test_arguments_that_are_no_json_are_passed_on(server: ModelServer) -> None:
    server.enqueue(ToolCalls(("lookup", '{"query": ')), ToolCalls(("lookup", '{"query": ')))
    assert ask(server)["content"][0]["input"] == '{"query": '
    pieces = [delta["partial_json"] for delta in deltas(stream(server))]
    assert "".join(pieces) == '{"query": '


def test_a_structured_value_is_the_text(server: ModelServer) -> None:
    server.enqueue(Structured({"vote": "blue"}))
    assert ask(server)["content"] == [{"type": "text", "text": '{"vote":"blue"}'}]


def test_without_a_script_a_schema_is_satisfied(server: ModelServer) -> None:
    wanted = {"format": {"type": "json_schema", "schema": VERDICT}}
    assert ask(server, output_config=wanted)["content"][0]["text"] == '{"vote":"red"}'
    assert "".join(texts(stream(server, output_config=wanted))) == '{"vote":"red"}'


@pytest.mark.parametrize("text", ["Hallo Welt", "a\u2028b\x00c\n\nd", "日本語 🙂", "\x00" * 20])
def test_without_a_script_the_last_text_comes_back(server: ModelServer, text: str) -> None:
    assert ask(server, text)["content"][0]["text"] == text
    assert "".join(texts(stream(server, text))) == text


def test_automatic_tool_calls_differ_and_end_with_the_result(server: ModelServer) -> None:
    server.enqueue(AutoToolCall(), AutoToolCall(name="lookup", again=True), AutoToolCall())
    messages: list[Any] = [{"role": "user", "content": "go"}]
    seen = []
    for _ in range(2):
        (call,) = ask(server, messages=messages, tools=[TOOL])["content"]
        seen.append(call["input"])
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "found it"}
        messages += [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ]
    assert seen == [{"query": "text 1", "limit": 1}, {"query": "text 2", "limit": 2}]
    last = ask(server, messages=messages, tools=[TOOL])
    assert last["content"] == [{"type": "text", "text": "found it"}]


def test_tools_of_the_provider_are_not_called(server: ModelServer) -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    server.enqueue(AutoToolCall())
    (call,) = ask(server, tools=[search, TOOL])["content"]
    assert call["name"] == "lookup"


def test_a_dripping_stream_is_whole(server: ModelServer) -> None:
    server.enqueue(Drip(answer=Text("Grüße 🙂"), bytes_per_write=3, pause_s=0.0001))
    assert "".join(texts(stream(server))) == "Grüße 🙂"


def test_the_models_are_listed_as_the_client_knows_it() -> None:
    with ModelServer({"a": Text("x")}, models=["b"]) as server:
        listed = post(server, "/v1/models", headers=VERSION, method="GET").json
        assert [(model["type"], model["id"]) for model in listed["data"]] == [
            ("model", "a"),
            ("model", "b"),
        ]
        assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a", "b", False)
        others = post(server, "/v1/models", method="GET").json
        assert [model["object"] for model in others["data"]] == ["model", "model"]


def test_both_protocols_share_a_port_a_script_and_a_record() -> None:
    with ModelServer([Text("one"), Text("two")]) as server:
        first = ask(server)["content"][0]["text"]
        chat = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        second = post(server, "/v1/chat/completions", chat).json["choices"][0]["message"]
        asked = [request.asked for request in server.requests]
    assert (first, second["content"]) == ("one", "two")
    assert [one and one.protocol for one in asked] == ["messages", "chat_completions"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-api-key": "right"}, 200),
        ({"authorization": "Bearer right"}, 200),
        ({"x-api-key": "wrong"}, 401),
        ({}, 401),
    ],
)
def test_only_the_right_key_is_let_in(headers: dict[str, str], status: int) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    with ModelServer(api_key="right") as server:
        answer = post(server, "/v1/messages", body, headers=VERSION | headers)
    assert answer.status == status
    if status == 401:
        assert answer.json["error"]["type"] == "authentication_error"
