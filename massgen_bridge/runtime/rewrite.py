"""Records as JSON, whatever they hold, and records with their texts replaced."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticSerializationError, SchemaSerializer, to_json

from massgen_bridge.events import Record
from massgen_bridge.messages import MEDIA_BY_NAME, MEDIA_NAME, unbroken
from massgen_bridge.runtime.deltas import Joined, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["encode", "media_name", "rewrite"]

_DEEPEST = 100
_RECORD: TypeAdapter[Record] = TypeAdapter(Record)


def media_name(data: bytes) -> str:
    """The name of media by their content, for `encode`."""
    return f"{MEDIA_NAME}{sha256(data).hexdigest()}"


def encode(item: Record | Joined, name: Callable[[bytes], str] | None = None) -> str:
    """One record as one line of JSON; with `name`, media stand in it under what that gives.

    What JSON cannot hold never stops a run: half a surrogate pair becomes U+FFFD, a value of an
    unknown type its `repr`, and what nests too deeply or contains itself is cut off.
    """
    try:
        if isinstance(item, Record):
            return _json(item, name)
        delta, text = item
        return to_json({**vars(delta), "event": {**vars(delta.event), "text": text}}).decode()
    except PydanticSerializationError:
        plain = Record.model_validate(_walk(whole(item), unbroken, bytes, ()))
        return _json(plain, name)


def _json(record: Record, name: Callable[[bytes], str] | None) -> str:
    context = None if name is None else {MEDIA_BY_NAME: name}
    return _serializer().to_json(record, context=context).decode()


def rewrite(
    record: Record, text: Callable[[str], str], data: Callable[[bytes], bytes] = bytes
) -> Record:
    """`record` with every text replaced by `text(...)` and every piece of media by `data(...)`.

    The vocabulary of the schema (names of fields, event types, roles and the like) stays.

    Raises:
        pydantic.ValidationError: The new texts break a rule of the schema.
    """
    known = _vocabulary()
    return Record.model_validate(
        _walk(record, lambda old: old if old in known else text(old), data, ())
    )


def _walk(
    value: Any, text: Callable[[str], str], data: Callable[[bytes], bytes], above: tuple[int, ...]
) -> Any:
    """`value` as plain data."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bytes):
        return data(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if id(value) in above or len(above) > _DEEPEST:
        return "[cut off]"
    above = (*above, id(value))
    if isinstance(value, BaseModel):
        return {name: _walk(part, text, data, above) for name, part in value}
    if isinstance(value, dict):
        return {text(str(key)): _walk(part, text, data, above) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_walk(part, text, data, above) for part in value]
    return text(repr(value))


@cache
def _serializer() -> SchemaSerializer:
    _RECORD.rebuild()
    serializer = _RECORD.serializer
    if not isinstance(serializer, SchemaSerializer):
        raise TypeError("the schema of records is not complete")
    return serializer


@cache
def _vocabulary() -> frozenset[str]:
    return frozenset(_words(_RECORD.json_schema(mode="serialization")))


def _words(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        yield from (word for word in schema.get("enum", ()) if isinstance(word, str))
        if isinstance(schema.get("const"), str):
            yield schema["const"]
        for part in schema.values():
            yield from _words(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _words(part)
