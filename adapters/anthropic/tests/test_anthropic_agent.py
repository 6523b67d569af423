"""Turns: parameters, options, limits, tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from massgen_bridge_anthropic import bridge_adapters
from pydantic import ValidationError

from massgen_bridge import (
    Limits,
    Sampling,
    TurnResult,
    UnsupportedContent,
    assistant,
)
from massgen_bridge.testing.agents import (
    ScriptedTools,
    connection_to,
    make_agent,
    run_turn,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import (
    ModelServer,
    Structured,
    Text,
    ToolCalls,
)

if TYPE_CHECKING:
    from massgen_bridge import Turn
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
CALL = ("lookup", {"query": "x", "limit": 1})


async def _run(
    server: ModelServer | str,
    asked: Turn,
    *,
    options: dict[str, Any] | None = None,
    **connection: Any,
) -> TurnResult:
    to = connection_to(server, protocol="messages", **connection)
    return await run_turn(SPEC, asked, to, options=options)


async def _body(
    model_server: StartModelServer, asked: Turn | None = None, **more: Any
) -> dict[str, Any]:
    """What the server was sent."""
    server = model_server(default=Text("{}"))
    await _run(server, asked or turn("Speak."), **more)
    body: dict[str, Any] = server.requests[0].body
    return body


async def test_nothing_is_sent_that_nobody_asked_for(model_server: StartModelServer) -> None:
    assert await _body(model_server) == {
        "model": "scripted",
        "max_tokens": 32000,
        "messages": [{"role": "user", "content": "Speak."}],
        "stream": True,
    }


async def test_extra_parameters_go_in_unchanged(model_server: StartModelServer) -> None:
    extra = {"top_k": 5, "metadata": {"user_id": "u1"}}
    body = await _body(model_server, sampling=Sampling(extra=extra))
    assert {key: body[key] for key in extra} == extra


async def test_extra_settings_of_the_output_join_those_of_the_turn(
    model_server: StartModelServer,
) -> None:
    extra = {"output_config": {"effort": "max"}}
    asked = turn("Vote.", output_schema={"type": "object"})
    body = await _body(model_server, asked, sampling=Sampling(extra=extra))
    assert body["output_config"]["effort"] == "max"
    assert body["output_config"]["format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("connection", "limits", "expected"),
    [
        ({}, {}, 32_000),
        ({"context_window": 4096}, {}, 2048),
        ({"context_window": 200_000}, {}, 32_000),
        ({"context_window": 1}, {}, 1),
        ({"sampling": Sampling(max_output_tokens=90_000), "context_window": 4096}, {}, 90_000),
        ({"sampling": Sampling(max_output_tokens=90)}, {"max_output_tokens": 4}, 4),
    ],
)
async def test_there_is_always_a_limit_to_the_output(
    model_server: StartModelServer,
    connection: dict[str, Any],
    limits: dict[str, int],
    expected: int,
) -> None:
    body = await _body(model_server, turn("Speak.", limits=Limits(**limits)), **connection)
    assert body["max_tokens"] == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"thinking": "adaptive"}, {"thinking": {"type": "adaptive"}}),
        ({"thinking": "disabled"}, {"thinking": {"type": "disabled"}}),
        (
            {"thinking": "adaptive", "thinking_display": "summarized"},
            {"thinking": {"type": "adaptive", "display": "summarized"}},
        ),
        (
            {"thinking": 2048, "thinking_display": "omitted"},
            {
                "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
                "max_tokens": 32_000,
            },
        ),
        (
            {"thinking": 60_000},
            {"thinking": {"type": "enabled", "budget_tokens": 60_000}, "max_tokens": 68_000},
        ),
        ({"effort": "low"}, {"output_config": {"effort": "low"}}),
        ({"cache": "1h"}, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}),
    ],
)
async def test_options_become_parameters(
    model_server: StartModelServer, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = await _body(model_server, options=options)
    assert {key: body[key] for key in expected} == expected


@pytest.mark.parametrize(
    "options",
    [
        {"thinking": 1023},
        {"thinking": "enabled"},
        {"thinking": True},
        {"thinking": {"budget_tokens": 2048}},
        {"effort": "some"},
        {"cache": "2h"},
        {"thinking_display": "summarized"},
        {"thinking": "disabled", "thinking_display": "omitted"},
    ],
)
async def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        make_agent(SPEC, options, connection_to("http://127.0.0.1", protocol="messages"))
    assert caught.value.error_count() == 1


async def test_a_limit_that_leaves_no_room_for_the_thinking_is_refused_before_any_call(
    model_server: StartModelServer,
) -> None:
    server = model_server()
    asked = turn("Speak.", limits=Limits(max_output_tokens=2048))
    with pytest.raises(UnsupportedContent, match="lower 'thinking', or raise 'max_output_tokens'"):
        await _run(server, asked, options={"thinking": 2048})
    assert server.calls == 0


async def test_a_seed_is_refused_before_any_call(model_server: StartModelServer) -> None:
    server = model_server()
    with pytest.raises(UnsupportedContent, match="Messages has no 'seed'"):
        await _run(server, turn("Speak."), sampling=Sampling(seed=7))
    assert server.calls == 0


@pytest.mark.parametrize("wanted", [True, False])
async def test_parallel_tool_calls_are_asked_for_only_with_tools(
    model_server: StartModelServer, *, wanted: bool
) -> None:
    options = {"parallel_tool_calls": wanted}
    asked = turn("Look.", tools=[LOOKUP], call_tool=ScriptedTools())
    body = await _body(model_server, asked, options=options)
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": not wanted}
    assert "tool_choice" not in await _body(model_server, options=options)
    assert "tool_choice" not in await _body(model_server, asked)


async def test_tools_and_a_schema_go_together(model_server: StartModelServer) -> None:
    server = model_server([ToolCalls(CALL), Structured({"choice": "agent1"})])
    schema = {
        "type": "object",
        "properties": {"choice": {"type": "string"}},
        "additionalProperties": False,
    }
    asked = turn("Vote.", tools=[LOOKUP], call_tool=ScriptedTools("x"), output_schema=schema)
    result = await _run(server, asked, options={"effort": "low"})
    assert result.structured == {"choice": "agent1"}
    for request in server.requests:
        config = {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
        assert request.body["output_config"] == config


async def test_signed_thinking_is_taken_back_by_the_provider(
    model_server: StartModelServer,
) -> None:
    server = model_server(
        [ToolCalls(CALL, CALL, text="I see.", reasoning="I must look."), Text("Done.")]
    )
    asked = turn("Look.", tools=[LOOKUP], call_tool=ScriptedTools("one", "two"))
    result = await _run(server, asked, options={"thinking": 1024})
    assert result.text == "Done."
    request = server.requests[1].asked
    assert request is not None
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "tool"]
    assert request.messages[1].reasoning == "I must look."


async def test_a_history_may_end_with_the_model_s_own_words(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(CALL, text=" must look."), Text("Done.")], strict=False)
    asked = turn("?", assistant("I"), tools=[LOOKUP], call_tool=ScriptedTools("found"))
    assert (await _run(server, asked)).text == "Done."
    assert server.requests[0].body["messages"][1] == {"role": "assistant", "content": "I"}
    _, said, told = server.requests[1].body["messages"]
    assert [block.get("text") for block in said["content"]] == ["I", " must look.", None]
    assert told["content"][0]["tool_use_id"] == said["content"][2]["id"]
