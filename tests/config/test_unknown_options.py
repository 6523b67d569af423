"""An option that a kind does not know is refused with the nearest name, and sent to nobody."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge.config import load_config
from massgen_bridge.errors import ConfigError
from massgen_bridge.plugins import PluginHost, catalogue

HOST = PluginHost()
KINDS = [kind for kind, one in catalogue().items() if one.status == "available"]
MODEL_KINDS = [kind for kind in KINDS if HOST.adapter(kind).needs_model]


def _refusal(backend: dict[str, Any], **models: dict[str, Any]) -> str:
    agents = [{"id": "ada", "backend": backend}]
    with pytest.raises(ConfigError) as caught:
        load_config({"version": 1, "models": models, "agents": agents}, host=HOST)
    problems = getattr(caught.value, "problems", ())
    return "; ".join(map(str, problems)) or str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_option_of_any_kind_is_told_with_the_right_one(kind: str) -> None:
    (name, *_) = sorted(HOST.adapter(kind).options.model_fields, key=len, reverse=True)
    backend = {"type": kind, "model": "local", f"{name}x": 1}
    if kind not in MODEL_KINDS:
        del backend["model"]
    assert f"{name}x: unknown key; did you mean {name!r}?" in _refusal(backend)


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_what_belongs_to_a_connection_is_no_option_of_an_agent(kind: str) -> None:
    said = _refusal({"type": kind, "model": "local", "repetition_penalty": 1.1})
    assert "repetition_penalty: unknown key" in said


def test_a_connection_passes_on_only_what_stands_under_extra_body() -> None:
    row = {"provider": "vllm", "model": "m"}
    said = _refusal({"type": "openai", "model": "own"}, own={**row, "temperatur": 1})
    assert "did you mean 'temperature'" in said
    agents = [{"id": "ada", "backend": {"type": "openai", "model": "own"}}]
    models = {"own": {**row, "extra_body": {"repetition_penalty": 1.1}}}
    config = load_config({"version": 1, "models": models, "agents": agents}, host=HOST)
    assert config.models["own"].extra_body == {"repetition_penalty": 1.1}
