"""Many turns at once, turns that are stopped, and what is left behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from massgen_bridge_langchain import bridge_adapters
from massgen_bridge_langchain._model import CLIENTS

from massgen_bridge import Agent, TextDelta, ToolDefinition, TurnEvent
from massgen_bridge.testing.agents import (
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.servers import AutoToolCall, Hang, ModelRequest, Text, ToolCalls

if TYPE_CHECKING:
    from massgen_bridge import ToolCall
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import ModelServer, Reply

pytestmark = pytest.mark.anyio

TOOL = ToolDefinition(name="tool", description="A tool.", input_schema={"type": "object"})


def agent_at(server: ModelServer) -> Agent:
    (spec,) = bridge_adapters()
    return make_agent(spec, {}, connection_to(server))


def ask_back(request: ModelRequest) -> Reply:
    """Calls the tool once with the question, then gives the result as the answer."""
    if request.ends_with_tool_result:
        return Text(f"answer {request.last_text}", tokens_per_second=500)
    return ToolCalls(("tool", {"question": request.last_text}))


async def test_fifty_turns_of_one_agent_keep_apart(model_server: StartModelServer) -> None:
    server = model_server(ask_back, together=50)
    agent = agent_at(server)

    async def told(call: ToolCall) -> str:
        await anyio.sleep(0.01)
        return f"to {call.arguments['question']}"

    async def one(number: int) -> None:
        log, tools = collect(), ScriptedTools(told)
        result = await agent.run(
            turn(f"q{number}", tools=[TOOL], call_tool=tools, turn_id=f"t{number}"), log
        )
        assert result.text == log.text == f"answer to q{number}"
        assert [call.arguments for call in tools.calls] == [{"question": f"q{number}"}]
        assert result.usage is not None
        assert result.usage.calls == 2

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, number)
    assert server.calls == 100
    assert server.most_running_calls == 50
    await agent.aclose()


async def test_agents_of_one_connection_share_a_client(model_server: StartModelServer) -> None:
    server = model_server()
    agents = [agent_at(server) for _ in range(3)]
    for agent in agents:
        assert (await agent.run(turn("q"), collect())).text == "q"
    assert CLIENTS.users() == [[3]]
    await agents.pop().aclose()
    assert (await agents[0].run(turn("again"), collect())).text == "again"
    for agent in agents:
        await agent.aclose()
    assert CLIENTS.users() == []


async def test_turns_with_and_without_tools_take_turns_on_one_agent(
    model_server: StartModelServer,
) -> None:
    server = model_server(ask_back)
    agent = agent_at(server)
    other = TOOL.model_copy(update={"name": "other"})
    for tools in ((TOOL,), (), (TOOL, other)):
        caller = ScriptedTools("x")
        await agent.run(turn("q", tools=tools, call_tool=caller), collect())
        body: Any = server.requests[-1].body
        names = [tool["function"]["name"] for tool in body.get("tools", [])]
        assert names == [tool.name for tool in tools]
    await agent.aclose()


@pytest.mark.parametrize(
    "fault", [Hang(), Hang(after=2), Text.of_tokens(500, tokens_per_second=50)]
)
async def test_a_turn_that_is_stopped_closes_its_connection_at_once(
    model_server: StartModelServer, fault: Reply
) -> None:
    server = model_server(fault)
    agent = agent_at(server)
    log = collect()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.run, turn("?"), log)
        await server.await_calls()
        if fault != Hang():
            await server.await_tokens(2)
        tasks.cancel_scope.cancel()
    await server.await_close()
    told = len(log.events)
    await anyio.sleep(0.1)
    assert len(log.events) == told
    assert server.calls == 1
    await agent.aclose()


@pytest.mark.parametrize(
    "reply", [AutoToolCall(again=True), ToolCalls(("tool", {"n": 1}), ("tool", {"n": 2}))]
)
async def test_a_turn_that_is_stopped_in_a_tool_makes_no_further_call(
    model_server: StartModelServer, reply: Reply
) -> None:
    server = model_server(reply)
    agent = agent_at(server)
    entered, left = anyio.Event(), []

    async def hang(call: ToolCall) -> str:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            left.append(call)
        return "never"

    tools = ScriptedTools(hang)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.run, turn("?", tools=[TOOL], call_tool=tools), collect())
        await entered.wait()
        tasks.cancel_scope.cancel()
    await anyio.sleep(0.1)
    assert left == tools.calls
    assert server.calls == len(tools.calls) == 1
    await agent.aclose()


async def test_stopping_one_turn_leaves_the_others_alone(model_server: StartModelServer) -> None:
    server = model_server(Text("one two three", tokens_per_second=20))
    agent = agent_at(server)
    results = []

    async def stay() -> None:
        results.append((await agent.run(turn("stay"), collect())).text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stay)
        with anyio.move_on_after(0.05) as scope:
            await agent.run(turn("go"), collect())
        assert scope.cancelled_caught
    assert results == ["one two three"]
    await agent.aclose()


async def test_connections_are_kept_between_turns_and_closed_at_the_end(
    model_server: StartModelServer,
) -> None:
    server = model_server(Text("ok"))
    agent = agent_at(server)
    for _ in range(5):
        await agent.run(turn("?"), collect())
    if not openai.__version__.startswith("2."):  # which closes the connection behind each stream
        assert server.connections_opened == 1
    await agent.aclose()
    server.wait_until(lambda: server.open_connections == 0, what="no open connection")


async def test_an_agent_that_never_ran_has_nothing_to_give_back(
    model_server: StartModelServer,
) -> None:
    server = model_server(Text("ok"))
    await agent_at(server).aclose()
    assert server.connections_opened == 0


async def test_no_thread_is_left_behind(model_server: StartModelServer) -> None:
    server = model_server(Text("ok"))
    agent = agent_at(server)
    await agent.run(turn("?"), collect())
    before = threading.active_count()
    for _ in range(10):
        await agent.run(turn("?"), collect())
    assert threading.active_count() <= before
    await agent.aclose()


async def test_the_answer_waits_for_whoever_listens(model_server: StartModelServer) -> None:
    """Deltas are handed over one by one, in order, and before the turn is over."""
    agent = agent_at(model_server(Text.of_tokens(30)))
    seen: list[str] = []

    async def slow(event: TurnEvent, /) -> None:
        await anyio.sleep(0.001)
        if isinstance(event, TextDelta):
            seen.append(event.text)

    result = await agent.run(turn("?"), slow)
    await agent.aclose()
    assert "".join(seen) == result.text
    assert len(seen) == 30
