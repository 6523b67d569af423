"""What only some servers send, and what LangChain alone would lose of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from massgen_bridge_langchain import bridge_adapters

from massgen_bridge import (
    Agent,
    ProtocolFailed,
    ReasoningDelta,
    ServerFailed,
    ToolDefinition,
)
from massgen_bridge.testing.agents import (
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.servers import HttpError, Text

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import ModelServer

pytestmark = pytest.mark.anyio

LOOK_UP = ToolDefinition(
    name="look-up", description="Looks a word up.", input_schema={"type": "object"}
)


def agent_at(server: ModelServer) -> Agent:
    (spec,) = bridge_adapters()
    return make_agent(spec, {}, connection_to(server))


def sent(server: ModelServer) -> dict[str, Any]:
    body: dict[str, Any] = server.requests[-1].body
    return body


def stream_of(*deltas: dict[str, Any], finish: str = "stop") -> HttpError:
    """A stream of the test's own, for what only some servers send."""
    choices = [
        *({"index": 0, "delta": delta, "finish_reason": None} for delta in deltas),
        {"index": 0, "delta": {}, "finish_reason": finish},
    ]
    chunks = (
        {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [c]}
        for c in choices
    )
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return HttpError(status=200, body=body, content_type="text/event-stream")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_is_told_apart_from_the_answer(
    model_server: StartModelServer, name: str
) -> None:
    agent = agent_at(model_server([stream_of({name: "Hm, "}, {name: "so."}, {"content": "A cat"})]))
    log = collect()
    result = await agent.run(turn("?"), log)
    await agent.aclose()
    assert result.text == log.text == "A cat"
    assert [delta.text for delta in log.of(ReasoningDelta)] == ["Hm, ", "so."]


def call_of(index: int | None, call_id: str, arguments: str) -> dict[str, Any]:
    function = {"name": "look-up", "arguments": arguments}
    return {"index": index, "id": call_id, "type": "function", "function": function}


async def test_reasoning_goes_back_to_the_model_while_the_turn_goes_on(
    model_server: StartModelServer,
) -> None:
    asks = stream_of(
        {"reasoning_content": "Look it up."},
        {"tool_calls": [call_of(0, "c1", "{}")]},
        finish="tool_calls",
    )
    server = model_server([asks, Text("done")])
    agent = agent_at(server)
    await agent.run(turn("?", tools=[LOOK_UP], call_tool=ScriptedTools()), collect())
    await agent.aclose()
    assert sent(server)["messages"][1]["reasoning_content"] == "Look it up."


@pytest.mark.parametrize("indexes", [(0, 0), (None, None), (0, 1)])
async def test_two_tool_calls_are_two_whatever_the_server_numbers_them(
    model_server: StartModelServer, indexes: tuple[int | None, int | None]
) -> None:
    one, other = (call_of(index, f"c{n}", f'{{"word": "w{n}"}}') for n, index in enumerate(indexes))
    asks = stream_of({"tool_calls": [one]}, {"tool_calls": [other]}, finish="stop")
    agent = agent_at(model_server([asks, Text("done")]))
    tools = ScriptedTools()
    await agent.run(turn("?", tools=[LOOK_UP], call_tool=tools), collect())
    await agent.aclose()
    assert [call.arguments for call in tools.calls] == [{"word": "w0"}, {"word": "w1"}]


async def test_what_a_server_calls_a_failure_is_one(model_server: StartModelServer) -> None:
    agent = agent_at(model_server([stream_of({"content": "A c"}, finish="abort")]))
    with pytest.raises(ServerFailed, match="'abort'"):
        await agent.run(turn("?"), collect())
    await agent.aclose()


async def test_a_tool_call_without_a_name_is_no_call(model_server: StartModelServer) -> None:
    nameless = {"index": 0, "id": "c1", "type": "function", "function": {"arguments": "{}"}}
    asks = stream_of({"tool_calls": [nameless]}, finish="tool_calls")
    agent = agent_at(model_server([asks]))
    with pytest.raises(ProtocolFailed, match="without a name"):
        await agent.run(turn("?", tools=[LOOK_UP], call_tool=ScriptedTools()), collect())
    await agent.aclose()
