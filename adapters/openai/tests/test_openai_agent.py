"""Turns: parameters, limits, retries, tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from massgen_bridge_openai import bridge_adapters
from pydantic import ValidationError

from massgen_bridge import (
    Limits,
    ModelRetried,
    Quirks,
    RetryPolicy,
    Sampling,
    TurnResult,
)
from massgen_bridge.testing.agents import (
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    run_turn,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import (
    Hang,
    ModelServer,
    Structured,
    Text,
    ToolCalls,
)

if TYPE_CHECKING:
    from massgen_bridge import Turn
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import Reply

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
    return await run_turn(SPEC, asked, connection_to(server, **connection), options=options)


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
        "messages": [{"role": "user", "content": "Speak."}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_extra_parameters_go_in_unchanged(model_server: StartModelServer) -> None:
    extra = {"reasoning_effort": "low", "provider": {"order": ["one"]}}
    body = await _body(model_server, sampling=Sampling(extra=extra))
    assert body["reasoning_effort"] == "low"
    assert body["provider"] == {"order": ["one"]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "max_tokens"),
        ({"max_tokens_parameter": "max_tokens"}, "max_tokens"),
        ({"max_tokens_parameter": "max_completion_tokens"}, "max_completion_tokens"),
    ],
)
async def test_the_output_limit_has_the_name_that_the_server_knows(
    model_server: StartModelServer, options: dict[str, Any], expected: str
) -> None:
    sampling = Sampling(max_output_tokens=9)
    body = await _body(model_server, sampling=sampling, options=options)
    names = {"max_tokens", "max_completion_tokens"}
    assert {name: body[name] for name in names & set(body)} == {expected: 9}


async def test_the_request_has_the_form_that_the_provider_understands(
    model_server: StartModelServer,
) -> None:
    quirks = Quirks(output_limit="max_completion_tokens", stream_usage=False, seed="random_seed")
    sampling = Sampling(max_output_tokens=9, seed=7)
    body = await _body(model_server, sampling=sampling, quirks=quirks)
    body.pop("messages")
    assert body == {
        "model": "scripted",
        "stream": True,
        "max_completion_tokens": 9,
        "random_seed": 7,
    }


async def test_the_turn_s_limit_comes_before_the_connection_s(
    model_server: StartModelServer,
) -> None:
    narrower = turn("Speak.", limits=Limits(max_output_tokens=4))
    body = await _body(model_server, narrower, sampling=Sampling(max_output_tokens=9))
    assert body["max_tokens"] == 4


@pytest.mark.parametrize("wanted", [True, False])
async def test_parallel_tool_calls_are_asked_for_only_with_tools(
    model_server: StartModelServer, *, wanted: bool
) -> None:
    options = {"parallel_tool_calls": wanted}
    asked = turn("Look.", tools=[LOOKUP], call_tool=ScriptedTools())
    assert (await _body(model_server, asked, options=options))["parallel_tool_calls"] is wanted
    assert "parallel_tool_calls" not in await _body(model_server, options=options)
    assert "parallel_tool_calls" not in await _body(model_server, asked)


async def test_options_are_checked() -> None:
    with pytest.raises(ValidationError):
        make_agent(SPEC, {"max_tokens_parameter": "tokens"}, connection_to("http://127.0.0.1/v1"))


async def test_tools_and_a_schema_go_together(model_server: StartModelServer) -> None:
    server = model_server([ToolCalls(CALL), Structured({"choice": "agent1"})])
    schema = {"type": "object", "properties": {"choice": {"type": "string"}}}
    asked = turn("Vote.", tools=[LOOKUP], call_tool=ScriptedTools("x"), output_schema=schema)
    result = await _run(server, asked)
    assert result.structured == {"choice": "agent1"}
    for request in server.requests:
        assert request.body["response_format"]["json_schema"]["schema"] == schema


LIMITS: dict[str, tuple[Reply, dict[str, float]]] = {
    "no first token after 1.5 s ('first_token_timeout_s')": (
        Hang(),
        {"first_token_timeout_s": 1.5},
    ),
    "no first token after 1.6 s ('first_token_timeout_s')": (
        Hang(after=0),
        {"first_token_timeout_s": 1.6},
    ),
    "not done after 1.5 s ('total_timeout_s')": (Hang(after=2), {"total_timeout_s": 1.5}),
    "nothing came for 1.5 s: 'timeout_s'": (Hang(after=2), {"timeout_s": 1.5}),
}


async def test_each_limit_of_time_is_named_when_it_has_passed(
    model_server: StartModelServer,
) -> None:
    """All at once, so that nobody waits for one after the other."""
    found: dict[str, ModelRetried] = {}

    async def pass_the_limit(said: str) -> None:
        reply, limits = LIMITS[said]
        server, events = model_server([reply, Text("Done.")]), collect()
        retry = RetryPolicy(attempts=2, base_s=0.001)
        connection = connection_to(server, retry=retry).model_copy(update=limits)
        result = await run_turn(SPEC, "Speak.", connection, events)
        assert result.text == events.text == "Done."
        (found[said],) = events.of(ModelRetried)

    async def begin_in_time() -> None:
        server = model_server(Text.of_tokens(10, tokens_per_second=5))
        connection = connection_to(server).model_copy(update={"first_token_timeout_s": 1.5})
        result = await run_turn(SPEC, "Speak.", connection)
        assert result.text == Text.of_tokens(10).text, "an answer that has begun may take longer"

    async with anyio.create_task_group() as tasks:
        for said in LIMITS:
            tasks.start_soon(pass_the_limit, said)
        tasks.start_soon(begin_in_time)
    for said, retried in found.items():
        assert retried.kind == "timeout"
        assert said in retried.message
    assert found.keys() == LIMITS.keys()
