"""What the translation writes, read by the SDKs that frameworks use."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from massgen_bridge.models.gateway.local.answers import Reading

if TYPE_CHECKING:
    from models.gateway.local.conftest import Model

_FREE = {"type": "object", "properties": {}, "additionalProperties": True}
_TOOL = {"name": "look", "description": "Looks.", "input_schema": _FREE}
_CHAT_TOOL: Any = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": _FREE},
}
_RESPONSES_TOOL: Any = {"type": "function", "name": "look", "parameters": _FREE, "strict": False}
_ASKED = "Look."
_Seen = tuple[str, list[tuple[Any, Any]], str | None, int]

texts = st.text(max_size=40)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(texts, values, max_size=3)
thorough = settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def _pieces(text: str, cuts: list[int]) -> list[str]:
    """The text in pieces that begin at some of its signs."""
    marks = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    return [text[start:end] for start, end in pairwise(marks)]


def _written(value: Any, *, plain: bool) -> str:
    return json.dumps(value, ensure_ascii=not plain, indent=2 if plain else None)


def _chat_stream(client: openai.OpenAI) -> _Seen:
    seen, calls, finish, total = "", {}, None, 0
    with client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": _ASKED}],
        tools=[_CHAT_TOOL],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            total = chunk.usage.total_tokens if chunk.usage else total
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                seen += choice.delta.content or ""
                for call in choice.delta.tool_calls or []:
                    assert call.id
                    assert call.function
                    calls[call.index] = (call.function.name, call.function.arguments)
    assert list(calls) == list(range(len(calls)))
    return seen, list(calls.values()), finish, total


def _chat_whole(client: openai.OpenAI) -> _Seen:
    whole = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": _ASKED}], tools=[_CHAT_TOOL]
    )
    return _of_chat(whole, whole.choices[0].message.content or "")


def _of_chat(whole: Any, seen: str) -> _Seen:
    choice = whole.choices[0]
    assert (choice.message.content or "") == seen
    calls = choice.message.tool_calls or []
    assert all(call.id and call.type == "function" for call in calls)
    named = [(call.function.name, call.function.arguments) for call in calls]
    return seen, named, choice.finish_reason, whole.usage.total_tokens


def _responses_stream(client: openai.OpenAI) -> _Seen:
    seen, numbers, response = "", [], None
    with client.responses.stream(model="m", input=_ASKED, tools=[_RESPONSES_TOOL]) as stream:
        for event in stream:
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                seen += event.delta
            if event.type in {"response.completed", "response.incomplete"}:
                response = event.response
    assert numbers == list(range(len(numbers)))
    return _of_response(response, seen)


def _responses_whole(client: openai.OpenAI) -> _Seen:
    whole = client.responses.create(model="m", input=_ASKED, tools=[_RESPONSES_TOOL])
    return _of_response(whole, whole.output_text)


def _of_response(whole: Any, seen: str) -> _Seen:
    assert whole.output_text == seen
    items = [item for item in whole.output if item.type == "function_call"]
    calls = [(item.name, item.arguments) for item in items]
    assert all(item.call_id and item.id for item in items)
    cut = whole.incomplete_details
    finish = "length" if cut else ("tool_calls" if calls else "stop")
    assert whole.status == ("incomplete" if cut else "completed")
    return seen, calls, finish, whole.usage.total_tokens


def _messages_stream(
    client: anthropic.Anthropic,
) -> _Seen:
    asked: Any = [{"role": "user", "content": _ASKED}]
    tools: Any = [_TOOL]
    with client.messages.stream(model="m", max_tokens=50, messages=asked, tools=tools) as stream:
        seen = "".join(stream.text_stream)
        whole = stream.get_final_message()
    return _of_message(whole, seen)


def _messages_whole(
    client: anthropic.Anthropic,
) -> _Seen:
    asked: Any = [{"role": "user", "content": _ASKED}]
    tools: Any = [_TOOL]
    whole = client.messages.create(model="m", max_tokens=50, messages=asked, tools=tools)
    return _of_message(whole, "".join(b.text for b in whole.content if b.type == "text"))


def _of_message(whole: Any, seen: str) -> _Seen:
    assert "".join(block.text for block in whole.content if block.type == "text") == seen
    uses = [block for block in whole.content if block.type == "tool_use"]
    calls = [(block.name, json.dumps(block.input, ensure_ascii=False)) for block in uses]
    assert all(block.id.startswith("toolu_") for block in uses)
    words = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
    usage = whole.usage
    total = usage.input_tokens + usage.cache_read_input_tokens + usage.output_tokens
    return seen, calls, words[whole.stop_reason], total


_WAYS: dict[str, Any] = {
    "chat-stream": _chat_stream,
    "chat-whole": _chat_whole,
    "responses-stream": _responses_stream,
    "responses-whole": _responses_whole,
    "messages-stream": _messages_stream,
    "messages-whole": _messages_whole,
}


@pytest.fixture(params=_WAYS)
def ask(
    request: pytest.FixtureRequest,
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
) -> Any:
    """One SDK's way to ask; gives the text, the calls, why it stopped and all tokens."""
    way: str = request.param
    client = anthropic_client if way.startswith("messages") else openai_client
    return lambda: _WAYS[way](client)


@thorough
@given(said=texts, cuts=st.lists(st.integers(0, 200), max_size=8), plain=st.booleans())
def test_no_sign_of_an_answer_is_lost(
    ask: Any, model: Model, said: str, cuts: list[int], *, plain: bool
) -> None:
    model.says(*_pieces(_written({"answer": said}, plain=plain), cuts))
    model.step = 1 + len(cuts) * 7
    assert ask() == (said, [], "stop", 40)


@thorough
@given(given_=arguments, cuts=st.lists(st.integers(0, 200), max_size=8), plain=st.booleans())
def test_no_argument_of_a_call_is_lost(
    ask: Any, model: Model, given_: dict[str, Any], cuts: list[int], *, plain: bool
) -> None:
    written = _written({"name": "look", "arguments": given_}, plain=plain)
    model.says(*_pieces(written, cuts))
    text, [(name, found)], finish, total = ask()
    assert (text, name, finish, total) == ("", "look", "tool_calls", 40)
    assert json.loads(found) == given_


def test_a_call_that_is_cut_off_is_none(ask: Any, model: Model) -> None:
    model.says('{"name": "look", "arguments": {"x": "Ro', finish="length")
    assert ask() == ("", [], "length", 40)


def test_an_answer_that_is_cut_off_says_what_there_is(ask: Any, model: Model) -> None:
    model.says('{"answer": "It is \\u00', finish="length")
    assert ask() == ("It is ", [], "length", 40)


def test_an_answer_in_no_form_is_better_than_none(ask: Any, model: Model) -> None:
    model.says("It is ", "warm.")
    assert ask() == ("It is warm.", [], "stop", 40)


def test_an_error_of_the_server_is_the_sdks_own(ask: Any, model: Model) -> None:
    model.status = 400
    message = "request (5031 tokens) exceeds the available context size (4096 tokens)"
    model.error = {"error": {"code": 400, "message": message, "type": "exceed_context_size_error"}}
    with pytest.raises((openai.BadRequestError, anthropic.BadRequestError), match="5031 tokens"):
        ask()


def test_an_answer_that_breaks_off_is_an_error(ask: Any, model: Model) -> None:
    model.says('{"answer": "It', finish=None)
    with pytest.raises((openai.APIError, anthropic.APIError), match=r"end marker|no JSON"):
        ask()


def test_the_helpers_for_streams_of_chat_take_calls_and_text(
    openai_client: openai.OpenAI, model: Model
) -> None:
    for written in ('{"answer": "Warm."}', '{"name": "look", "arguments": {"x": 1}}'):
        model.says(written)
        with openai_client.chat.completions.stream(
            model="m", messages=[{"role": "user", "content": _ASKED}], tools=[_CHAT_TOOL]
        ) as stream:
            kinds = [event.type for event in stream]
            message = stream.get_final_completion().choices[0].message
        if message.tool_calls:
            assert "tool_calls.function.arguments.done" in kinds
            assert json.loads(message.tool_calls[0].function.arguments) == {"x": 1}
        else:
            assert message.content == "Warm."


def test_a_picture_is_refused_as_a_bad_request(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    picture: Any = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    with pytest.raises(anthropic.BadRequestError, match="reads text alone"):
        anthropic_client.messages.create(
            model="m",
            max_tokens=9,
            messages=[{"role": "user", "content": [{"type": "image", "source": picture}]}],
        )
    with pytest.raises(openai.BadRequestError, match="reads text alone"):
        openai_client.responses.create(
            model="m",
            input=[
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "input_image",
                            "image_url": "data:image/png;base64,AAAA",
                            "detail": "auto",
                        }
                    ],
                }
            ],
        )


def test_a_form_of_the_answer_comes_as_text(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, model: Model
) -> None:
    schema: Any = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted: Any = {"type": "json_schema", "name": "x", "schema": schema}
    model.says('{"n":', " 3}")
    message = anthropic_client.messages.create(
        model="m",
        max_tokens=9,
        messages=[{"role": "user", "content": "Count."}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert [getattr(block, "text", "") for block in message.content] == ['{"n": 3}']
    response = openai_client.responses.create(model="m", input="Count.", text={"format": wanted})
    assert response.output_text == '{"n": 3}'


@given(said=st.text(st.characters(), max_size=20), cuts=st.lists(st.integers(0, 200), max_size=9))
def test_half_a_pair_of_signs_does_not_spoil_the_rest(said: str, cuts: list[int]) -> None:
    """A model may write any escape, also one that stands for no sign."""
    written = json.dumps({"answer": f"{said}\ud83d!"})
    reading = Reading("choice")
    pieces = [reading.take(piece) for piece in _pieces(written, cuts)]
    text = "".join([*pieces, reading.end(cut=False)])
    assert text.encode()
    assert text.endswith("!")
    assert len(text) <= len(said) + 2
