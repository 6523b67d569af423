"""Hypothesis strategies for the product's frozen values, built from their own field definitions."""

from __future__ import annotations

import types
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from massgen_bridge.agent import ToolDefinition
from massgen_bridge.messages import AudioPart, DocumentPart, ImagePart, VideoPart

# Text of all kinds, without lone surrogates: those are no JSON.
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
_MEDIA = (ImagePart, AudioPart, VideoPart, DocumentPart)


@cache  # making a strategy takes longer than drawing from it
def values_of(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """All sorts of valid instances of a model."""
    if model in _MEDIA:
        return _media(model)
    fields = {name: _field(field) for name, field in model.model_fields.items()}
    if model is ToolDefinition:
        fields["name"] = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
    return st.fixed_dictionaries(fields).map(lambda kept: model(**kept))


def _media(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    common = {"media_type": st.sampled_from(["image/png", "application/pdf", "audio/x-wav"])}
    named = {**common, "name": st.none() | TEXT}
    return st.one_of(
        st.fixed_dictionaries({**named, "data": st.binary(max_size=40)}),
        st.fixed_dictionaries({**named, "url": TEXT}),
    ).map(lambda kept: model(**kept))


def _field(field: FieldInfo) -> st.SearchStrategy[Any]:
    low = next((m.ge for m in field.metadata if isinstance(m, Ge)), None)
    above = next((m.gt for m in field.metadata if isinstance(m, Gt)), None)
    high = next((m.le for m in field.metadata if isinstance(m, Le)), None)
    return _type(field.annotation, low=low, above=above, high=high)


def _type(
    kind: Any, *, low: Any = None, above: Any = None, high: Any = None
) -> st.SearchStrategy[Any]:
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin is Annotated:
            return _type(arguments[0], low=low, above=above, high=high)
        case origin if origin is Literal:
            return st.sampled_from(arguments)
        case origin if origin in (Union, types.UnionType):
            return st.one_of([_type(a, low=low, above=above, high=high) for a in arguments])
        case origin if origin is tuple:
            return st.lists(_type(arguments[0]), max_size=3).map(tuple)
        case origin if origin is frozenset:
            return st.frozensets(_type(arguments[0]))
        case origin if origin is dict:
            return st.dictionaries(TEXT, _type(arguments[1]), max_size=3)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return st.deferred(lambda: values_of(kind))
    return {
        type(None): st.none(),
        bool: st.booleans(),
        int: st.integers(min_value=0 if low is None else low, max_value=2**53),
        float: st.floats(min_value=1e-3 if above is not None else 0, max_value=high or 1e9),
        str: TEXT,
        bytes: st.binary(max_size=40),
        Any: JSON,
    }[kind]
