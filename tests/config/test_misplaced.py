"""A key that stands in a backend by mistake is told where it belongs."""

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
