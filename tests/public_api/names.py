"""Lists the public names of Python: functions, classes, their members, types and constants."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, is_typeddict

from public_api.entry import Entry, of_literal
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import massgen_bridge
from massgen_bridge import hookspecs

__all__ = ["Lines", "hook_lines", "module_lines"]

Lines: TypeAlias = Iterator[tuple[str, Entry]]

_OURS = "massgen_bridge"
_OPERATORS = {
    *("__add__", "__aenter__", "__aexit__", "__call__", "__enter__", "__exit__", "__getitem__"),
    *("__iter__", "__len__"),
}
_OF_OTHERS = {"model_config", "model_post_init", "pytestmark"}  # what pydantic and pytest read
_LONGEST_DEFAULT = 120  # a longer one is a table of facts, which may change
_PLAIN = (str, int, float, bool, tuple, types.NoneType)


def module_lines(module: types.ModuleType, told: dict[int, str]) -> Lines:
    """Everything in `__all__`.

    Args:
        module: The module.
        told: Where each thing was listed first, by its identity; is added to.
    """
    for name in sorted(module.__all__):
        path, thing = f"{module.__name__}.{name}", getattr(module, name)
        identity = id(thing)
        if isinstance(thing, type | types.FunctionType) and identity in told:
            yield path, Entry("also", told[identity])
            continue
        told.setdefault(identity, path)
        yield from _thing(path, thing)


def hook_lines() -> Lines:
    """Every hook: who implements one gets the arguments and gives the result."""
    for name in hookspecs.__all__:
        hook = getattr(hookspecs, name)
        if not name.startswith("bridge_"):
            continue
        options = getattr(hook, f"{hookspecs.PROJECT}_spec")
        first = " (the first result counts)" if options["firstresult"] else ""
        yield f"hook {name}", Entry(f"hook{first}")
        signature = inspect.signature(hook)
        for one in signature.parameters.values():
            yield f"hook {name}({one.name})", Entry("hook argument", str(one.annotation))
        yield f"hook {name} ->", Entry("hook result", str(signature.return_annotation))


def _thing(path: str, thing: Any) -> Lines:
    if inspect.isclass(thing):
        yield from _class(path, thing)
    elif inspect.isfunction(thing):
        yield from _function(path, thing)
    elif values := _values(thing):
        yield path, Entry("type", " | ".join(values))
    elif isinstance(thing, tuple) and all(isinstance(one, str) for one in thing):
        yield path, Entry("type", of_literal(thing))  # a set of words, which may grow
    elif isinstance(thing, _PLAIN) and not path.endswith("__version__"):
        yield path, Entry("constant", "", repr(thing))
    else:
        yield path, Entry("value", type(thing).__name__)


def _values(alias: Any) -> list[str]:
    """The alternatives of a named type; none where it is no such type."""
    origin = get_origin(alias)
    if origin is Annotated:
        return _values(get_args(alias)[0])
    if origin is Literal:
        return [repr(one) for one in get_args(alias)]
    if origin in {Union, types.UnionType}:
        return [_written(one) for one in get_args(alias)]
    return [_written(alias)] if origin is not None else []


def _written(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return of_literal(get_args(annotation))
    # Of `Callable[[ModelRequest], Reply]` and the like the code knows no more than this by now.
    named = get_origin(annotation) or annotation
    return str(getattr(named, "__name__", named))


# --- functions ---------------------------------------------------------------------------------


def _function(path: str, function: Callable[..., Any], *, given: bool = False) -> Lines:
    """A function; `given`: others write it and massgen-bridge calls it."""
    side = "given " if given else ""
    whole = "coroutine function" if inspect.iscoroutinefunction(function) else "function"
    signature = inspect.signature(function)
    yield path, Entry(f"{side}{whole}")
    yield from _parameters(path, signature, side)
    returns = signature.return_annotation
    if returns is not signature.empty:
        yield f"{path} ->", Entry(f"{side}result", str(returns))


def _parameters(path: str, signature: inspect.Signature, side: str = "") -> Lines:
    place = 0
    for one in signature.parameters.values():
        if one.name in {"self", "cls"}:
            continue
        if one.kind is one.POSITIONAL_ONLY:
            place += 1
            way = f"parameter {place}, without its name"
        elif one.kind is one.POSITIONAL_OR_KEYWORD:
            place += 1
            way = f"parameter {place}"
        elif one.kind is one.KEYWORD_ONLY:
            way = "parameter by name"
        else:
            way = "further parameters"
        default = None if one.default is one.empty else _shown(one.default)
        if one.kind in {one.VAR_POSITIONAL, one.VAR_KEYWORD}:
            default = "none"
        annotation = "" if one.annotation is one.empty else str(one.annotation)
        yield f"{path}({one.name})", Entry(f"{side}{way}", annotation, default)


def _shown(value: object) -> str:
    if isinstance(value, BaseModel) and not value.model_fields_set:
        return f"{type(value).__name__}()"
    if isinstance(value, types.FunctionType | type):
        shown = value.__qualname__
    elif (
        isinstance(value, frozenset) and value
    ):  # without an order that differs from one process to another
        shown = f"frozenset({{{', '.join(sorted(map(repr, value)))}}})"
    else:
        shown = repr(value)
    return shown if len(shown) <= _LONGEST_DEFAULT else f"a {type(value).__name__}"


# --- classes -----------------------------------------------------------------------------------


def _class(path: str, cls: type[Any]) -> Lines:
    yield path, Entry("protocol" if getattr(cls, "_is_protocol", False) else "class")
    public = {*massgen_bridge.__all__, *sys.modules[path.rpartition(".")[0]].__all__}
    for base in cls.__mro__[1:]:
        if _is_ours(base) and base.__name__ in public:
            yield f"{path} is a {base.__name__}", Entry("base")
    if issubclass(cls, enum.Enum):
        for member in cls:
            yield f"{path}.{member.name}", Entry("constant", "", repr(member.value))
        return
    fields = dict(_fields(cls))
    if not fields and _is_ours(getattr(cls, "__init__", None)):
        yield from _parameters(path, inspect.signature(cls.__init__))
    for name, entry in fields.items():
        yield f"{path}.{name}", entry
    for name, member in sorted(_members(cls).items()):
        if name not in fields:
            yield from _member(f"{path}.{name}", member, cls)


def _fields(cls: type[Any]) -> Lines:
    """What a value is made of."""
    if issubclass(cls, BaseModel):
        for name, field in cls.model_fields.items():
            yield name, Entry("field", _annotation(cls, name), _model_default(field))
    elif dataclasses.is_dataclass(cls):
        for one in dataclasses.fields(cls):
            if not one.name.startswith("_") and one.init:
                sort = "field" if one.kw_only else "field by place"
                yield one.name, Entry(sort, _annotation(cls, one.name), _data_default(one))
    elif is_typeddict(cls):
        for name in cls.__annotations__:
            default = None if name in cls.__required_keys__ else "absent"
            yield name, Entry("field", _annotation(cls, name), default)
    elif issubclass(cls, tuple):
        for name in getattr(cls, "_fields", ()):
            default = getattr(cls, "_field_defaults", {}).get(name, dataclasses.MISSING)
            shown = None if default is dataclasses.MISSING else _shown(default)
            yield name, Entry("field by place", _annotation(cls, name), shown)


def _annotation(cls: type[Any], name: str) -> str:
    """The type as it stands in the code, wherever the field comes from."""
    for one in cls.__mro__:
        if name in inspect.get_annotations(one):
            found = inspect.get_annotations(one)[name]
            return str(getattr(found, "__forward_arg__", found))
    return ""


def _model_default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    return "?" if value is PydanticUndefined else _shown(value)


def _data_default(field: dataclasses.Field[Any]) -> str | None:
    if field.default is not dataclasses.MISSING:
        return _shown(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return f"{_shown(field.default_factory)}()"
    return None


def _members(cls: type[Any]) -> Mapping[str, Any]:
    members: dict[str, Any] = {}
    for one in reversed(cls.__mro__):
        if one.__module__.startswith(_OURS):
            names = [n for n in vars(one) if not n.startswith("_") or n in _OPERATORS]
            members |= {name: vars(one)[name] for name in names if name not in _OF_OTHERS}
    return members


def _member(path: str, member: Any, cls: type[Any]) -> Lines:
    function = getattr(member, "__func__", member)
    getter = getattr(member, "fget", getattr(member, "func", None))
    if isinstance(member, property | cached_property) and getter:
        yield path, Entry("property", str(inspect.signature(getter).return_annotation))
    elif path.rpartition(".")[2].startswith("test_"):
        yield path, Entry("test")
    elif inspect.isfunction(inspect.unwrap(function)) and _is_ours(inspect.unwrap(function)):
        given = getattr(cls, "_is_protocol", False) or hasattr(function, "__isabstractmethod__")
        yield from _function(path, inspect.unwrap(function), given=given)
    elif isinstance(member, _PLAIN) and not isinstance(member, tuple):
        yield path, Entry("constant", "", repr(member))
    elif inspect.isclass(member):
        yield path, Entry("class")
    else:
        yield path, Entry("value", type(member).__name__)


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith(_OURS)
