"""Every kind of answer, read by the real OpenAI SDK."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from openai import BadRequestError, OpenAI
from pydantic import BaseModel

from massgen_bridge.testing.servers import (
    AutoToolCall,
    Drip,
    Echo,
    ModelServer,
    Refusal,
    Structured,
    Text,
    ToolCalls,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types.chat import (
        ChatCompletion,
        ChatCompletionChunk,
        ChatCompletionMessageParam,
        ChatCompletionToolParam,
    )

TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "lookup",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["query"],
        },
    },
}


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Verdict(BaseModel):
    vote: Colour
    reason: str


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def client(server: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url, api_key="test-key", max_retries=0, timeout=10) as made:
        yield made


def ask(client: OpenAI, text: str = "Hello there", **options: Any) -> ChatCompletion:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": text}]
    answer: ChatCompletion = client.chat.completions.create(model="m", messages=messages, **options)
    return answer


def stream(
    client: OpenAI, text: str = "Hello there", *, model: str = "m", **options: Any
) -> list[ChatCompletionChunk]:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": text}]
    return list(
        client.chat.completions.create(model=model, messages=messages, stream=True, **options)
    )


def texts(chunks: list[ChatCompletionChunk]) -> list[str]:
    deltas = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    return [text for text in deltas if text]


def test_text_is_answered_whole(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Text("Two words"))
    answer = ask(client)
    assert answer.choices[0].message.content == "Two words"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "m"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 2


def test_text_is_streamed_a_token_at_a_time(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Text("Grüße an  alle\n"))
    chunks = stream(client)
    assert texts(chunks) == ["Grüße", " an", "  alle", "\n"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert {chunk.usage for chunk in chunks} == {None}
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_pieces_of_a_stream_can_be_given(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Text("abc", chunks=("a", "", "bc")))
    chunks = stream(client)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "a", "", "bc", None]


def test_pieces_that_are_another_text_are_refused() -> None:
    with pytest.raises(ValueError, match="the chunks join to 'ab'; expected the text 'abc'"):
        Text("abc", chunks=("a", "b"))


def test_usage_ends_a_stream_that_asks_for_it(server: ModelServer, client: OpenAI) -> None:
    usage = Usage(input_tokens=100, output_tokens=20, cached_tokens=60, reasoning_tokens=5)
    server.enqueue(Text("a b c", usage=usage), Text("a b c"), Text("a b c", usage="absent"))
    with_usage: dict[str, Any] = {"stream_options": {"include_usage": True}}
    given = stream(client, **with_usage)[-1]
    assert given.choices == []
    assert given.usage is not None
    assert given.usage.prompt_tokens_details is not None
    assert given.usage.completion_tokens_details is not None
    assert (given.usage.prompt_tokens, given.usage.completion_tokens) == (100, 20)
    assert given.usage.prompt_tokens_details.cached_tokens == 60
    assert given.usage.completion_tokens_details.reasoning_tokens == 5
    counted = stream(client, **with_usage)[-1]
    assert counted.usage is not None
    assert counted.usage.completion_tokens == 3
    assert stream(client, **with_usage)[-1].usage is None


def test_usage_can_be_missing(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Text("a", usage="absent"))
    assert ask(client).usage is None


def test_prompt_tokens_grow_with_the_prompt(client: OpenAI) -> None:
    short, long = ask(client, "a"), ask(client, "a" * 4000)
    assert short.usage is not None
    assert long.usage is not None
    assert long.usage.prompt_tokens - short.usage.prompt_tokens == 999


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_keeps_to_the_limit_of_tokens(
    server: ModelServer, client: OpenAI, *, streamed: bool
) -> None:
    server.enqueue(Text("one two three"), Text("one two three"))
    for limit, text, reason in ((2, "one two", "length"), (3, "one two three", "stop")):
        if streamed:
            chunks = stream(client, max_completion_tokens=limit)
            assert ("".join(texts(chunks)), chunks[-1].choices[0].finish_reason) == (text, reason)
        else:
            choice = ask(client, max_tokens=limit).choices[0]
            assert (choice.message.content, choice.finish_reason) == (text, reason)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_the_finish_reason_can_be_given(server: ModelServer, client: OpenAI, reason: Any) -> None:
    server.enqueue(Text("cut", finish_reason=reason), Text("cut", finish_reason=reason))
    assert ask(client).choices[0].finish_reason == reason
    assert stream(client)[-1].choices[0].finish_reason == reason


def test_a_refusal_is_no_content(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Refusal("I will not."), Refusal("I will not."))
    message = ask(client).choices[0].message
    assert (message.content, message.refusal) == (None, "I will not.")
    deltas = [chunk.choices[0].delta for chunk in stream(client)]
    assert "".join(delta.refusal or "" for delta in deltas) == "I will not."
    assert {delta.content for delta in deltas} == {None}


def test_reasoning_comes_before_the_content(server: ModelServer, client: OpenAI) -> None:
    thoughtful = Text("Tea.", reasoning="Hm, let me think.")
    calling = ToolCalls(("lookup", {}), reasoning="Look.")
    server.enqueue(thoughtful, thoughtful, calling, Structured([1], reasoning="One."))
    whole = ask(client)
    message = whole.choices[0].message
    assert message.content == "Tea."
    assert message.model_dump()["reasoning_content"] == "Hm, let me think."
    assert whole.usage is not None
    assert whole.usage.completion_tokens_details is not None
    assert (whole.usage.completion_tokens, whole.usage.completion_tokens_details) == (
        5,
        whole.usage.completion_tokens_details.model_copy(update={"reasoning_tokens": 4}),
    )
    deltas = [chunk.choices[0].delta.model_dump() for chunk in stream(client)]
    assert [delta.get("reasoning_content") or delta["content"] for delta in deltas[1:-1]] == [
        "Hm,",
        " let",
        " me",
        " think.",
        "Tea.",
    ]
    called = ask(client, tools=[TOOL]).choices[0].message
    assert called.model_dump()["reasoning_content"] == "Look."
    assert called.tool_calls is not None
    assert ask(client).choices[0].message.content == "[1]"


def test_reasoning_counts_for_the_limit_of_tokens(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(*[Text("one two", reasoning="Let me think")] * 2)
    for limit, reasoning, text in ((2, "Let me", ""), (4, "Let me think", "one")):
        choice = ask(client, max_tokens=limit).choices[0]
        assert (choice.message.content, choice.finish_reason) == (text, "length")
        assert choice.message.model_dump()["reasoning_content"] == reasoning


@pytest.mark.parametrize("reason", ["pause", "stop_sequence", "context_window"])
def test_a_reason_that_the_protocol_has_no_word_for_is_told_as_another(
    server: ModelServer, client: OpenAI, reason: Any
) -> None:
    server.enqueue(Text("cut", finish_reason=reason))
    told = "length" if reason == "context_window" else "stop"
    assert ask(client).choices[0].finish_reason == told


def test_tool_calls_are_answered_whole(server: ModelServer, client: OpenAI) -> None:
    calls = ToolCalls(("lookup", {"query": "Tee?"}), ("lookup", "not json"), text="Let me see.")
    server.enqueue(calls, calls)
    first, second = ask(client, tools=[TOOL]), ask(client, tools=[TOOL])
    message = first.choices[0].message
    assert message.content == "Let me see."
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    assert second.choices[0].message.tool_calls is not None
    functions = [call.function for call in message.tool_calls if call.type == "function"]
    assert [function.arguments for function in functions] == ['{"query":"Tee?"}', "not json"]
    ids = [call.id for call in message.tool_calls + second.choices[0].message.tool_calls]
    assert len(set(ids)) == 4


def test_tool_calls_are_streamed_in_pieces(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(ToolCalls(("lookup", {"query": "größer"}), ("other", {})))
    message: ChatCompletionMessageParam = {"role": "user", "content": "go"}
    with client.chat.completions.stream(model="m", messages=[message], tools=[TOOL]) as events:
        done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
        final = events.get_final_completion().choices[0]
    assert [(event.name, event.arguments) for event in done] == [
        ("lookup", '{"query":"größer"}'),
        ("other", "{}"),
    ]
    assert final.finish_reason == "tool_calls"
    assert final.message.tool_calls is not None
    assert len({call.id for call in final.message.tool_calls}) == 2


def test_a_structured_value_is_parsed_by_the_sdk(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Structured({"vote": "blue", "reason": "ok"}))
    message: ChatCompletionMessageParam = {"role": "user", "content": "vote"}
    parsed = client.chat.completions.parse(model="m", messages=[message], response_format=Verdict)
    assert parsed.choices[0].message.parsed == Verdict(vote=Colour.BLUE, reason="ok")


def test_without_a_script_a_schema_is_satisfied(client: OpenAI) -> None:
    message: ChatCompletionMessageParam = {"role": "user", "content": "vote"}
    parsed = client.chat.completions.parse(model="m", messages=[message], response_format=Verdict)
    assert parsed.choices[0].message.parsed == Verdict(vote=Colour.RED, reason="text")
    with client.chat.completions.stream(
        model="m", messages=[message], response_format=Verdict
    ) as events:
        final = events.get_final_completion()
    assert final.choices[0].message.parsed == Verdict(vote=Colour.RED, reason="text")


def test_without_a_script_json_mode_gets_an_object(client: OpenAI) -> None:
    content = ask(client, response_format={"type": "json_object"}).choices[0].message.content
    assert json.loads(content or "") == {}


def test_fitting_schemas_can_be_switched_off(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Echo(fit_schema=False))
    answer = ask(client, "just text", response_format={"type": "json_object"})
    assert answer.choices[0].message.content == "just text"


@pytest.mark.parametrize("text", ["Hallo Welt", "a\u2028b\x00c\n\nd", "日本語 🙂", "\x00" * 20])
def test_without_a_script_the_last_text_comes_back(client: OpenAI, text: str) -> None:
    assert ask(client, text).choices[0].message.content == text
    assert "".join(texts(stream(client, text))) == text


def test_the_text_parts_of_a_message_come_back(client: OpenAI) -> None:
    content: Any = [
        {"type": "text", "text": "What is "},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "this?"},
    ]
    answer = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": content}]
    )
    assert answer.choices[0].message.content == "What is this?"


def test_automatic_tool_calls_differ_and_end_with_the_result(
    server: ModelServer, client: OpenAI
) -> None:
    server.enqueue(AutoToolCall(), AutoToolCall(name="lookup", again=True), AutoToolCall())
    messages: list[Any] = [{"role": "user", "content": "go"}]
    seen = []
    for _ in range(2):
        answer = client.chat.completions.create(model="m", messages=messages, tools=[TOOL])
        message = answer.choices[0].message
        assert message.tool_calls is not None
        (call,) = message.tool_calls
        assert call.type == "function"
        seen.append(json.loads(call.function.arguments))
        messages += [
            message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "found it"},
        ]
    assert seen == [{"query": "text 1", "limit": 1}, {"query": "text 2", "limit": 2}]
    last = client.chat.completions.create(model="m", messages=messages, tools=[TOOL])
    assert last.choices[0].message.content == "found it"


def test_a_dripping_stream_is_read_whole(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Drip(answer=Text("Grüße 🙂"), bytes_per_write=3, pause_s=0.0001))
    assert "".join(texts(stream(client))) == "Grüße 🙂"


def test_the_models_are_listed(client: OpenAI) -> None:
    with ModelServer({"a": Text("x"), "b": Echo()}, models=["c"]) as server:
        listed = client.with_options(base_url=server.url).models.list()
    assert [model.id for model in listed] == ["a", "b", "c"]


CALL = {"id": "call_1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}
USER = {"role": "user", "content": "go"}
ASSISTANT = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "'messages' must not be empty"),
        ([USER, RESULT], r"'messages\[1\]' has the role 'tool' but answers no preceding"),
        ([USER, ASSISTANT, RESULT, RESULT], r"'messages\[3\]' has the role 'tool'"),
        ([USER, ASSISTANT, USER], "must be followed by tool messages"),
        ([USER, ASSISTANT], "no tool messages answer the 'tool_calls': call_1"),
        ([{"role": "robot", "content": "x"}], "has no role that is known"),
        (["hello"], "has no role that is known"),
        (
            [
                USER,
                {**ASSISTANT, "tool_calls": [{**CALL, "function": {"name": "a", "arguments": {}}}]},
            ],
            r"'messages\[1\].tool_calls\[0\].function.arguments': expected a string",
        ),
    ],
)
def test_a_history_that_openai_refuses_is_refused(
    client: OpenAI, messages: Any, reason: str
) -> None:
    with pytest.raises(BadRequestError, match=reason):
        client.chat.completions.create(model="m", messages=messages)


def test_a_history_can_be_taken_as_it_is(client: OpenAI) -> None:
    messages: Any = [USER, RESULT]
    with ModelServer(strict=False) as server:
        answer = client.with_options(base_url=server.url).chat.completions.create(
            model="m", messages=messages
        )
    assert answer.choices[0].message.content == "ok"


def test_a_good_history_with_parallel_calls_is_taken(client: OpenAI) -> None:
    second = {**CALL, "id": "call_2"}
    messages: Any = [
        {"role": "system", "content": "be brief"},
        USER,
        {**ASSISTANT, "tool_calls": [CALL, second]},
        {**RESULT, "tool_call_id": "call_2"},
        RESULT,
        {"role": "assistant", "content": "fine"},
        {"role": "user", "content": "thanks"},
    ]
    answer = client.chat.completions.create(model="m", messages=messages)
    assert answer.choices[0].message.content == "thanks"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"messages": [USER]}, "you must provide a model"),
        ({"model": "m", "messages": [USER], "tools": [{"function": {}}]}, "KeyError: 'name'"),
        ({"model": "m", "messages": [USER], "tools": 3}, "does not have the shape"),
        ([1, 2], "not a JSON object"),
    ],
)
def test_a_body_of_another_shape_is_refused(client: OpenAI, body: Any, reason: str) -> None:
    with pytest.raises(BadRequestError, match=reason):
        client.post("/chat/completions", body=body, cast_to=dict)
