"""Tools and forms on the local model itself, by the SDKs and frameworks that ask for them.

What it says is of no matter, and neither is whether it calls a tool where it is free to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import anthropic
import anyio
import openai
import pytest
from anyio.from_thread import start_blocking_portal
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from massgen_bridge import run
from massgen_bridge.connection import Connection, Protocols
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.gateway.local.schemas import SHORT, held
from massgen_bridge.models.local import install_weights
from massgen_bridge.models.providers import PROVIDERS

pytestmark = pytest.mark.timeout(300)

_CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_ASKED: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
_TOOL: Any = {"name": "weather", "description": "The weather in a city.", "input_schema": _CITY}
_CHAT_TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather in a city.", "parameters": _CITY},
}
_RESPONSES_TOOL: Any = {"type": "function", "strict": False, **_CHAT_TOOL["function"]}


class Verdict(BaseModel):
    winner: int
    tags: list[Literal["good", "bad"]]
    inner: Verdict | None


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[Protocols], Connection]]:
    """Connections to one local server, as agents of a run have them."""
    anyio.run(install_weights)
    providers = {provider.name: provider for provider in PROVIDERS}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(ConnectionPool({}, providers, {})) as pool,
    ):

        def make(protocol: Protocols) -> Connection:
            pool.add(protocol, "local", protocols=[protocol])
            return portal.call(pool.connection, protocol)

        yield make


def _key(connection: Connection) -> str:
    assert connection.api_key is not None
    return connection.api_key.get_secret_value()


@pytest.fixture
def openai_client(connect: Callable[[Protocols], Connection]) -> Iterator[openai.OpenAI]:
    at = connect("chat")
    with openai.OpenAI(base_url=at.base_url, api_key=_key(at), max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(connect: Callable[[Protocols], Connection]) -> Iterator[anthropic.Anthropic]:
    at = connect("messages")
    with anthropic.Anthropic(base_url=at.base_url, api_key=_key(at), max_retries=0) as client:
        yield client


def test_a_tool_that_must_be_called_is_called_in_every_protocol(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    with openai_client.chat.completions.stream(
        model="local", messages=_ASKED, tools=[_CHAT_TOOL], tool_choice="required"
    ) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or []
    assert json.loads(call.function.arguments).keys() == {"city"}

    response = openai_client.responses.create(
        model="local",
        input="How is the weather in Paris?",
        tools=[_RESPONSES_TOOL],
        tool_choice={"type": "function", "name": "weather"},
    )
    (item,) = response.output
    assert item.type == "function_call"
    assert json.loads(item.arguments).keys() == {"city"}

    with anthropic_client.messages.stream(
        model="local", max_tokens=300, messages=_ASKED, tools=[_TOOL], tool_choice={"type": "any"}
    ) as events:
        message = events.get_final_message()
    assert message.stop_reason == "tool_use"
    (use,) = message.content
    assert use.type == "tool_use"
    assert use.input.keys() == {"city"}
    assert message.usage.output_tokens > 5


def test_an_answer_has_the_form_that_is_asked_for_in_messages(
    anthropic_client: anthropic.Anthropic,
) -> None:
    message = anthropic_client.messages.parse(
        model="local",
        max_tokens=900,
        messages=[{"role": "user", "content": "Who wins, 1 or 2?"}],
        output_format=Verdict,
    )
    assert isinstance(message.parsed_output, Verdict)


def test_an_agent_of_a_framework_uses_a_tool_and_answers(
    connect: Callable[[Protocols], Connection],
) -> None:
    asked = []

    def weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "Sunny, 20 degrees."

    at = connect("chat")
    model = ChatOpenAI(base_url=at.base_url, api_key=_key(at), model="local", max_tokens=300)
    called = model.bind_tools([weather], tool_choice="any").invoke("How is the weather in Paris?")
    assert isinstance(called, AIMessage)
    assert called.tool_calls[0]["name"] == "weather"
    assert called.tool_calls[0]["args"].keys() == {"city"}

    agent = create_agent(model, [weather])
    done = agent.invoke({"messages": [{"role": "user", "content": "How warm is it in Rome?"}]})
    *_, last = done["messages"]
    assert isinstance(last, AIMessage)
    assert not last.tool_calls
    results = [one for one in done["messages"] if isinstance(one, ToolMessage)]
    assert len(results) == len(asked) <= 1


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"x": {}, "y": {"type": ["string", "null"]}}},
        {"type": "array", "prefixItems": [{"const": 1}, {"format": "uuid"}]},
        {"type": "string", "pattern": r"^\+[a-z0-9_]{2,}(a|b)?\d*$"},
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": -3, "exclusiveMaximum": 1000},
        {"type": "array", "items": {"type": "string"}, "maxItems": 0},
        {"anyOf": [{"const": {"a": [1, None]}}, {"enum": [1, "b", None, True]}]},
        {"type": "array", "items": Verdict.model_json_schema()["$defs"]["Verdict"]}
        | {"$defs": Verdict.model_json_schema()["$defs"]},
        {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(40)}},
    ],
)
def test_the_server_takes_what_schemas_become(
    openai_client: openai.OpenAI, schema: dict[str, Any]
) -> None:
    held(schema, SHORT, where="the schema")
    form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = openai_client.chat.completions.create(
        model="local", messages=_ASKED, response_format=form, max_tokens=1
    )
    assert answer.choices[0].finish_reason in {"length", "stop"}


def test_agents_of_different_protocols_answer_and_vote_on_it() -> None:
    # Equal answers would be one, with nothing to vote on; a reason may take a hundred tokens.
    model = {"provider": "local", "max_output_tokens": 120, "temperature": 0}
    ada = {"id": "ada", "system_message": "You are a baker."}
    lin = {"id": "lin", "system_message": "You are a sailor."}
    result = run(
        {
            "version": 1,
            "models": {"shared": model},
            "agents": [
                {**ada, "backend": {"type": "anthropic", "model": "shared"}},
                {**lin, "backend": {"type": "openai", "model": "shared"}},
            ],
            "strategy": {"type": "consensus", "max_rounds": 1},
        },
        "Who are you, and what do you do all day?",
        keep=False,
    )
    assert result.require_answer()
    assert {vote.voter for vote in result.votes} == {"ada", "lin"}
