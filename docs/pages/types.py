"""Python's types as a reader of a reference wants them."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from massgen_bridge import agent, connection, errors, events, messages
from pages.markdown import docstring, linked, table

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["fields", "models_in", "name_of", "of_code"]

# Types that have a name of their own; a literal with few values says more than its name.
_NAMES: Sequence[tuple[Any, str]] = (
    (errors.ErrorKind, "[`ErrorKind`](errors.md#kinds)"),
    (messages.Part, "[part](events.md#parts-of-a-message)"),
    (get_args(events.Event)[0], "one of the events below; its `type` says which"),
    (messages.JsonValue, "any JSON value"),
    (agent.InputKind, "`InputKind`"),
    (connection.Protocols, "`Protocols`"),
)
_ON_EVENTS = {
    "AnswerInfo": "answerinfo",
    "Record": "record",
    "RunResult": "runresult",
    "RunStarted": "run_started",
    "ToolCall": "toolcall",
    "Turn": "turn",
}
_GROUPED = "tuple", "frozenset", "list", "Sequence", "Iterable"


def name_of(annotation: Any, link: Callable[[type[BaseModel]], str] | None = None) -> str:
    """A type in Markdown; `link` makes the links of models."""
    for known, name in _NAMES:
        if annotation == known:
            return name
    origin = get_origin(annotation)
    arguments = [one for one in get_args(annotation) if one is not Ellipsis]
    if annotation is types.NoneType:
        return "`null`"
    if origin is Annotated:
        return name_of(arguments[0], link)
    if origin is Literal:
        return " or ".join(f"`{json.dumps(one)}`" for one in arguments)
    if origin in {Union, types.UnionType}:
        return " or ".join(name_of(one, link) for one in arguments)
    if origin is not None and origin.__name__ in _GROUPED:
        return f"list of {name_of(arguments[0], link)}"
    if origin in {dict, Mapping}:
        return f"mapping of {name_of(arguments[0], link)} to {name_of(arguments[1], link)}"
    if link and inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return link(annotation)
    return f"`{getattr(annotation, '__name__', annotation)}`"


def of_code(annotation: str) -> str:
    """A type as it stands in the code, with links to the types on the page of events."""
    plain = annotation.removesuffix(" | None")
    item = plain.removeprefix("Sequence[").removesuffix("]")
    target = _ON_EVENTS.get(item)
    if target is None:
        # A pipe in a table cannot be written so that every reader of Markdown shows it.
        return f"`{annotation.replace(' | ', ' or ')}`"
    linked_item = f"[`{item}`](events.md#{target})"
    outer = "sequence of " if item != plain else ""
    return f"{outer}{linked_item}{' or `None`' if plain != annotation else ''}"


def fields(model: type[BaseModel], *, in_json: bool = False) -> str:
    """A table of a model's fields; with `in_json` of those that its JSON has."""
    told = docstring(model).items
    return table(
        ("field", "type", "default", "meaning"),
        [
            (
                f"`{name}`",
                name_of(_annotation(field), lambda one: linked(one.__name__)),
                _default(field),
                field.description or told.get(name, ""),
            )
            for name, field in model.model_fields.items()
            if name != "type" and not (in_json and field.exclude)
        ],
    )


def _annotation(field: FieldInfo) -> Any:
    # Pydantic takes the discriminator of a union apart from its members.
    if field.discriminator == "type":
        return Annotated[field.annotation, field]
    return field.annotation


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return ""
    if value is None:
        return "`null`"
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, tuple | frozenset | dict):
        in_order = sorted(value) if isinstance(value, frozenset) else list(value)
        return f"`{in_order}`" if in_order else "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else f'{value:g}'}`"


def models_in(model: type[BaseModel], *, in_json: bool = False) -> list[type[BaseModel]]:
    """The models that stand in a model's fields; with `in_json` in those that its JSON has."""
    found: list[type[BaseModel]] = []
    pending = [
        field.annotation for field in model.model_fields.values() if not (in_json and field.exclude)
    ]
    while pending:
        annotation = pending.pop(0)
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            found.append(annotation)
        pending += get_args(annotation)
    return found
