"""Mistakes that have something to do with other places of a configuration."""

from __future__ import annotations

import pytest

from massgen_bridge.config import InvalidConfig, load_config
from massgen_bridge.plugins import PluginHost


@pytest.mark.parametrize(
    ("kind", "key", "told"),
    [
        ("openai", "base_url", "; write it at a connection under 'models:', "),
        ("anthropic", "temperature", "; write it at a connection under 'models:', "),
        ("openai", "max_tokens", "; as 'max_output_tokens', write it at a connection "),
        ("openai", "system_message", "; it stands beside 'backend', not in it"),
        ("scripted", "limits", "; it stands beside 'backend', not in it"),
        ("scripted", "temperature", " (known: answers, "),
    ],
)
def test_a_key_is_told_where_it_belongs(kind: str, key: str, told: str) -> None:
    agent = {"id": "ada", "backend": {"type": kind, "model": "m", key: 1}}
    with pytest.raises(InvalidConfig) as caught:
        load_config({"version": 1, "agents": [agent]}, PluginHost())
    (message,) = (one.message for one in caught.value.problems if key in one.path)
    assert message.startswith(f"agents[0].backend.{key}: unknown key{told}")


def test_a_model_that_is_declared_with_a_mistake_is_known_by_its_name() -> None:
    agent = {"id": "ada", "backend": {"type": "langchain", "model": "opnai/x"}}
    models = {"strong": {"provider": "openai", "model": "m", "temprature": 1}}
    with pytest.raises(InvalidConfig) as caught:
        load_config({"version": 1, "models": models, "agents": [agent]}, PluginHost())
    told = [one.message for one in caught.value.problems]
    assert any("did you mean 'temperature'?" in one for one in told)
    (unknown,) = (one for one in told if "there is no model 'opnai/x'" in one)
    assert "(did you mean 'openai/x'?): expected a name from 'models:' ('strong')" in unknown
