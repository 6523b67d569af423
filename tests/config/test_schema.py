"""The JSON Schema for editors says the same as the loader, whatever is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from extension_package.installing import installed
from pydantic import BaseModel

from massgen_bridge.config.generate import fresh_catalogue
from massgen_bridge.config.models import (
    AgentConfig,
    BackendConfig,
    Document,
    SinkConfig,
    StrategyConfig,
    TimeoutSettings,
    UiConfig,
)
from massgen_bridge.config.schema import json_schema
from massgen_bridge.models.settings import ModelConfig
from massgen_bridge.plugins import PluginHost, catalogue
from massgen_bridge.plugins.catalogue import CATALOGUE_FILE

CORE = PluginHost(entry_points=False)


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def _branches(schema: dict[str, Any], section: str) -> dict[str, dict[str, Any]]:
    """The branches of a section that depend on `type`, by that type."""
    definition = schema["$defs"][section]
    options = definition["anyOf"]
    nested = next((one["anyOf"] for one in options if "anyOf" in one), options)
    found = {}
    for one in nested:
        named = one.get("properties", {}).get("type", {})
        if "const" in named or "enum" in named:
            found[named["const"] if "const" in named else named["enum"][0]] = one
    return found


def test_the_schema_is_complete_in_itself() -> None:
    schema = json_schema(CORE)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    known = {f"#/$defs/{name}" for name in schema["$defs"]}
    assert _references(schema) <= known
    json.dumps(schema)


def test_the_schema_needs_no_adapter() -> None:
    assert json_schema(CORE) == json_schema(PluginHost())


def test_it_knows_every_available_kind_with_its_options() -> None:
    branches = _branches(json_schema(CORE), "BackendConfig")
    ready = {kind for kind, entry in catalogue().items() if entry.status == "available"}
    assert set(branches) == ready
    openai = branches["openai"]
    assert {"type", "model", "isolation", "parallel_tool_calls"} <= set(openai["properties"])
    assert openai["required"] == ["type", "model"]
    assert openai["additionalProperties"] is False
    assert branches["python"]["required"] == ["type", "function"]


def test_other_kinds_may_have_any_keys() -> None:
    (*_, others) = json_schema(CORE)["$defs"]["BackendConfig"]["anyOf"]
    assert "additionalProperties" not in others
    assert "openai" in others["properties"]["type"]["not"]["enum"]


def test_strategies_and_sinks_are_names_or_mappings(tmp_path: Path) -> None:
    with installed(tmp_path, "good"):
        schema = json_schema(PluginHost())
    assert _branches(schema, "StrategyConfig")["consensus"]["properties"].keys() >= {"max_rounds"}
    assert schema["$defs"]["StrategyConfig"]["anyOf"][0]["type"] == "string"
    assert _branches(schema, "SinkConfig")["lines"]["required"] == ["type", "path"]
    assert _branches(schema, "BackendConfig")["echo"]["properties"].keys() >= {"loud"}


@pytest.mark.parametrize(
    "model",
    [
        Document,
        AgentConfig,
        BackendConfig,
        ModelConfig,
        SinkConfig,
        StrategyConfig,
        TimeoutSettings,
        UiConfig,
    ],
)
def test_every_key_is_described(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name}"


def test_the_catalogue_is_what_the_installed_adapters_say() -> None:
    assert CATALOGUE_FILE.read_text() == fresh_catalogue(PluginHost()), (
        "run: python -m massgen_bridge.config.generate"
    )


def test_every_entry_of_the_catalogue_is_either_to_be_had_or_planned() -> None:
    host = PluginHost()
    for kind, entry in catalogue().items():
        assert entry.kind == kind
        assert entry.summary
        if entry.status == "available":
            assert host.adapter(kind).kind == kind
            assert entry.options["type"] == "object"
        else:
            assert entry.install is None
            assert not entry.options


def test_the_extras_of_available_kinds_exist() -> None:
    root = Path(__file__).parents[2]
    text = (root / "pyproject.toml").read_text()
    for entry in catalogue().values():
        if entry.status == "available" and entry.extra:
            assert f'{entry.extra} = ["{entry.distribution}==' in text


@pytest.mark.parametrize("kind", ["python", "openai"])
def test_what_the_loader_refuses_the_schema_refuses_too(kind: str) -> None:
    branch = _branches(json_schema(CORE), "BackendConfig")[kind]
    model = PluginHost().adapter(kind).options
    own = {"type", "model", "isolation", "env", "packages", "upload_files"}
    assert set(branch["properties"]) == {*model.model_fields, *own}
