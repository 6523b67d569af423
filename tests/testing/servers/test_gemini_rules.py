"""Requests that Google refuses are refused here, too."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from testing.servers.plain_http import Answer, events_of, post

from massgen_bridge.testing.servers import ModelServer, Text, ToolCalls

if TYPE_CHECKING:
    from collections.abc import Iterator

STAND_IN = base64.b64encode(b"skip_thought_signature_validator").decode()
USER = {"role": "user", "parts": [{"text": "go"}]}
CALL = {"functionCall": {"id": "1", "name": "lookup", "args": {}}, "thoughtSignature": STAND_IN}
UNSIGNED = {"functionCall": CALL["functionCall"]}
RESULT = {"functionResponse": {"id": "1", "name": "lookup", "response": {"output": "ok"}}}
TOOL = {"name": "lookup", "parametersJsonSchema": {"type": "object"}}
TOOLS = [{"functionDeclarations": [TOOL]}]
JSON = {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}
PICTURE = base64.b64encode(b"x").decode()


def said(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def given(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(default=Text("fine")) as running:
        yield running


def send(server: ModelServer, *, model: str = "gemini-3-pro", **changes: Any) -> Answer:
    body = {"contents": [USER], **changes}
    return post(server, f"/v1beta/models/{model}:streamGenerateContent?alt=sse", body)


def refused(answer: Answer) -> str:
    assert answer.status == 400
    assert answer.json["error"]["status"] == "INVALID_ARGUMENT"
    message: str = answer.json["error"]["message"]
    return message


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ([], "contents is not specified"),
        ([{"role": "system", "parts": [{"text": "x"}]}], "valid role: user, model"),
        ([given()], "contents.parts must not be empty"),
        ([given({})], "required oneof field 'data'"),
        ([given({"text": "x", "inlineData": {}})], "required oneof field 'data'"),
        ([given({"text": "x", "colour": "red"})], 'Unknown name "colour"'),
        ([said({"text": "x"}), USER], "begins with a user turn"),
        ([USER, said({"text": "x"})], "end with a user role"),
        ([USER, said(CALL), USER], "number of function response parts is equal"),
        ([USER, said(CALL, UNSIGNED), given(RESULT)], "number of function response parts"),
        ([given(RESULT)], "immediately after a function call"),
        ([USER, given(CALL), given(RESULT)], "have the role model"),
        (
            [
                USER,
                said(CALL),
                given({"functionResponse": {**RESULT["functionResponse"], "id": "2"}}),
            ],
            "have the id of the function calls",
        ),
        ([USER, said(UNSIGNED), given(RESULT)], "missing a thought_signature"),
        ([USER, said({**CALL, "thoughtSignature": "AAAA"}), given(RESULT)], "is not valid"),
        ([given({"inlineData": {"mimeType": "image/bmp", "data": PICTURE}})], "image/bmp"),
        ([given({"inlineData": {"mimeType": "image/png"}})], "data and mime_type are required"),
        ([given({"fileData": {"mimeType": "image/png"}})], "file_uri"),
    ],
)
def test_contents_have_an_order_and_a_form(
    server: ModelServer, contents: list[Any], reason: str
) -> None:
    assert reason in refused(send(server, contents=contents))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"temprature": 1}, "Unknown name \"temprature\" at 'generation_config'"),
        ({"temperature": 2.5}, "temperature"),
        ({"maxOutputTokens": 0}, "max_output_tokens"),
        ({"responseJsonSchema": {}}, "response_mime_type"),
        ({**JSON, "responseSchema": {}}, "Only one of response_schema"),
        ({"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}, "only set only one"),
    ],
)
def test_settings_have_limits(server: ModelServer, settings: Any, reason: str) -> None:
    assert reason in refused(send(server, generationConfig=settings))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tools": [{"functionDeclarations": [{"name": "2nd"}]}]}, "Invalid function name"),
        ({"tools": [{"functionDeclarations": [TOOL, TOOL]}]}, "Duplicate function declaration"),
        (
            {"tools": [{"functionDeclarations": [{**TOOL, "parameters": {"type": "OBJECT"}}]}]},
            "only one of parameters",
        ),
        ({"tools": [*TOOLS, {"googleSearch": {}}]}, "include_server_side_tool_invocations"),
        ({"model": "gemini-2.5-flash", "tools": TOOLS, "generationConfig": JSON}, "unsupported"),
        (
            {"model": "gemini-2.5-pro", "tools": [{"googleSearch": {}}], "generationConfig": JSON},
            "unsupported",
        ),
        ({"mesages": []}, 'Unknown name "mesages"'),
    ],
)
def test_tools_and_fields_have_rules(
    server: ModelServer, changes: dict[str, Any], reason: str
) -> None:
    assert reason in refused(send(server, **changes))


def test_newer_models_take_tools_of_both_sides(server: ModelServer) -> None:
    """If the request says so, and older ones not even then."""
    both: dict[str, Any] = {
        "tools": [*TOOLS, {"googleSearch": {}}],
        "toolConfig": {"includeServerSideToolInvocations": True},
    }
    assert send(server, **both).status == 200
    assert "cannot be combined" in refused(send(server, model="gemini-2.5-pro", **both))


def test_a_call_comes_back_with_its_own_signature(server: ModelServer) -> None:
    server.enqueue(ToolCalls(("lookup", {"n": 1}), ("lookup", {"n": 2})))
    events = events_of(send(server, tools=TOOLS).body)
    made = [
        part
        for event in events
        for part in event.json["candidates"][0]["content"]["parts"]
        if "functionCall" in part
    ]
    results = [
        {"functionResponse": {**RESULT["functionResponse"], "id": part["functionCall"]["id"]}}
        for part in made
    ]
    assert send(server, contents=[USER, said(*made), given(*results)]).status == 200
    swapped = [{**made[0], "thoughtSignature": STAND_IN[::-1]}, made[1]]
    assert "not valid" in refused(send(server, contents=[USER, said(*swapped), given(*results)]))


def test_calls_of_earlier_turns_and_of_older_models_need_no_signature(server: ModelServer) -> None:
    earlier = [USER, said(UNSIGNED), given(RESULT), said({"text": "so"}), USER]
    assert send(server, contents=earlier).status == 200
    assert send(server, model="gemini-2.5-pro", contents=earlier[:3]).status == 200


def test_both_spellings_of_names_are_one(server: ModelServer) -> None:
    """The API takes `mime_type` for `mimeType`, but leaves a client's own values alone."""
    schema = {"type": "object", "properties": {"my_name": {"type": "string"}}}
    picture = {"inline_data": {"mime_type": "image/png", "data": "-_8="}}
    tool = {"name": "lookup", "parameters_json_schema": schema}
    tools = [{"function_declarations": [tool]}]
    assert send(server, contents=[given(picture)], tools=tools).status == 200
    asked = server.requests[0].asked
    assert asked is not None
    assert asked.messages[0].media[0].data == b"\xfb\xff"
    assert asked.tools[0].parameters == schema


def test_a_server_that_is_not_strict_takes_it_all() -> None:
    with ModelServer(default=Text("fine"), strict=False) as server:
        assert send(server, x_setting=1, contents=[USER, said(UNSIGNED), USER]).status == 200
