"""Tools and output schemas as parameters of a model call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from massgen_bridge import ToolDefinition

__all__ = ["response_format", "tool_parameters"]

_STRICT_KEYWORDS = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    }
)


def tool_parameters(tools: Iterable[ToolDefinition]) -> list[dict[str, Any]]:
    """Tools in OpenAI's form, which every chat model of LangChain takes."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.input_schema,
            },
        }
        for tool in tools
    ]


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema as the form that the answer must have.

    It is strict where the provider can hold the model to every word of it; a schema beyond that
    is refused in strict mode, and only guides the model otherwise.
    """
    strict = schema.get("type") == "object" and _is_strict(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": strict},
    }


def _is_strict(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or not schema.keys() <= _STRICT_KEYWORDS:
        return False
    properties = schema.get("properties", {})
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(properties)
    ):
        return False
    parts = (*properties.values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ()))
    return all(map(_is_strict, parts)) and ("items" not in schema or _is_strict(schema["items"]))
