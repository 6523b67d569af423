from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge.errors import BadRequest, UnsupportedContent
from massgen_bridge.models.gateway.local import emulate

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols

_CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_USER = {"role": "user", "content": "Is it warm in Rome?"}


def _chat_tools(*names: str) -> list[dict[str, Any]]:
    return [
        {
            "type": "function",
            "function": {"name": name, "description": "Tells it.", "parameters": _CITY},
        }
        for name in names
    ]


def _request(protocol: Protocols, **body: Any) -> dict[str, Any]:
    emulation = emulate(protocol, json.dumps(body).encode())
    assert emulation is not None
    request: dict[str, Any] = json.loads(emulation.body)
    return request


def _texts(request: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in request["messages"]]


def _names(request: dict[str, Any]) -> list[str]:
    """The tools that the grammar lets the model call; `answer` where it may answer."""
    schema = request["response_format"]["json_schema"]["schema"]
    return [
        form["properties"]["name"]["const"] if "name" in form["properties"] else "answer"
        for form in schema.get("anyOf", [schema])
    ]


# Each protocol's way to say the same things.
def _chat(*history: Any, tools: Any = ("look",), choice: Any = None, **rest: Any) -> dict[str, Any]:
    chosen = {} if choice is None else {"tool_choice": choice}
    return _request("chat", messages=[*history], tools=_chat_tools(*tools), **chosen, **rest)


def _messages(*history: Any, tools: Any = ("look",), **rest: Any) -> dict[str, Any]:
    given = [{"name": name, "description": "Tells it.", "input_schema": _CITY} for name in tools]
    return _request("messages", max_tokens=99, messages=[*history], tools=given, **rest)


def _responses(*history: Any, tools: Any = ("look",), **rest: Any) -> dict[str, Any]:
    given = [tool["function"] | {"type": "function"} for tool in _chat_tools(*tools)]
    return _request("responses", input=[*history], tools=given, **rest)


@pytest.mark.parametrize("ask", [_chat, _messages, _responses])
def test_the_model_is_told_of_its_tools_and_held_to_calls_or_answers(ask: Any) -> None:
    request = ask(_USER, tools=("look", "feel"))
    (role, told), user = _texts(request)
    assert role == "system"
    assert "- look(city: string): Tells it." in told
    assert "- feel(city: string): Tells it." in told
    assert user == ("user", "Is it warm in Rome?")
    assert _names(request) == ["look", "feel", "answer"]


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (lambda: _chat(_USER, tools=("a", "b"), choice="required"), ["a", "b"]),
        (
            lambda: _chat(
                _USER, tools=("a", "b"), choice={"type": "function", "function": {"name": "b"}}
            ),
            ["b"],
        ),
        (lambda: _messages(_USER, tools=("a", "b"), tool_choice={"type": "any"}), ["a", "b"]),
        (
            lambda: _messages(_USER, tools=("a", "b"), tool_choice={"type": "tool", "name": "b"}),
            ["b"],
        ),
        (
            lambda: _messages(
                _USER,
                tools=("a", "b"),
                tool_choice={"type": "auto", "disable_parallel_tool_use": True},
            ),
            ["a", "b", "answer"],
        ),
        (lambda: _responses(_USER, tools=("a", "b"), tool_choice="required"), ["a", "b"]),
        (
            lambda: _responses(
                _USER, tools=("a", "b"), tool_choice={"type": "function", "name": "a"}
            ),
            ["a"],
        ),
        (
            lambda: _responses(
                _USER,
                tools=("a", "b"),
                tool_choice={
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "b"}],
                },
            ),
            ["b", "answer"],
        ),
    ],
)
def test_the_choice_of_tools_is_the_grammars(request_: Any, names: list[str]) -> None:
    assert _names(request_()) == names


@pytest.mark.parametrize(
    "request_",
    [
        lambda: _chat(_USER, choice="none"),
        lambda: _messages(_USER, tool_choice={"type": "none"}),
        lambda: _responses(_USER, tool_choice="none"),
        lambda: _messages(_USER, tools=()),
        lambda: _responses(_USER, tools=()),
    ],
)
def test_without_tools_nothing_is_said_of_them(request_: Any) -> None:
    request = request_()
    assert _texts(request) == [("user", "Is it warm in Rome?")]
    assert "response_format" not in request


def test_plain_chat_is_left_to_the_server() -> None:
    for body in (
        {"messages": [_USER], "n": 2},
        {"messages": [_USER], "tools": []},
        {"messages": [_USER], "response_format": {"type": "text"}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi."}]}]},
    ):
        assert emulate("chat", json.dumps(body).encode()) is None


_RESULT = 'Sunny & "warm"'


@pytest.mark.parametrize(
    "request_",
    [
        lambda: _chat(
            {"role": "developer", "content": "Be kind."},
            _USER,
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {
                        "id": "1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"city":"Rome"}'},
                    },
                    {
                        "id": "2",
                        "type": "function",
                        "function": {"name": "feel", "arguments": "{}"},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": _RESULT}]},
            {"role": "tool", "tool_call_id": "2", "content": "Too far."},
            tools=("look", "feel", "ask"),
        ),
        lambda: _messages(
            _USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "…", "signature": "s"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "1", "name": "look", "input": {"city": "Rome"}},
                    {"type": "tool_use", "id": "2", "name": "feel", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "1",
                        "content": [{"type": "text", "text": _RESULT}],
                    },
                    {"type": "tool_result", "tool_use_id": "2", "content": "Too far."},
                ],
            },
            system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
            tools=("look", "feel", "ask"),
        ),
        lambda: _responses(
            {"role": "user", "content": [{"type": "input_text", "text": "Is it warm in Rome?"}]},
            {"type": "reasoning", "id": "r", "summary": []},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "I look."}],
            },
            {
                "type": "function_call",
                "call_id": "1",
                "name": "look",
                "arguments": '{"city":"Rome"}',
            },
            {"type": "function_call", "call_id": "2", "name": "feel", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": _RESULT},
            {"type": "function_call_output", "call_id": "2", "output": "Too far."},
            instructions="Be kind.",
            tools=("look", "feel", "ask"),
        ),
    ],
    ids=["chat", "messages", "responses"],
)
def test_earlier_calls_and_results_stand_in_plain_messages(request_: Any) -> None:
    request = request_()
    (_, told), *said = _texts(request)
    assert told.startswith("Be kind.\n\n")
    assert said == [
        ("user", "Is it warm in Rome?"),
        (
            "assistant",
            (
                'I look.\n\n{"name": "look", "arguments": {"city": "Rome"}}'
                '\n\n{"name": "feel", "arguments": {}}'
            ),
        ),
        ("user", 'Result of look: Sunny & "warm"\n\nResult of feel: Too far.'),
    ]
    # What was called is not offered again before the user speaks.
    assert _names(request) == ["ask", "answer"]


def test_a_failed_tool_is_told_as_such() -> None:
    request = _messages(
        _USER,
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "1", "name": "look", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "No.", "is_error": True}
            ],
        },
    )
    assert _texts(request)[-1] == ("user", "Error of look: No.")


def test_each_tool_is_offered_once_until_the_user_speaks_again() -> None:
    past = (
        _USER,
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "Warm."},
    )
    done = _chat(*past)
    assert "response_format" not in done
    assert "look(" not in json.dumps(done)
    assert _names(_chat(*past, choice="required")) == ["look"]
    again = _chat(*past, {"role": "assistant", "content": "It is."}, _USER)
    assert _names(again) == ["look", "answer"]


def test_a_form_of_the_answer_becomes_the_servers_in_every_protocol() -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    wanted = {"type": "json_schema", "name": "x", "schema": schema, "strict": True}
    requests = [
        _request(
            "chat", messages=[_USER], response_format={"type": "json_schema", "json_schema": wanted}
        ),
        _request("messages", max_tokens=9, messages=[_USER], output_config={"format": wanted}),
        _request("responses", input="Hi.", text={"format": wanted}),
    ]
    for request in requests:
        form = request["response_format"]
        assert form["type"] == "json_schema"
        assert form["json_schema"]["schema"] == {**schema, "additionalProperties": False}
    free = _request("responses", input="Hi.", text={"format": {"type": "json_object"}})
    assert free["response_format"]["json_schema"]["schema"]["type"] == "object"


def test_tools_and_a_form_of_the_answer_go_together() -> None:
    schema = {"enum": ["warm", "cold"]}
    request = _messages(_USER, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert _names(request) == ["look", "answer"]
    forms = request["response_format"]["json_schema"]["schema"]["anyOf"]
    assert forms[1]["properties"]["answer"] == schema


def test_limits_and_sampling_reach_the_server() -> None:
    chat = _chat(_USER, max_completion_tokens=7, temperature=0.5, seed=3, user="me", stream=True)
    assert chat["max_tokens"] == 7
    assert (chat["temperature"], chat["seed"], chat["stream"]) == (0.5, 3, True)
    assert chat["stream_options"] == {"include_usage": True}
    assert "user" not in chat
    messages = _messages(_USER, stop_sequences=["END"], temperature=0.1, top_k=4, min_p=0.1)
    assert messages["max_tokens"] == 99
    assert (messages["stop"], messages["top_k"], messages["min_p"]) == (["END"], 4, 0.1)
    responses = _responses(_USER, max_output_tokens=5, top_p=0.2, store=False, include=[])
    assert responses["max_tokens"] == 5
    assert responses["top_p"] == 0.2
    assert "store" not in responses


def test_many_wordy_tools_take_few_words() -> None:
    long = {
        "type": "object",
        "properties": {"x": {"type": "string", "description": "word " * 100}},
        "$defs": {"t": {"enum": ["a"]}},
    }
    tools = [
        {"name": f"tool_{n}", "description": "word " * 200, "input_schema": long} for n in range(20)
    ]
    request = _request("messages", max_tokens=9, messages=[_USER], tools=tools)
    told = _texts(request)[0][1]
    assert len(told) < 3500
    assert all(f"- tool_{n}(x?: string" in told for n in range(20))


def test_the_values_of_a_tool_are_told_in_a_few_signs() -> None:
    schema = {
        "type": "object",
        "$defs": {"Mode": {"enum": ["a", "b"]}},
        "properties": {
            "mode": {"$ref": "#/$defs/Mode", "description": "How it goes."},
            "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "where": {"type": "object", "properties": {"x": {"type": "number"}}},
            "names": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["mode"],
    }
    tool = {"name": "go", "input_schema": schema}
    told = _texts(_request("messages", max_tokens=9, messages=[_USER], tools=[tool]))[0][1]
    assert (
        '- go(mode: "a" | "b" (How it goes.), size?: integer | null, where?: {x?: number}, '
        "names?: [string])" in told
    )


def test_a_document_of_text_is_read() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "The sky is blue."}
    document = {"type": "document", "source": source, "title": "Notes"}
    content = [document, {"type": "text", "text": "Which colour?"}]
    request = _request("messages", max_tokens=9, messages=[{"role": "user", "content": content}])
    assert _texts(request) == [("user", "Notes:\nThe sky is blue.\n\nWhich colour?")]


_PICTURE = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


@pytest.mark.parametrize(
    ("protocol", "body", "problem"),
    [
        (
            "chat",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
                ]
            },
            r"messages\[0\]\.content\[0\].*'image_url'",
        ),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "image", "source": _PICTURE}]}]},
            "reads text alone, not 'image'",
        ),
        (
            "messages",
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "1",
                                "content": [{"type": "image", "source": _PICTURE}],
                            }
                        ],
                    }
                ]
            },
            r"content\[0\]\.content\[0\]: .*'image'",
        ),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "document", "source": _PICTURE}]}]},
            "'document'",
        ),
        (
            "responses",
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "'input_image'",
        ),
        ("responses", {"input": [{"type": "computer_call"}]}, "'computer_call'"),
        (
            "responses",
            {"input": "Hi.", "previous_response_id": "resp_1"},
            "keeps nothing between requests",
        ),
        (
            "responses",
            {"input": "Hi.", "tools": [{"type": "web_search"}]},
            "no tool of type 'web_search'",
        ),
        (
            "messages",
            {"messages": [], "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            "no tool of type 'web_search_20250305'",
        ),
        (
            "messages",
            {"messages": [], "thinking": {"type": "enabled", "budget_tokens": 1024}},
            "does not think",
        ),
        (
            "messages",
            {"messages": [], "tools": [{"name": "a"}]},
            r"tools\[0\]\.input_schema: expected an object",
        ),
        (
            "chat",
            {
                "messages": [],
                "tools": _chat_tools("a"),
                "tool_choice": {"type": "function", "function": {"name": "b"}},
            },
            "no tool 'b' among the tools",
        ),
        ("chat", {"messages": [], "tools": _chat_tools("a"), "n": 2}, "gives one answer"),
        (
            "chat",
            {"messages": [], "response_format": {"type": "json_object"}, "logprobs": True},
            "logprobs: .* tells none",
        ),
        ("chat", {"messages": [], "functions": [{"name": "a"}]}, "functions: "),
        ("chat", {"messages": [], "response_format": {"type": "xml"}}, "response_format"),
        ("chat", {"messages": [{"role": "robot", "content": ""}]}, "no role 'robot'"),
        ("chat", {"messages": "Hi."}, "messages: expected an array"),
        (
            "responses",
            {
                "input": [],
                "tools": [
                    {
                        "type": "function",
                        "name": "a",
                        "parameters": {
                            "type": "object",
                            "properties": {"x": {"$ref": "#/nowhere"}},
                        },
                    }
                ],
            },
            "the schema of tool 'a': '#/nowhere'",
        ),
    ],
)
def test_what_it_cannot_do_is_refused_with_its_place(
    protocol: Protocols, body: dict[str, Any], problem: str
) -> None:
    with pytest.raises((BadRequest, UnsupportedContent), match=problem) as caught:
        emulate(protocol, json.dumps(body).encode())
    assert not caught.value.retryable


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="JSON"):
        emulate("chat", body)
