"""JSON Schemas as the local server's grammar can hold to them, and such that answers end.

References are resolved, to a depth; what a grammar cannot say is left out, so that it may allow
more than the schema does, but in shape; and what has no end of its own gets one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from massgen_bridge.errors import BadRequest, UnsupportedContent

__all__ = ["LONG", "SHORT", "Bounds", "held"]

Schema = dict[str, Any]

_MOST_RULES: Final = 3000
_MOST_DEPTH: Final = 24
_MOST_REPEATS: Final = 2
_MOST_CHARACTERS: Final = 2000
_FORMATS = frozenset({"date", "date-time", "time", "uuid"})
_INTEGER_RANGE = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_SCALARS = ("string", "number", "boolean", "null")
_ENDLESS = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{(\d+),\}|[*+]")
_UNSAID = re.compile(r"\(\?|\\[^dswDSW.^$|?*+()\[\]{}/\\-]|[*+?}][?+]")


class _Endless(Exception):
    """A schema that only an endless value would satisfy, as far as anybody looks."""


class Bounds:
    """What things get that have no bound of their own.

    Args:
        characters: Most characters of a string.
        elements: Most elements of an array.
    """

    __slots__ = ("characters", "elements")

    def __init__(self, *, characters: int, elements: int) -> None:
        self.characters = characters
        self.elements = elements


SHORT: Final = Bounds(characters=200, elements=5)
"""For the arguments of tools."""

LONG: Final = Bounds(characters=400, elements=10)
"""For an answer that has to have a form."""


def held(schema: Any, bounds: Bounds, *, where: str) -> Schema:
    """The schema as the server's grammar can hold to it.

    Args:
        schema: A JSON Schema.
        bounds: What things get that have no bound of their own.
        where: Where it stands in the request, for errors.

    Raises:
        BadRequest: It is none, or refers to what is not there.
        UnsupportedContent: It has no value that ends, or is too large.
    """
    try:
        return _Holding(schema, bounds, where).of(schema, (), 0)
    except _Endless:
        raise UnsupportedContent(
            f"{where}: no value of this schema ends within {_MOST_REPEATS} rounds of its "
            "recursion; give the recursive part an alternative, such as null"
        ) from None


class _Holding:
    """One schema on its way."""

    def __init__(self, root: Any, bounds: Bounds, where: str) -> None:
        self._root = root
        self._bounds = bounds
        self._where = where
        self._rules = 0

    def of(self, schema: Any, through: tuple[str, ...], depth: int) -> Schema:
        """One place of the schema.

        Args:
            schema: What stands there.
            through: The references that led there.
            depth: How deep it stands.
        """
        self._rules += 1
        if self._rules > _MOST_RULES:
            raise UnsupportedContent(f"{self._where}: the schema is too large for the local model")
        if schema is False or depth > _MOST_DEPTH:
            raise _Endless
        if schema is True or schema == {}:
            return self._anything()
        if not isinstance(schema, Mapping):
            raise BadRequest(f"{self._where}: expected a JSON Schema, not {schema!r:.80}")
        schema, through = self._resolved(schema, through)
        if "const" in schema:
            return {"const": schema["const"]}
        if "enum" in schema:
            return {"enum": _at_least_one(schema["enum"], self._where)}
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._any_of(schema, key, through, depth)
        return self._of_type(schema, through, depth)

    def _resolved(
        self, schema: Mapping[str, Any], through: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """With what it refers to, and what it consists of, in its place."""
        while "$ref" in schema or "allOf" in schema:
            beside = {key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}
            parts: list[Mapping[str, Any]] = []
            if "$ref" in schema:
                reference = schema["$ref"]
                if through.count(reference) >= _MOST_REPEATS:
                    raise _Endless
                through = (*through, reference)
                parts.append(self._referred(reference))
            parts += [part for part in schema.get("allOf", ()) if isinstance(part, Mapping)]
            schema = _merged([*parts, beside])
        return schema, through

    def _referred(self, reference: Any) -> Mapping[str, Any]:
        found = self._root
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise UnsupportedContent(
                f"{self._where}: the local model resolves references within the schema alone, "
                f"not {reference!r}"
            )
        for step in filter(None, reference[1:].split("/")):
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            inside = found
            found = inside.get(key) if isinstance(inside, Mapping) else None
            if isinstance(inside, list) and key.isdecimal() and int(key) < len(inside):
                found = inside[int(key)]
            if found is None:
                raise BadRequest(f"{self._where}: {reference!r} refers to what is not there")
        return found if isinstance(found, Mapping) else _whatever(value=found)

    def _any_of(
        self, schema: Mapping[str, Any], key: str, through: tuple[str, ...], depth: int
    ) -> Schema:
        beside = {name: value for name, value in schema.items() if name not in {"anyOf", "oneOf"}}
        found = []
        for choice in schema[key]:
            part = _merged([beside, choice]) if isinstance(choice, Mapping) else choice
            try:
                one = self.of(part, through, depth + 1)
            except _Endless:
                continue
            if one not in found:
                found.append(one)
        if not found:
            raise _Endless
        return found[0] if len(found) == 1 else {"anyOf": found}

    def _of_type(self, schema: Mapping[str, Any], through: tuple[str, ...], depth: int) -> Schema:
        kind = schema.get("type") or _meant_type(schema)
        match kind:
            case list():
                choices = {"anyOf": [{**schema, "type": one} for one in kind]}
                return self._any_of(choices, "anyOf", through, depth)
            case "object":
                return self._object(schema, through, depth)
            case "array":
                return self._array(schema, through, depth)
            case "string":
                return self._string(schema)
            case "integer":
                given = {key: schema[key] for key in _INTEGER_RANGE if key in schema}
                return {"type": "integer", **given}
            case "number" | "boolean" | "null":
                return {"type": kind}
            case None:
                return self._anything()
            case _:
                raise BadRequest(f"{self._where}: there is no JSON Schema type {kind!r}")

    def _object(self, schema: Mapping[str, Any], through: tuple[str, ...], depth: int) -> Schema:
        given = schema.get("properties") or {}
        required = [name for name in schema.get("required", ()) if isinstance(name, str)]
        properties = dict(self._properties(given, required, through, depth))
        for name in required:
            if name not in given:
                properties[name] = self._anything()
        others = schema.get("additionalProperties", not given and "properties" not in schema)
        if properties or others is False:
            return {
                "type": "object",
                "properties": properties,
                "required": [name for name in properties if name in required],
                "additionalProperties": False,
            }
        return {"type": "object", "additionalProperties": self.of(others, through, depth + 1)}

    def _properties(
        self,
        given: Mapping[str, Any],
        required: Iterable[str],
        through: tuple[str, ...],
        depth: int,
    ) -> Iterator[tuple[str, Schema]]:
        needed = frozenset(required)
        for name, schema in given.items():
            try:
                yield name, self.of(schema, through, depth + 1)
            except _Endless:
                if name in needed:
                    raise

    def _array(self, schema: Mapping[str, Any], through: tuple[str, ...], depth: int) -> Schema:
        first = schema.get("prefixItems")
        if first:
            return {
                "type": "array",
                "prefixItems": [self.of(one, through, depth + 1) for one in first],
            }
        least = _count(schema.get("minItems")) or 0
        most = _count(schema.get("maxItems"))
        most = max(least, self._bounds.elements) if most is None else most
        try:
            inside = self.of(schema.get("items", True), through, depth + 1)
        except _Endless:
            if least:
                raise
            return {"const": []}
        if most == 0:
            return {"const": []}
        if schema.get("uniqueItems") and isinstance(inside.get("enum"), list):
            most = min(most, len(inside["enum"]))
        return {"type": "array", "items": inside, "minItems": least, "maxItems": most}

    def _string(self, schema: Mapping[str, Any]) -> Schema:
        pattern, form = schema.get("pattern"), schema.get("format")
        if isinstance(pattern, str) and (ending := self._ending(pattern)):
            return {"type": "string", "pattern": ending}
        if form in _FORMATS:
            return {"type": "string", "format": form}
        least = _count(schema.get("minLength")) or 0
        most = _count(schema.get("maxLength"))
        most = max(least, self._bounds.characters) if most is None else most
        if least > _MOST_CHARACTERS:
            raise UnsupportedContent(
                f"{self._where}: a string of {least} characters or more is too long for the local "
                f"model ({_MOST_CHARACTERS})"
            )
        return {"type": "string", "minLength": least, "maxLength": min(most, _MOST_CHARACTERS)}

    def _ending(self, pattern: str) -> str | None:
        """The pattern without repetitions that have no end; None if the grammar has no form."""
        if not (pattern.startswith("^") and pattern.endswith("$")) or _UNSAID.search(pattern):
            return None
        try:
            re.compile(pattern)
        except re.error:
            return None
        most = self._bounds.characters

        def bounded(found: re.Match[str]) -> str:
            if found[0] in {"*", "+"}:
                return f"{{{int(found[0] == '+')},{most}}}"
            return f"{{{found[1]},{max(int(found[1]), most)}}}" if found[1] else found[0]

        return _ENDLESS.sub(bounded, pattern)

    def _anything(self) -> Schema:
        return {"anyOf": [self._of_type({"type": kind}, (), 0) for kind in _SCALARS]}


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One schema that says what all of them say; of what two say, the later one counts."""
    whole: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            before = whole.get(key)
            if key == "properties" and isinstance(before, Mapping):
                whole[key] = {**before, **value}
            elif key == "required" and isinstance(before, list):
                whole[key] = [*before, *(name for name in value if name not in before)]
            elif key == "allOf" and isinstance(before, list):
                whole[key] = [*before, *value]
            else:
                whole[key] = value
    return whole


def _whatever(*, value: Any) -> dict[str, Any]:
    """A schema that is a boolean, as an object."""
    return {} if value is True else {"anyOf": []}


def _meant_type(schema: Mapping[str, Any]) -> str | None:
    for kind, keys in (
        ("object", ("properties", "required", "additionalProperties")),
        ("array", ("items", "prefixItems", "minItems", "maxItems")),
        ("string", ("pattern", "format", "minLength", "maxLength")),
        ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    ):
        if any(key in schema for key in keys):
            return kind
    return None


def _at_least_one(choices: Any, where: str) -> list[Any]:
    if not isinstance(choices, list) or not choices:
        raise BadRequest(f"{where}: an 'enum' needs at least one value")
    return choices


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
