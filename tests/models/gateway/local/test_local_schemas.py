from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge.errors import BadRequest, UnsupportedContent
from massgen_bridge.models.gateway.local.schemas import LONG, SHORT, Bounds, held

_TEXT = {"type": "string", "minLength": 0, "maxLength": 200}
_BOUNDS = Bounds(characters=200, elements=5)


def _held(schema: Any) -> dict[str, Any]:
    return held(schema, _BOUNDS, where="the schema")


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _closed(**properties: Any) -> dict[str, Any]:
    return {**_object(**properties), "additionalProperties": False}


def test_what_has_no_bound_gets_one_and_what_has_one_keeps_it() -> None:
    schema = _object(
        free={"type": "string"},
        short={"type": "string", "maxLength": 9},
        least={"type": "string", "minLength": 300},
        many={"type": "array", "items": {"type": "integer"}},
        few={"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
    )
    assert _held(schema)["properties"] == {
        "free": _TEXT,
        "short": {**_TEXT, "maxLength": 9},
        "least": {"type": "string", "minLength": 300, "maxLength": 300},
        "many": {"type": "array", "items": {"type": "integer"}, "minItems": 0, "maxItems": 5},
        "few": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
    }


def test_references_are_resolved_wherever_they_point_to() -> None:
    schema = {
        "$defs": {"city": {"type": "string", "maxLength": 5}, "a/b": {"enum": [1]}},
        "properties": {
            "from": {"$ref": "#/$defs/city", "description": "Where it begins."},
            "to": {"$ref": "#/properties/from"},
            "how": {"$ref": "#/$defs/a~1b"},
        },
        "required": ["from", "to", "how"],
    }
    city = {**_TEXT, "maxLength": 5}
    assert _held(schema) == _closed(**{"from": city, "to": city, "how": {"enum": [1]}})


def test_recursion_ends_where_the_schema_lets_it_end() -> None:
    schema = {
        "$defs": {
            "node": _object(
                value={"type": "integer"},
                next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                children={"type": "array", "items": {"$ref": "#/$defs/node"}},
            )
        },
        "$ref": "#/$defs/node",
    }
    outer = _held(schema)
    inner = outer["properties"]["next"]["anyOf"][0]
    assert inner["properties"]["next"] == {"type": "null"}
    assert inner["properties"]["children"] == {"const": []}
    assert outer["properties"]["children"]["items"] == inner


def test_an_optional_recursion_is_left_out_in_the_end() -> None:
    schema = {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "$ref": "#/$defs/node",
    }
    assert _held(schema)["properties"]["next"]["properties"] == {}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["string", "null"]}, {"anyOf": [_TEXT, {"type": "null"}]}),
        (
            {"oneOf": [{"type": "boolean"}, {"const": 3}]},
            {"anyOf": [{"type": "boolean"}, {"const": 3}]},
        ),
        ({"anyOf": [{"enum": ["a"]}, {"enum": ["a"]}]}, {"enum": ["a"]}),
        ({"type": "string", "enum": ["a", "b"], "default": "a"}, {"enum": ["a", "b"]}),
        ({"type": "string", "format": "uuid"}, {"type": "string", "format": "uuid"}),
        ({"type": "string", "format": "email"}, _TEXT),
        (
            {"type": "string", "pattern": "^[a-z]+$"},
            {"type": "string", "pattern": "^[a-z]{1,200}$"},
        ),
        (
            {"type": "string", "pattern": r"^\+[a-z]*x{2,}$"},
            {"type": "string", "pattern": r"^\+[a-z]{0,200}x{2,200}$"},
        ),
        ({"type": "string", "pattern": "(?=a)b"}, _TEXT),
        ({"type": "string", "pattern": "^(?=a)b$"}, _TEXT),
        ({"pattern": "^($"}, _TEXT),
        (
            {"type": "integer", "minimum": 1, "exclusiveMaximum": 5, "multipleOf": 2},
            {"type": "integer", "minimum": 1, "exclusiveMaximum": 5},
        ),
        ({"type": "number", "minimum": 1}, {"type": "number"}),
        (
            {"allOf": [_object(a={"type": "null"}), _object(b={"type": "null"})]},
            _closed(a={"type": "null"}, b={"type": "null"}),
        ),
        (
            {"type": "object"},
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [_TEXT, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]
                },
            },
        ),
        (
            {"type": "object", "additionalProperties": {"type": "null"}},
            {"type": "object", "additionalProperties": {"type": "null"}},
        ),
        ({"type": "object", "properties": {}}, _closed()),
        ({"type": "array", "items": False}, {"const": []}),
        ({"type": "array", "maxItems": 0}, {"const": []}),
        (
            {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True},
            {"type": "array", "items": {"enum": [1, 2]}, "minItems": 0, "maxItems": 2},
        ),
        (
            {"type": "array", "prefixItems": [{"const": 1}]},
            {"type": "array", "prefixItems": [{"const": 1}]},
        ),
    ],
)
def test_each_kind_of_schema_has_a_form_that_a_grammar_can_hold(
    schema: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert _held(schema) == expected


def test_what_is_needed_but_not_described_may_be_anything_short() -> None:
    schema = {"type": "object", "properties": {}, "required": ["x"]}
    assert len(_held(schema)["properties"]["x"]["anyOf"]) == 4


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"$ref": "#/$defs/a"}, "refers to what is not there"),
        ({"$ref": "https://example.com/a.json"}, "within the schema alone"),
        ({"$defs": {"a": _object(b={"$ref": "#/$defs/a"})}, "$ref": "#/$defs/a"}, "null"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "recursion"),
        (_object(a=False), "no value"),
        ({"type": "text"}, "no JSON Schema type 'text'"),
        ({"enum": []}, "at least one value"),
        ({"type": "string", "minLength": 5000}, "too long"),
        (_object(a=3), "expected a JSON Schema"),
        ({"anyOf": [{"const": n} for n in range(4000)]}, "too large"),
    ],
)
def test_what_cannot_be_held_to_is_refused_with_its_reason(schema: Any, problem: str) -> None:
    with pytest.raises((BadRequest, UnsupportedContent), match=f"the schema: .*{problem}"):
        _held(schema)


def test_answers_have_more_room_than_arguments() -> None:
    assert LONG.characters > SHORT.characters
    assert LONG.elements > SHORT.elements
