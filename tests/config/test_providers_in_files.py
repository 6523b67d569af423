"""Providers that a configuration describes itself."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge.config import InvalidConfig, load_config
from massgen_bridge.errors import ConfigError
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.planning import prepare_run

HOUSE: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v1", "structured": True}


def _config(*, backend: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    agent = {"id": "ada", "backend": backend or {"type": "openai", "model": "house/big"}}
    return {"version": 1, "providers": {"house": HOUSE}, "agents": [agent], **top}


def _problems(data: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(data, host=PluginHost())
    return str(caught.value)


def test_its_models_are_named_like_those_of_any_other() -> None:
    host = PluginHost()
    prepared = prepare_run(load_config(_config(), host=host), host=host, environ={})
    connection = prepared.connections["ada"]
    assert (connection.provider, connection.model) == ("house", "big")
    assert connection.base_url == HOUSE["base_url"]
    assert connection.api_key is None
    assert connection.traits.structured
    assert connection.traits.inputs == frozenset()


def test_teams_written_out_in_the_file_know_it_too() -> None:
    member = {"id": "inner", "backend": {"type": "openai", "model": "house/big"}}
    host = PluginHost()
    config = load_config(_config(backend={"type": "team", "agents": [member]}), host=host)
    prepared = prepare_run(config, host=host, environ={})
    assert prepared.teams["ada"].connections["inner"].provider == "house"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"base_url": "http://a/v1", "base_urls": {"chat": "http://a/v1"}}, "give one of"),
        ({}, "give one of 'base_url' and 'base_urls'"),
        ({"base_url": "http://a/v1", "api_key_env": "sk-123"}, "name of an environment variable"),
        ({"base_url": "http://a/v1", "struct": True}, "did you mean 'structured'"),
        ({"base_url": "http://a/v1", "quirks": {"seeds": "x"}}, "did you mean 'seed'"),
    ],
)
def test_what_is_wrong_with_one_is_told(row: dict[str, Any], told: str) -> None:
    models = {"m": {"provider": "house", "model": "x"}}
    with pytest.raises(InvalidConfig) as caught:
        load_config(_config(providers={"house": row}, models=models), host=PluginHost())
    (problem,) = caught.value.problems  # none of them for those that use it
    assert told in problem.message
    assert "providers.house" in problem.message


def test_a_known_provider_keeps_its_name() -> None:
    said = _problems(_config(providers={"house": HOUSE, "openai": HOUSE}))
    assert "there is a provider 'openai' already" in said


def test_a_name_that_cannot_stand_before_a_slash_is_told() -> None:
    said = _problems(_config(providers={"house": HOUSE, "My House": HOUSE}))
    assert "providers.My House: expected a name of at most 64 of a-z 0-9 _ -" in said
    assert "found 'My House'" in said


def test_a_misspelt_one_is_told_with_the_nearest() -> None:
    backend = {"type": "openai", "model": "m"}
    said = _problems(_config(backend=backend, models={"m": {"provider": "hause", "model": "x"}}))
    assert "did you mean 'house'" in said
