"""What is said about the kind, what can be set, and what is set on nobody's behalf."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from massgen_bridge_langchain import LangChainOptions, bridge_adapters
from pydantic import ValidationError

from massgen_bridge import (
    Agent,
    ConfigError,
    LimitReached,
    Limits,
    ModelTraits,
    ToolCallFinished,
    ToolCallStarted,
    ToolDefinition,
)
from massgen_bridge.testing.agents import (
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.servers import Text, ToolCalls

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import ModelServer

(SPEC,) = bridge_adapters()


def test_every_option_is_described() -> None:
    fields = LangChainOptions.model_fields
    assert [name for name, field in fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"grahp": "x:y"}, "grahp"),
        ({"input": "text"}, "'input' can be used only with `graph`"),
        ({"graph": "x:y", "middleware": "x:z"}, "'middleware' can be used only without `graph`"),
        ({"graph": "x:y", "recursion_limit": 0}, "recursion_limit"),
        ({"models": "gateway"}, "'models' can be used only with `graph`"),
        ({"graph": "x:y", "state": {}}, "state"),
        ({"graph": "x:y", "state": {"topic": "qestion"}}, "state"),
        (
            {"graph": "x:y", "state": {"topic": "text"}, "input_key": "topic"},
            "'input_key' has no effect beside `state`",
        ),
    ],
)
def test_options_that_have_no_effect_are_errors(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        LangChainOptions.model_validate(options)


@pytest.mark.parametrize(
    ("options", "traits", "able"),
    [
        ({}, ModelTraits(), (True, True, {"image"}, False)),
        ({}, ModelTraits(tools=False, structured=False), (False, False, {"image"}, False)),
        (
            {},
            ModelTraits(inputs=frozenset({"audio", "video"})),
            (True, True, {"audio"}, False),
        ),
        (
            {"graph": "x:y"},
            None,
            (False, False, {"image", "audio", "video", "document"}, True),
        ),
        ({"graph": "x:y"}, ModelTraits(), (False, False, {"image"}, True)),
        ({"graph": "x:y", "input": "text"}, None, (False, False, set(), True)),
        ({"graph": "x:y", "state": {"x": "text"}}, None, (False, False, set(), True)),
        (
            {"graph": "x:y", "state": {"x": "messages"}},
            ModelTraits(),
            (False, False, {"image"}, True),
        ),
    ],
)
def test_no_more_is_promised_than_can_be_done(
    options: dict[str, Any], traits: ModelTraits | None, able: tuple[bool, bool, set[str], bool]
) -> None:
    assert SPEC.refine is not None
    capabilities = SPEC.refine(LangChainOptions.model_validate(options), traits)
    tools, structured, inputs, group = able
    assert capabilities.tools == tools
    assert capabilities.structured == structured
    assert capabilities.inputs == inputs
    assert capabilities.group == group
    assert capabilities.inputs <= SPEC.capabilities.inputs
    assert capabilities.history == LangChainOptions.model_validate(options).takes_messages


def test_models_that_are_redirected_need_one_to_go_to() -> None:
    assert SPEC.redirects is not None
    assert SPEC.redirects(LangChainOptions(graph="x:y", models="gateway"))
    assert not SPEC.redirects(LangChainOptions(graph="x:y"))
    with pytest.raises(ConfigError, match="say which, with `model`"):
        make_agent(SPEC, {"graph": "x:y", "models": "gateway"}, None, load=lambda _path: None)


def test_paths_to_code_ask_for_trust() -> None:
    fields = LangChainOptions.model_fields
    paths = {name for name, field in fields.items() if "Import path" in (field.description or "")}
    assert set(SPEC.imports_code) == paths


def test_tracing_is_nobody_s_but_the_user_s() -> None:
    """In a process of its own: LangChain reads its environment once."""
    code = """
import json, os, sys
before = dict(os.environ)
from massgen_bridge_langchain import bridge_adapters
cheap = sorted({"langchain", "langchain_core", "langgraph", "openai"} & set(sys.modules))
from massgen_bridge.testing.agents import connection_to, make_agent
make_agent(bridge_adapters()[0], {}, connection_to("http://127.0.0.1:9/v1"))
from langsmith.utils import tracing_is_enabled
print(json.dumps([cheap, dict(os.environ) == before, tracing_is_enabled()]))
"""
    environment = {
        n: v for n, v in os.environ.items() if not n.startswith(("LANGSMITH", "LANGCHAIN"))
    }
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == [[], True, False]


# --- middleware -----------------------------------------------------------------------------------


@tool
def halve(number: int) -> int:
    """Halve a number."""
    if number % 2:
        raise ValueError("an odd number")
    return number // 2


class Polite(AgentMiddleware[Any, Any]):
    """Changes what is sent, and brings a tool along."""

    tools = [halve]  # noqa: RUF012 - as LangChain declares it

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        answer = await handler(request.override(messages=[*request.messages, ("user", "Please!")]))
        answer.result[-1].content += " You are welcome."
        return answer


class Short(AgentMiddleware[Any, Any]):
    """Answers by itself."""

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        assert request
        assert handler
        return AIMessage("Short.")


LOADED = {"x:polite": Polite(), "x:two": [Polite(), Short()], "x:odd": [halve], "x:number": 3}


def polite_agent(server: ModelServer, path: str = "x:polite") -> Agent:
    return make_agent(SPEC, {"middleware": path}, connection_to(server), load=LOADED.__getitem__)


@pytest.mark.anyio
async def test_middleware_of_the_user_s_own_takes_part(model_server: StartModelServer) -> None:
    server = model_server(Text("A cat."))
    agent = polite_agent(server)
    result = await agent.run(turn("Which pet?"), collect())
    await agent.aclose()
    assert result.text == "A cat. You are welcome."
    assert [m["content"] for m in server.requests[0].body["messages"]] == ["Which pet?", "Please!"]
    assert [t["function"]["name"] for t in server.requests[0].body["tools"]] == ["halve"]


@pytest.mark.anyio
async def test_middleware_may_answer_without_the_model(model_server: StartModelServer) -> None:
    server = model_server()
    agent = polite_agent(server, "x:two")
    result = await agent.run(turn("Which pet?"), collect())
    await agent.aclose()
    assert result.text == "Short. You are welcome."
    assert server.calls == 0


@pytest.mark.anyio
async def test_tools_of_middleware_stand_beside_those_of_the_turn(
    model_server: StartModelServer,
) -> None:
    server = model_server(
        [
            ToolCalls(("halve", {"number": 8}), ("ask", {}), ("halve", {"number": 7})),
            Text("Done."),
        ]
    )
    agent = polite_agent(server)
    ask = ToolDefinition(name="ask", description="Asks.", input_schema={"type": "object"})
    host = ScriptedTools("from the host")
    log = collect()
    result = await agent.run(turn("?", tools=[ask], call_tool=host), log)
    await agent.aclose()
    assert [call.name for call in host.calls] == ["ask"]
    assert [event.call.name for event in log.of(ToolCallStarted)] == ["halve", "ask", "halve"]
    results = [event.result for event in log.of(ToolCallFinished)]
    assert [one.content for one in results] == ["4", "from the host", "ValueError: an odd number"]
    assert [one.is_error for one in results] == [False, False, True]
    assert result.new_messages[1].parts == tuple(results)


@pytest.mark.anyio
async def test_the_limit_of_tool_calls_holds_for_tools_of_middleware(
    model_server: StartModelServer,
) -> None:
    agent = polite_agent(model_server(ToolCalls(("halve", {"number": 8}))))
    with pytest.raises(LimitReached, match="1 tool calls"):
        await agent.run(turn("?", limits=Limits(max_tool_calls=1)), collect())
    await agent.aclose()


@pytest.mark.parametrize("path", ["x:odd", "x:number"])
def test_what_is_no_middleware_is_an_error_of_the_configuration(path: str) -> None:
    with pytest.raises(ConfigError, match=f"`middleware: {path}` is .* expected an instance"):
        make_agent(
            SPEC,
            {"middleware": path},
            connection_to("http://127.0.0.1:9/v1"),
            load=LOADED.__getitem__,
        )
