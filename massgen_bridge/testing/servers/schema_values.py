"""Making a value that satisfies a JSON Schema, always the same one for the same schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["example_value"]

_MAX_DEPTH = 6
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_value(schema: Mapping[str, Any], *, variation: int = 0) -> Any:
    """A value that satisfies a schema of the kind that structured outputs and tools use.

    All properties are filled in; enumerations and alternatives give their first member; lists
    have one item unless the schema asks for more. `pattern`, `not`, `if` and other rules that
    need a search are not obeyed.

    Args:
        schema: with its own `$defs`, if it refers to any.
        variation: another number gives another value where the schema leaves the choice: texts
            and numbers carry it, enumerations are rotated by it.

    Raises:
        ValueError: the schema refers to a definition that it does not have, or forbids all.
    """
    return _Examples(schema, variation).value(schema, 0)


class _Examples:
    def __init__(self, root: Mapping[str, Any], variation: int) -> None:
        self._root = root
        self._variation = variation

    def value(self, schema: Mapping[str, Any] | bool, depth: int) -> Any:  # noqa: FBT001 `true` is a schema
        if isinstance(schema, bool):
            if not schema:
                raise ValueError("the schema `false` allows no value")
            return "text"
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][self._variation % len(schema["enum"])]
        for alternatives in ("anyOf", "oneOf"):
            if alternatives in schema:
                return self._alternative(schema, alternatives, depth)
        return self._typed(schema, depth)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema with its `$ref` followed and its `allOf` merged."""
        merged = dict(schema)
        while "$ref" in merged:
            merged = {**self._target(merged.pop("$ref")), **merged}
        for part in merged.pop("allOf", ()):
            resolved = self._resolved(part)
            properties = {**merged.get("properties", {}), **resolved.get("properties", {})}
            required = [*merged.get("required", ()), *resolved.get("required", ())]
            merged = {**resolved, **merged}
            if properties:
                merged |= {"properties": properties, "required": required}
        return merged

    def _target(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or key not in found:
                raise ValueError(
                    f"the schema refers to {reference!r}, which it does not have; expected a "
                    "reference into the same schema, such as '#/$defs/Name'"
                )
            found = found[key]
        target: Mapping[str, Any] = found
        return target

    def _alternative(self, schema: Mapping[str, Any], keyword: str, depth: int) -> Any:
        rest = {key: value for key, value in schema.items() if key != keyword}
        options = [self._resolved(option) for option in schema[keyword]]
        # Deep down, the way out of a recursive schema is the alternative that holds nothing.
        if depth >= _MAX_DEPTH:
            options.sort(key=lambda option: _type_of(option) in {"object", "array"})
        return self.value({**rest, **options[0]}, depth)

    def _typed(self, schema: Mapping[str, Any], depth: int) -> Any:
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer":
                return round(self._stepped(schema))
            case "number":
                return self._number(schema)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._string(schema)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        return {
            name: self.value(inner, depth + 1)
            for name, inner in schema.get("properties", {}).items()
            if depth < _MAX_DEPTH or name in required
        }

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = [self.value(item, depth + 1) for item in schema.get("prefixItems", ())]
        least = schema.get("minItems", 0)
        wanted = max(least, min(1, schema.get("maxItems", 1)) if depth < _MAX_DEPTH else 0)
        missing = max(0, wanted - len(first))
        return first + [self.value(schema.get("items", {}), depth + 1) for _ in range(missing)]

    def _number(self, schema: Mapping[str, Any]) -> int | float:
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        if low is None or high is None or "multipleOf" in schema:
            return self._stepped(schema)
        middle: float = (low + high) / 2
        return middle

    def _stepped(self, schema: Mapping[str, Any]) -> int | float:
        step = schema.get("multipleOf", 1)
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        if low is None:
            low = 0 if high is None or high > 0 else high - step
        number = -(-low // step) * step
        if number == schema.get("exclusiveMinimum"):
            number += step
        varied = number + self._variation * step
        fits = high is None or varied < high or varied == schema.get("maximum")
        chosen: int | float = varied if fits else number
        return chosen

    def _string(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text = f"text {self._variation}" if self._variation else "text"
        return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _type_of(schema: Mapping[str, Any]) -> str:
    named = schema.get("type")
    if isinstance(named, list):
        return str(named[0])
    if named is not None:
        return str(named)
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"
