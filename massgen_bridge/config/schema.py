"""The JSON Schema of the current form, for editors: the same with and without adapters installed.

Kinds of the catalogue are described by it; kinds that only a plugin knows may have any keys,
unless a host is given that has the plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from massgen_bridge.config.models import Document
from massgen_bridge.plugins import catalogue

if TYPE_CHECKING:
    from pydantic import BaseModel

    from massgen_bridge.plugins import PluginHost

__all__ = ["json_schema", "options_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/{model}"

Schema = dict[str, Any]

_TEAM = "team"
_SECTIONS: dict[str, Schema] = {
    "agents": {"type": "array", "items": {"$ref": "#/$defs/AgentConfig"}, "minItems": 1},
    "strategy": {"$ref": "#/$defs/StrategyConfig"},
    "models": {"type": "object", "additionalProperties": {"$ref": "#/$defs/ModelConfig"}},
    "providers": {"type": "object", "additionalProperties": {"$ref": "#/$defs/ProviderConfig"}},
    "timeout_settings": {"$ref": "#/$defs/TimeoutSettings"},
    "budget": {"$ref": "#/$defs/Budget"},
    "sinks": {"type": "array", "items": {"$ref": "#/$defs/SinkConfig"}},
}


class _Known(NamedTuple):
    """Something that is found by its `type`: what it is, its options, and its other names."""

    summary: str
    options: Schema
    needs_model: bool = False
    aliases: tuple[str, ...] = ()


def json_schema(host: PluginHost) -> Schema:
    """The schema of a configuration with `version: 1`.

    Args:
        host: Gives the strategies, and the kinds and sinks beyond the catalogue. With a host that
            has only what is built in, the schema is the same on every machine.
    """
    schema = Document.model_json_schema(ref_template=_REFERENCE)
    definitions: Schema = schema["$defs"]
    base = definitions["BackendConfig"]
    kinds = _kinds(host)
    definitions["BackendConfig"] = _with_sections(_by_type(base, kinds, definitions, "backend"))
    strategies = {
        one.name: _Known(one.summary, options_schema(host.strategy(one.name).options))
        for one in host.strategies()
        if one.state == "installed"
    }
    sinks = {
        one.name: _Known(one.summary, options_schema(host.sink(one.name).options))
        for one in host.sinks()
        if one.state == "installed"
    }
    for name, known in (("StrategyConfig", strategies), ("SinkConfig", sinks)):
        sections = _by_type(definitions[name], known, definitions, name.removesuffix("Config"))
        by_name: Schema = {"type": "string"}
        if known:
            by_name["examples"] = sorted(known)
        definitions[name] = {"anyOf": [by_name, sections]}
    return {"$schema": _DIALECT, "title": "massgen-bridge configuration", **_untitled(schema)}


def options_schema(model: type[BaseModel]) -> Schema:
    """The JSON Schema of an options model; its references stay inside it."""
    schema: Schema = model.model_json_schema(ref_template=_REFERENCE)
    return _untitled(schema)


def _with_sections(backend: Schema) -> Schema:
    """The schema of backends in which a team's keys are those of a configuration."""
    for branch in backend["anyOf"]:
        if branch["properties"]["type"].get("const") == _TEAM:
            properties = branch["properties"]
            for name, section in _SECTIONS.items():
                properties[name] = {**section, "description": properties[name]["description"]}
    return backend


def _kinds(host: PluginHost) -> dict[str, _Known]:
    """What is known of each kind."""
    kinds = {
        kind: _Known(entry.summary, dict(entry.options), entry.needs_model, tuple(entry.aliases))
        for kind, entry in catalogue().items()
        if entry.status == "available"
    }
    for info in host.adapters():
        if info.state == "installed" and info.kind not in kinds:
            spec = host.adapter(info.kind)
            names = tuple(one.name for one in spec.aliases)
            schema = options_schema(spec.options)
            kinds[info.kind] = _Known(spec.summary, schema, spec.needs_model, names)
    return kinds


def _by_type(
    base: Schema,
    known: Mapping[str, _Known],
    definitions: Schema,
    scope: str,
) -> Schema:
    """A section whose further keys depend on `type`."""
    own = {name: value for name, value in base["properties"].items() if name != "options"}
    branches: list[Schema] = []
    for name, (summary, options, needs_model, aliases) in sorted(known.items()):
        moved = _moved(options, f"{scope}.{name}", definitions)
        required = ["type", *(["model"] if needs_model else []), *moved.get("required", ())]
        named: Schema = {"enum": [name, *aliases]} if aliases else {"const": name}
        branches.append(
            {
                "type": "object",
                "description": summary,
                "properties": {
                    **own,
                    "type": {**own["type"], **named},
                    **moved.get("properties", {}),
                },
                "required": required,
                "additionalProperties": False,
            }
        )
    others: Schema = {"type": "object", "properties": own, "required": ["type"]}
    if known:
        names = sorted({*known, *(name for one in known.values() for name in one.aliases)})
        others["properties"] = {**own, "type": {**own["type"], "not": {"enum": names}}}
    return {"description": base.get("description", ""), "anyOf": [*branches, others]}


def _moved(options: Schema, scope: str, definitions: Schema) -> Schema:
    """An options schema with its definitions moved to the top, under names of their own."""
    inner = options.get("$defs", {})
    names = {f"#/$defs/{name}": f"#/$defs/{scope}.{name}" for name in inner}
    moved: Schema = _renamed({k: v for k, v in options.items() if k != "$defs"}, names)
    for name, definition in inner.items():
        definitions[f"{scope}.{name}"] = _renamed(definition, names)
    return moved


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: names.get(one, one) if key == "$ref" else _renamed(one, names)
            for key, one in value.items()
        }
    return [_renamed(one, names) for one in value] if isinstance(value, list) else value


def _untitled(schema: Schema) -> Schema:
    """Without the titles that only repeat the names of keys."""
    return {
        key: {name: _untitled_any(one) for name, one in value.items()}
        if key in {"properties", "$defs"}
        else _untitled_any(value)
        for key, value in schema.items()
        if key != "title"
    }


def _untitled_any(value: Any) -> Any:
    if isinstance(value, dict):
        return _untitled(value)
    return [_untitled_any(one) for one in value] if isinstance(value, list) else value
