"""Values made from schemas satisfy the models that the schemas come from."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, Field

from massgen_bridge.testing.servers import example_value


class Shade(Enum):
    DARK = "dark"
    LIGHT = "light"


class Inner(BaseModel):
    name: Annotated[str, Field(min_length=10, max_length=12)]
    shade: Shade


class Tree(BaseModel):
    value: int
    children: list[Tree]
    parent: Tree | None


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: Annotated[float, Field(gt=0, lt=1)]


class Square(BaseModel):
    kind: Literal["square"]
    side: Annotated[int, Field(gt=3, multiple_of=4)]


class Everything(BaseModel):
    text: str
    tiny: Annotated[str, Field(max_length=2)]
    whole: Annotated[int, Field(ge=5, le=6)]
    negative: Annotated[int, Field(lt=0)]
    fraction: float
    flag: bool
    nothing: None
    maybe: Inner | None
    choice: Literal["b", "a"]
    several: Annotated[list[Inner], Field(min_length=2, max_length=3)]
    none_at_all: Annotated[list[int], Field(max_length=0)]
    pair: tuple[int, str]
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    mapping: dict[str, int]
    day: date
    moment: datetime
    link: AnyUrl
    unique: UUID
    anything: Any


@pytest.mark.parametrize("model", [Everything, Tree, Circle, Square, Inner])
@pytest.mark.parametrize("variation", [0, 1, 7])
def test_a_value_satisfies_the_model(model: type[BaseModel], variation: int) -> None:
    schema = model.model_json_schema()
    value = example_value(schema, variation=variation)
    assert model.model_validate(value).model_fields_set == set(model.model_fields)
    assert example_value(schema, variation=variation) == value


def test_the_first_member_of_an_enumeration_is_taken() -> None:
    assert example_value({"enum": ["x", "y"]}) == "x"


def test_variations_differ_where_the_schema_lets_them() -> None:
    schema = {
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "page": {"type": "integer"},
            "kind": {"enum": ["a", "b"]},
            "fixed": {"const": 1},
        },
    }
    assert example_value(schema, variation=1) == {
        "query": "text 1",
        "page": 1,
        "kind": "b",
        "fixed": 1,
    }
    values = [str(example_value(schema, variation=number)) for number in range(5)]
    assert len(set(values)) == 5


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "text"),
        ({"type": ["integer", "null"]}, 0),
        ({"properties": {"a": True}}, {"a": "text"}),
        ({"items": {"type": "boolean"}}, [True]),
        ({"type": "array", "prefixItems": [{"type": "null"}]}, [None]),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            {"a": 1, "b": 2},
        ),
        ({"$defs": {"a/b": {"const": 3}}, "$ref": "#/$defs/a~1b"}, 3),
    ],
)
def test_the_less_usual_forms_are_read(schema: dict[str, Any], value: Any) -> None:
    assert example_value(schema) == value


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        ({"$ref": "#/$defs/Gone"}, "refers to '#/\\$defs/Gone', which it does not have"),
        ({"properties": {"a": False}}, "the schema `false` allows no value"),
    ],
)
def test_what_cannot_be_satisfied_is_told(schema: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        example_value(schema)
