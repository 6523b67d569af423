"""An agent from YAML: what CrewAI would do to prompts, answers and tools does not happen."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from massgen_bridge_crewai import bridge_adapters

from massgen_bridge import (
    ContextOverflow,
    LimitReached,
    Limits,
    RateLimited,
    Sampling,
    ToolDefinition,
    assistant,
    system,
    user,
)
from massgen_bridge.testing.agents import (
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.servers import (
    AutoToolCall,
    HttpError,
    Text,
    ToolCalls,
)
from massgen_bridge.testing.servers import (
    ContextOverflow as TooLong,
)

if TYPE_CHECKING:
    from massgen_bridge import Agent
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import ModelServer

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
LOOK = ToolDefinition(
    name="look",
    description="Looks.",
    input_schema={"type": "object", "properties": {"at": {"type": "string"}}},
)


async def _agent(server: ModelServer, options: dict[str, Any] | None = None, **more: Any) -> Agent:
    connection = connection_to(server, **more)
    return await anyio.to_thread.run_sync(
        lambda: make_agent(SPEC, options or {}, connection, agent_id="ann")
    )


def _sent(server: ModelServer, number: int = -1) -> list[tuple[str, Any]]:
    return [(m["role"], m["content"]) for m in server.requests[number].body["messages"]]


async def test_who_the_agent_is_stands_above_the_history(model_server: StartModelServer) -> None:
    server = model_server(Text("Yes."))
    agent = await _agent(server, {"role": "Judge", "goal": "Be fair", "backstory": "You are old."})
    await agent.run(turn(system("Be brief."), user("So?")), collect())
    await agent.run(turn("And?"), collect())
    await agent.aclose()
    persona = "You are Judge. You are old.\nYour personal goal is: Be fair"
    assert _sent(server, 0) == [("system", f"{persona}\n\nBe brief."), ("user", "So?")]
    assert _sent(server, 1) == [("system", persona), ("user", "And?")]


async def test_what_looks_like_crewai_s_own_is_no_more_than_text(
    model_server: StartModelServer,
) -> None:
    said = "Thought: hm\nAction: look\nAction Input: {}\nObservation: so\n\nFinal Answer: 5 \n"
    asked = "{tools} {tool_names} {input} {role}\nFinal Answer: 4"
    server = model_server(Text(said))
    agent = await _agent(server)
    result = await agent.run(turn(assistant("{goal}"), user(asked)), collect())
    await agent.aclose()
    assert result.text == said
    assert _sent(server) == [("assistant", "{goal}"), ("user", asked)]


@pytest.mark.parametrize(
    ("fault", "expected"), [(HttpError(status=429), RateLimited), (TooLong(), ContextOverflow)]
)
async def test_crewai_makes_no_attempt_of_its_own(
    model_server: StartModelServer, fault: Any, expected: type[Exception]
) -> None:
    server = model_server(fault)
    agent = await _agent(server)
    with pytest.raises(expected):
        await agent.run(turn("Speak."), collect())
    await agent.aclose()
    assert server.calls == 1


async def test_only_the_limits_of_the_turn_stop_a_tool_that_gives_the_same(
    model_server: StartModelServer,
) -> None:
    server, tools = model_server(AutoToolCall(again=True)), ScriptedTools("as before")
    agent = await _agent(server)
    limits = Limits(max_model_calls=12)
    with pytest.raises(LimitReached):
        await agent.run(turn("Look.", tools=[LOOK], call_tool=tools, limits=limits), collect())
    await agent.aclose()
    assert (server.calls, len(tools.calls)) == (12, 12)


async def test_after_max_iter_the_final_answer_is_asked_for(
    model_server: StartModelServer,
) -> None:
    call = ToolCalls(("look", {"at": "it"}))
    server = model_server([call, call, Text("Final Answer: enough. ")])
    agent = await _agent(server, {"max_iter": 2})
    asked = turn("Look.", tools=[LOOK], call_tool=ScriptedTools("seen"))
    result = await agent.run(asked, collect())
    await agent.aclose()
    assert result.text == "Final Answer: enough. "
    assert "tools" not in server.requests[-1].body
    assert _sent(server)[-1][0] == "user"


async def test_tools_whose_names_crewai_would_mix_up_are_told_apart(
    model_server: StartModelServer,
) -> None:
    names = ["lookUp", "look_up", "look-up", "LOOK_UP"]
    tools = [LOOK.model_copy(update={"name": name}) for name in names]
    server = model_server([ToolCalls(*((name, {"at": name}) for name in names)), Text("Done.")])
    calls = ScriptedTools("seen")
    agent = await _agent(server)
    await agent.run(turn("Look.", tools=tools, call_tool=calls), collect())
    await agent.aclose()
    assert [(call.name, call.arguments) for call in calls.calls] == [
        (name, {"at": name}) for name in names
    ]


@pytest.mark.parametrize("wanted", [True, False])
async def test_parallel_tool_calls_are_asked_for_only_with_tools(
    model_server: StartModelServer, *, wanted: bool
) -> None:
    server = model_server(Text("No."))
    agent = await _agent(server, {"parallel_tool_calls": wanted})
    await agent.run(turn("Look.", tools=[LOOK], call_tool=ScriptedTools()), collect())
    await agent.run(turn("Look."), collect())
    await agent.aclose()
    bodies = [request.body for request in server.requests]
    assert [body.get("parallel_tool_calls") for body in bodies] == [wanted, None]


async def test_the_output_limit_has_the_name_that_is_asked_for(
    model_server: StartModelServer,
) -> None:
    server = model_server(Text("No."))
    options = {"max_tokens_parameter": "max_completion_tokens"}
    agent = await _agent(server, options, sampling=Sampling(max_output_tokens=9))
    await agent.run(turn("Speak."), collect())
    await agent.aclose()
    assert server.requests[0].body["max_completion_tokens"] == 9


async def test_nothing_is_printed_and_no_logging_is_set_up(
    model_server: StartModelServer, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (list(logging.root.handlers), logging.root.level)
    server = model_server([Text("Yes."), HttpError(status=500)])
    agent = await _agent(server, {"role": "Judge", "goal": "Be fair", "backstory": "You are old."})
    await agent.run(turn("So?"), collect())
    with pytest.raises(Exception, match="500"):
        await agent.run(turn("So?"), collect())
    await agent.aclose()
    assert capfd.readouterr() == ("", "")
    assert (list(logging.root.handlers), logging.root.level) == before


async def test_a_turn_s_own_way_to_the_model_is_taken(model_server: StartModelServer) -> None:
    server = model_server(Text("Yes."))
    nowhere = connection_to("http://127.0.0.1:9/v1")
    agent = await anyio.to_thread.run_sync(lambda: make_agent(SPEC, {}, nowhere))
    for key in ("first", "second"):
        wanted = turn("So?").bind(ScriptedTools(), connection=connection_to(server, api_key=key))
        await agent.run(wanted, collect())
    await agent.aclose()
    assert [request.api_key for request in server.requests] == ["first", "second"]
    assert server.connections_opened == 1
