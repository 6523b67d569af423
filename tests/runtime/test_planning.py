"""From a checked configuration to a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from massgen_bridge.agent import ToolDefinition
from massgen_bridge.config.load import load_config
from massgen_bridge.errors import ConfigError
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.planning import Prepared, prepare_run
from massgen_bridge.specs import ToolSpec


def prepared(agents: list[dict[str, Any]], host: PluginHost | None = None, **more: Any) -> Prepared:
    host = host or PluginHost()
    config = load_config({"version": 1, "agents": agents, **more}, host)
    return prepare_run(config, host=host, environ={})


def test_labels_follow_the_order_of_the_agents() -> None:
    names = ("zoe", "ada")
    plan = prepared([{"id": name, "backend": {"type": "scripted"}} for name in names]).plan

    assert [(a.seat.agent_id, a.seat.label) for a in plan.agents] == [
        ("zoe", "agent1"),
        ("ada", "agent2"),
    ]


@pytest.mark.parametrize(
    ("model", "way"),
    [
        ({"provider": "vllm", "model": "m"}, "tools"),
        ({"provider": "vllm", "model": "m", "tools": False, "structured": True}, "schema"),
        ({"provider": "vllm", "model": "m", "tools": False, "structured": False}, "text"),
        ({"provider": "local"}, "schema"),
        ({"provider": "local", "structured": False}, "tools"),
    ],
)
def test_an_agent_votes_as_its_kind_and_its_model_can(model: dict[str, Any], way: str) -> None:
    agent = {"id": "ada", "backend": {"type": "openai", "model": "m"}}

    planned = prepared([agent], models={"m": model}).plan.agents[0]
    assert planned.way == way
    assert planned.seat.provider == model["provider"]


@pytest.mark.parametrize("kind", ["openai", "anthropic", "langchain"])
@pytest.mark.parametrize(("asked", "way"), [("auto", "schema"), ("tools", "tools")])
def test_every_kind_votes_on_the_local_model_by_what_holds_it(
    kind: str, asked: str, way: str
) -> None:
    agent = {"id": "ada", "ballot": asked, "backend": {"type": kind, "model": "local"}}
    planned = prepared([agent]).plan.agents[0]
    assert planned.way == way
    assert planned.capabilities.tools
    assert planned.capabilities.structured


def test_the_deadline_and_the_strategy_are_the_configurations() -> None:
    agent = {"id": "ada", "backend": {"type": "scripted"}}
    plan = prepared(
        [agent],
        strategy={"type": "consensus", "max_rounds": 2},
        timeout_settings={"orchestrator_timeout_seconds": 7},
    ).plan

    assert (plan.strategy_name, plan.deadline_s) == ("consensus", 7.0)
    assert plan.strategy_options["max_rounds"] == 2


def test_a_missing_key_names_variable_agent_and_place(tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\nagents:\n  - id: ada\n    backend: {type: openai, model: openai/gpt-5-mini}\n"
    )
    host = PluginHost()

    with pytest.raises(ConfigError) as caught:
        prepare_run(load_config(file, host), host=host, environ={})
    assert "'ada'" in caught.value.message
    assert "OPENAI_API_KEY" in caught.value.message
    assert (caught.value.file, caught.value.line) == (str(file), 4)


def test_a_kind_without_a_model_cannot_be_given_one() -> None:
    agent = {"id": "ada", "backend": {"type": "scripted", "model": "local"}}

    with pytest.raises(ConfigError, match="'scripted'"):
        prepared([agent])


def test_no_tool_may_take_the_name_by_which_agents_vote() -> None:
    async def call(arguments: Any) -> str:
        return str(arguments)

    class Tools:
        @hookimpl
        def bridge_tools(self) -> list[ToolSpec]:
            schema = {"type": "object"}
            definition = ToolDefinition(name="vote", description="x", input_schema=schema)
            return [ToolSpec(definition=definition, call=call)]

    host = PluginHost()
    host.register(Tools(), name="tools")
    agent = {"id": "ada", "tools": ["vote"], "backend": {"type": "scripted"}}

    with pytest.raises(ConfigError, match="'vote' is taken"):
        prepared([agent], host)


def test_options_that_do_not_go_with_the_connection_are_refused_where_they_stand() -> None:
    backend = {"type": "openai", "model": "m", "web_search": True}
    with pytest.raises(ConfigError) as caught:
        prepared(
            [{"id": "ada", "backend": backend}], models={"m": {"provider": "vllm", "model": "x"}}
        )
    said = str(caught.value)
    assert "agent 'ada': the option 'web_search' is not for the connection 'm'" in said
    assert "set 'protocol: responses'" in said


@pytest.mark.parametrize(
    ("kind", "provider", "protocol"),
    [
        ("openai", "openai", "responses"),
        ("openai", "groq", "chat"),
        ("langchain", "openai", "chat"),
        ("langchain", "xai", "chat"),
    ],
)
def test_each_kind_speaks_to_a_provider_as_it_can(kind: str, provider: str, protocol: str) -> None:
    host = PluginHost()
    agent = {"id": "ada", "backend": {"type": kind, "model": "m"}}
    models = {"m": {"provider": provider, "model": "x", "api_key": "${MINE}"}}
    config = load_config({"version": 1, "agents": [agent], "models": models}, host)
    plan = prepare_run(config, host=host, environ={"MINE": "k"})
    assert plan.connections["ada"].protocol == protocol
