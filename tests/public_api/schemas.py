"""Lists the keys of the YAML and of the records in JSON, from their JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from public_api.entry import Entry

from massgen_bridge import Record
from massgen_bridge.config.schema import json_schema
from massgen_bridge.plugins import PluginHost

if TYPE_CHECKING:
    from public_api.names import Lines

__all__ = ["configuration_lines", "record_lines"]

Schema = Mapping[str, Any]

_BOUNDS = (
    *("exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maxLength", "maximum"),
    *("minItems", "minLength", "minimum", "pattern"),
)


def configuration_lines() -> Lines:
    """Every key of a configuration, with the kinds of the catalogue."""
    schema = json_schema(PluginHost(entry_points=False))
    yield from _Reader(schema.get("$defs", {}), "key").object("yaml", schema)


def record_lines() -> Lines:
    """Every key of a record, model by model."""
    schema = Record.model_json_schema(mode="serialization")
    reader = _Reader({}, "json field")
    for name, definition in sorted({"Record": schema, **schema["$defs"]}.items()):
        yield from reader.object(f"json {name}", definition)


@dataclass(frozen=True)
class _Reader:
    """Walks through a schema; what is referred to is walked through in place, where it is known."""

    definitions: Mapping[str, Schema]
    sort: str

    def object(self, path: str, schema: Schema, above: frozenset[str] = frozenset()) -> Lines:
        """The keys of everything that the schema takes."""
        for inner, place, name in self._parts(path, schema):
            if name in above:
                continue
            below = above | {name} - {""}
            if place != path:
                yield place, Entry("variant")
            required = inner.get("required", ())
            for key, one in inner.get("properties", {}).items():
                at = f"{place}.{key}"
                default = None if key in required else json.dumps(one.get("default"))
                yield at, Entry(self.sort, " | ".join(self._types(one)), default)
                if self.sort == "key":
                    yield from _bounds(at, one)
                yield from self.object(at, one, below)
            if isinstance(inner.get("items"), dict):
                yield from self.object(f"{place}[]", inner["items"], below)
            if isinstance(inner.get("additionalProperties"), dict):
                yield from self.object(f"{place}.*", inner["additionalProperties"], below)

    def _parts(self, path: str, schema: Schema) -> Iterator[tuple[Schema, str, str]]:
        """A schema's alternatives, each with its path and the name that it is known by."""
        name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        schema = self.definitions.get(name, {}) if name else schema
        nested = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        for one in nested:
            const = one.get("properties", {}).get("type", {}).get("const")
            place = f"{path}({const})" if const else path
            yield from ((s, p, n or name) for s, p, n in self._parts(place, one))
        if not nested:
            yield schema, path, name

    def _types(self, schema: Schema) -> list[str]:
        """What a value may be, in words."""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/$defs/")
            known = self.definitions.get(name)
            return [name] if known is None else self._types(known)
        if "const" in schema:
            return [json.dumps(schema["const"])]
        if "enum" in schema:
            return [json.dumps(one) for one in schema["enum"]]
        nested = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        if nested:
            return list(dict.fromkeys(kind for one in nested for kind in self._types(one)))
        if schema.get("type") == "array":
            items = self._types(schema.get("items") or {})
            return [f"list of {one}" for one in items]
        return [str(schema.get("type", "any"))]


def _bounds(path: str, schema: Schema) -> Lines:
    """What else a value that somebody writes has to be."""
    for one in (schema, *schema.get("anyOf", ())):
        for name in _BOUNDS:
            if name in one:
                yield f"{path} {name} {json.dumps(one[name])}", Entry("bound")
