"""Kinds by another name: the same agents, with a provider of their own."""

from __future__ import annotations

import fastjsonschema
import pytest

from massgen_bridge.config import load_config
from massgen_bridge.config.schema import json_schema
from massgen_bridge.errors import ConfigError
from massgen_bridge.plugins import PluginHost, catalogue
from massgen_bridge.runtime.planning import prepare_run

HOST = PluginHost()
ENVIRON = {
    "ANTHROPIC_API_KEY": "a",
    "AZURE_OPENAI_API_KEY": "b",
    "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com",
    "GROQ_API_KEY": "c",
    "OPENAI_API_KEY": "d",
    "XAI_API_KEY": "e",
    "ZAI_API_KEY": "f",
}


@pytest.mark.parametrize(
    ("name", "model", "kind", "provider", "named"),
    [
        ("azure_openai", "my-deployment", "openai", "azure", "my-deployment"),
        ("chatcompletion", "gpt-5-mini", "openai", "openai", "gpt-5-mini"),
        ("chatcompletion", "groq/openai/gpt-oss-120b", "openai", "groq", "openai/gpt-oss-120b"),
        ("claude", "claude-sonnet-5-5", "anthropic", "anthropic", "claude-sonnet-5-5"),
        ("grok", "grok-4", "openai", "xai", "grok-4"),
        ("inference", "own", "openai", "vllm", "Qwen/Qwen3-8B"),
        # What looks like another provider is a model of this one all the same.
        ("lmstudio", "qwen/qwen3-8b", "openai", "lmstudio", "qwen/qwen3-8b"),
        ("sglang", "own", "openai", "vllm", "Qwen/Qwen3-8B"),
        ("vllm", "openai/gpt-oss-20b", "openai", "vllm", "openai/gpt-oss-20b"),
        ("zai", "glm-4.6", "openai", "zai", "glm-4.6"),
    ],
)
def test_a_model_s_name_means_the_alias_s_provider(
    name: str, model: str, kind: str, provider: str, named: str
) -> None:
    data = {
        "version": 1,
        "models": {"own": {"provider": "vllm", "model": "Qwen/Qwen3-8B"}},
        "agents": [{"id": "ada", "backend": {"type": name, "model": model}}],
    }
    prepared = prepare_run(load_config(data, host=HOST), host=HOST, environ=ENVIRON)
    connection = prepared.connections["ada"]
    assert (connection.provider, connection.model) == (provider, named)
    assert prepared.plan.agents[0].seat.kind == kind
    fastjsonschema.validate(json_schema(PluginHost(entry_points=False)), data)


def test_chatcompletion_speaks_chat_completions_alone() -> None:
    assert HOST.adapter("chatcompletion").protocols == ("chat",)


def test_inference_wants_a_connection_that_says_where() -> None:
    agents = [{"id": "ada", "backend": {"type": "inference", "model": "Qwen/Qwen3-8B"}}]
    with pytest.raises(ConfigError, match="there is no model 'Qwen/Qwen3-8B'"):
        load_config({"version": 1, "agents": agents}, host=HOST)


def test_a_misspelt_alias_is_told() -> None:
    agents = [{"id": "ada", "backend": {"type": "chatcompletions", "model": "m"}}]
    with pytest.raises(ConfigError, match="did you mean 'chatcompletion'"):
        load_config({"version": 1, "agents": agents}, host=HOST)


def test_the_options_are_those_of_the_kind() -> None:
    backend = {"type": "grok", "model": "grok-4", "max_token_parameter": "auto"}
    with pytest.raises(ConfigError, match="did you mean 'max_tokens_parameter'"):
        load_config({"version": 1, "agents": [{"id": "ada", "backend": backend}]}, host=HOST)


def test_no_alias_is_the_name_of_something_else() -> None:
    aliases = [name for entry in catalogue().values() for name in entry.aliases]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(catalogue())


@pytest.mark.parametrize("name", ["claude", "grok"])
def test_an_alias_comes_from_where_its_kind_does(name: str) -> None:
    kind = {"claude": "anthropic", "grok": "openai"}[name]
    assert HOST.origin(name) == HOST.origin(kind)
