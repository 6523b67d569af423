"""Requests that Anthropic refuses are refused here, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from testing.servers.plain_http import Answer, post

from massgen_bridge.testing.servers import ModelServer, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = {"anthropic-version": "2023-06-01"}
USER = {"role": "user", "content": "go"}
CALL = {"type": "tool_use", "id": "call_1", "name": "lookup", "input": {"query": "Tee"}}
OTHER = {**CALL, "id": "call_2"}
RESULT = {"type": "tool_result", "tool_use_id": "call_1", "content": "ok"}
TEXT = {"type": "text", "text": "so"}
TOOL = {"name": "lookup", "input_schema": {"type": "object"}}


def said(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def given(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(Text("fine", reasoning="Hm.")) as running:
        yield running


def send(server: ModelServer, **changes: Any) -> Answer:
    body = {"model": "m", "max_tokens": 100, "messages": [USER], **changes}
    kept = {name: value for name, value in body.items() if value is not ...}
    return post(server, "/v1/messages", kept, headers=VERSION)


def refused(answer: Answer) -> str:
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    message: str = answer.json["error"]["message"]
    return message


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "messages: at least one message is required"),
        ("hello", "messages.0: Input should be a message"),
        ([{"role": "system", "content": "x"}, USER], "top-level `system` parameter"),
        ([{"role": "user", "content": []}], "messages.0: all messages must have non-empty content"),
        ([given({"type": "text", "text": " "})], "messages.0.content.0: text content blocks must"),
        ([said(TEXT), USER], 'first message must use the "user" role'),
        ([USER, said(TEXT)], "must end with a user message"),
        ([USER, said(CALL)], "messages.1: `tool_use` ids were found without `tool_result`"),
        ([USER, said(CALL), USER], "messages.1: `tool_use` ids were found without `tool_result`"),
        ([USER, said(CALL, OTHER), given(RESULT)], "immediately after: call_2."),
        ([USER, said(CALL), USER, given(RESULT)], "messages.1: `tool_use` ids were found"),
        ([given(RESULT)], "messages.0.content.0: unexpected `tool_use_id` found"),
        ([USER, said(CALL), given(RESULT), given(RESULT)], "messages.3.content.0: unexpected"),
        ([USER, said(CALL), given(RESULT, RESULT)], "each tool_use must have a single result"),
        ([USER, said(CALL), given(TEXT, RESULT)], "must come before any other content"),
        ([USER, said({**CALL, "id": "a.b"}), USER], "messages.1.content.0.tool_use.id: String"),
        ([USER, said({**CALL, "input": "{}"}), USER], "tool_use.input: Input should be a valid"),
        (
            [USER, said({"type": "thinking", "thinking": "Hm.", "signature": "no"}), USER],
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        ),
        (
            [
                given(
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/bmp", "data": ""},
                    }
                )
            ],
            "image.source.base64.media_type: Input should be one of image/gif",
        ),
    ],
)
def test_a_history_that_is_not_well_formed_is_refused(
    server: ModelServer, messages: Any, reason: str
) -> None:
    assert reason in refused(send(server, messages=messages))


def schema(**changes: Any) -> dict[str, Any]:
    whole = {"type": "object", "properties": {}, "additionalProperties": False, **changes}
    return {"format": {"type": "json_schema", "schema": whole}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": ...}, "model: Field required"),
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be an integer greater"),
        ({"messages": ...}, "messages: Field required"),
        ({"seed": 3}, "seed: Extra inputs are not permitted"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"tools": [{**TOOL, "name": "a b"}]}, "tools.0.custom.name: String should match"),
        ({"tools": [{"name": "lookup"}]}, "tools.0.custom.input_schema.type: Input should be"),
        ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
        ({"tool_choice": {"type": "auto"}}, "tool_choice: may only be given together with tools"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}},
            "Tool 'other' not found in provided tools",
        ),
        ({"output_config": {"format": {"type": "json"}}}, "a schema of the type 'json_schema'"),
        (
            {"output_config": schema(additionalProperties=True)},
            "'additionalProperties' must be explicitly set to false",
        ),
        (
            {"output_config": schema(properties={"a": {"type": "integer", "minimum": 1}})},
            "For 'integer' type, property 'minimum' is not supported",
        ),
        (
            {"output_config": schema(**{"$defs": {"A": {"anyOf": [{"type": "object"}]}}})},
            "'additionalProperties' must be explicitly set to false",
        ),
        (
            {"output_config": schema(properties={"a": {"items": {"maxLength": 3}}})},
            "property 'maxLength' is not supported",
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "should be at least 1024"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            "`max_tokens` must be greater than `thinking.budget_tokens`",
        ),
        (
            {
                "thinking": {"type": "enabled", "budget_tokens": 1024},
                "max_tokens": 2000,
                "temperature": 0.5,
            },
            "may only be set to 1 when thinking is enabled",
        ),
        (
            {
                "thinking": {"type": "enabled", "budget_tokens": 1024},
                "max_tokens": 2000,
                "tools": [TOOL],
                "tool_choice": {"type": "any"},
            },
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
    ],
)
def test_a_request_that_is_not_well_formed_is_refused(
    server: ModelServer, changes: Any, reason: str
) -> None:
    assert reason in refused(send(server, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": [USER, USER]},
        {"messages": [USER, said(CALL, OTHER), given({**RESULT, "tool_use_id": "call_2"}, RESULT)]},
        {"messages": [USER, said(TEXT, CALL), given(RESULT, TEXT)]},
        {"system": [{**TEXT, "cache_control": {"type": "ephemeral"}}]},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "lookup"}, "temperature": 1},
        {"output_config": schema(properties={"a": {"type": "string"}}, required=["a"])},
        {"output_config": {"effort": "low"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
        {"thinking": {"type": "adaptive"}},
    ],
)
def test_a_good_request_is_taken(server: ModelServer, changes: Any) -> None:
    answer = send(server, **changes)
    assert answer.status == 200, answer.body


def test_the_thinking_of_an_answer_can_be_sent_back(server: ModelServer) -> None:
    content = send(server).json["content"]
    assert [block["type"] for block in content] == ["thinking", "text"]
    assert send(server, messages=[USER, said(*content), USER]).status == 200


@pytest.mark.parametrize("strict", [True, False])
def test_the_version_of_the_protocol_has_to_be_given(*, strict: bool) -> None:
    with ModelServer(strict=strict) as server:
        answer = post(server, "/v1/messages", {"model": "m", "messages": [USER]})
    assert "anthropic-version: header is required" in refused(answer)


def test_a_history_can_be_taken_as_it_is() -> None:
    with ModelServer(strict=False) as server:
        answer = send(server, messages=[USER, given(TEXT, RESULT)], seed=3)
    assert answer.json["content"] == [{"type": "text", "text": "ok"}]


@pytest.mark.parametrize("body", [{"max_tokens": 1, "messages": [USER]}, {"model": "m"}, [1, 2]])
def test_a_body_of_another_shape_is_refused_in_any_case(body: Any) -> None:
    with ModelServer(strict=False) as server:
        assert refused(post(server, "/v1/messages", body, headers=VERSION))
