"""What is wrong with a configuration: all of it at once, each with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from massgen_bridge.config.source import KeyPath, Source, dotted
from massgen_bridge.errors import ConfigError
from massgen_bridge.plugins.records import nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["InvalidConfig", "Problem", "Problems", "described", "parse"]

M = TypeVar("M", bound=BaseModel)
_SECRET = re.compile(r"auth|header|key|passw|secret|token", re.IGNORECASE)
_LONGEST_SHOWN = 60
_NAMES = re.compile(r"\^(?:\[([^]]+)])?\[([^]]+)](?:\*|\{\d+,(\d+)})\$")
_OF_A_KEY = "[key]"  # what pydantic calls the key of a mapping
_PLAINER = {
    "a valid array": "a list",
    "a valid boolean": "true or false",
    "a valid dictionary": "a mapping",
    "a valid integer": "a whole number",
    "a valid list": "a list",
    "a valid number": "a number",
    "a valid set": "a list",
    "a valid frozenset": "a list",
    "a valid string": "text",
    "a valid tuple": "a list",
    "an object": "a mapping",
}
"""Pydantic's words, and those of people who write YAML."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        message: What is wrong and what was expected; begins with the path where there is one.
        path: The keys that lead to it.
        file: The file, where there is one.
        line: Line in the file, from 1.
        column: Column in the line, from 1.
    """

    message: str
    path: KeyPath = ()
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(one) for one in (self.file, self.line, self.column) if one is not None)
        return f"{place}: {self.message}" if place else self.message


class InvalidConfig(ConfigError):
    """A configuration with at least one problem; its text is the first one's.

    Args:
        problems: All of them, in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = len(self.problems) - 1
        also = f" (and {more} more problem{'s' if more > 1 else ''})" if more else ""
        super().__init__(
            first.message + also, file=first.file, line=first.line, column=first.column
        )


class Problems:
    """Collects the problems of one configuration."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: list[Problem] = []

    def add(self, path: KeyPath, message: str, *, at_key: bool = False) -> None:
        """Note a problem with the value at a path, or with its key."""
        place = self._source.place(path, of_key=at_key)
        whole = (*self._source.at, *self._source.origin(path))
        prefix = f"{dotted(whole)}: " if whole else ""
        self._found.append(
            Problem(
                message=prefix + message,
                path=whole,
                file=self._source.label,
                line=place.line if place else None,
                column=place.column if place else None,
            )
        )

    def take(self, error: ConfigError) -> None:
        """Add what is wrong with a configuration that this one contains."""
        if isinstance(error, InvalidConfig):
            self._found += error.problems
            return
        self._found.append(
            Problem(message=error.message, file=error.file, line=error.line, column=error.column)
        )

    def raise_any(self) -> None:
        """Raise what was found.

        Raises:
            InvalidConfig: There is at least one problem.
        """
        if self._found:
            unique = {(one.file, one.path, one.message): one for one in self._found}
            raise InvalidConfig(sorted(unique.values(), key=self._order))

    def _order(self, problem: Problem) -> tuple[bool, str, int, int]:
        """Those of the file itself come first."""
        elsewhere = problem.file != self._source.label
        return elsewhere, problem.file or "", problem.line or 0, problem.column or 0


def parse(
    model: type[M],
    data: Any,
    path: KeyPath,
    problems: Problems,
    *,
    also: Iterable[str] = (),
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> M | None:
    """Validate values as strictly as JSON is validated: text is no number, a number no text.

    Args:
        model: What they should be.
        data: Plain values.
        path: Where they stand.
        problems: Gets what is wrong.
        also: Further keys that may stand beside these, for the list of known ones.
        elsewhere: What to say of keys that have their place elsewhere.

    Returns:
        An instance; None if there is a problem.
    """
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
    members: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in details:
        inner = _real_path(detail["loc"], data)
        if detail["type"] == "too_short" and any(
            _real_path(other["loc"], data)[: len(inner)] == inner and other is not detail
            for other in details
        ):
            continue  # pydantic counts only the items that are valid
        if _expected(detail) is None:
            _add(model, detail, (path, inner), problems, (also, elsewhere))
        else:
            members.setdefault(inner, []).append(detail)
    for inner, same in members.items():
        # What fits no member of a union is one mistake, not one for each member.
        if any(len(other) > len(inner) and other[: len(inner)] == inner for other in members):
            continue  # it has the form of one, whose own mistakes are told
        wanted = list(dict.fromkeys(filter(None, map(_expected, same))))
        last = wanted.pop()
        expected = f"{', '.join(wanted)} or {last}" if wanted else last
        whole = (*path, *inner)
        if whole[-1:] == (_OF_A_KEY,):
            wanted_name = expected.replace("text", "a name", 1)
            found = f"expected {wanted_name}, found {whole[-2]!r}"
            problems.add(whole[:-1], found, at_key=True)
            continue
        problems.add(whole, f"expected {expected}, found {described(same[0]['input'], whole)}")
    return None


def _add(
    model: type[BaseModel],
    detail: ErrorDetails,
    paths: tuple[KeyPath, KeyPath],
    problems: Problems,
    beside: tuple[Iterable[str], Mapping[str, str]],
) -> None:
    path, inner = paths
    also, elsewhere = beside
    whole = (*path, *inner)
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, inner[:-1])
        if len(inner) == 1:
            known = sorted({*known, *also})
        key = str(inner[-1])
        hint = elsewhere.get(key) if len(inner) == 1 else None
        if hint is None:
            hint = f"{nearest(key, known)} (known: {', '.join(known) or 'none'})"
        problems.add(whole, f"unknown key{hint}", at_key=True)
    elif detail["type"] == "missing":
        problems.add(whole[:-1], f"the key {str(whole[-1])!r} is missing", at_key=True)
    else:
        problems.add(whole, _explained(detail))


def _explained(detail: ErrorDetails) -> str:
    message = detail["msg"]
    if detail["type"] in {"value_error", "assertion_error"}:
        return message.partition(", ")[2]
    return f"{message[:1].lower()}{message[1:]}"


def _expected(detail: ErrorDetails) -> str | None:
    """What was expected instead of a value; None where something else is wrong."""
    message = detail["msg"]
    match detail["type"]:
        case "string_pattern_mismatch":
            return _matching(detail["ctx"]["pattern"])
        case "too_short":
            return "at least one item"
        case "string_too_short":
            return "a longer text"
        case _ if message.startswith("Input should be "):
            expected = message.removeprefix("Input should be ")
            bound = expected.startswith(("greater than", "less than"))
            return f"a number {expected}" if bound else _PLAINER.get(expected, expected)
    return None


def _matching(pattern: str) -> str:
    """What text has to be like, without the signs of a regular expression where it is a name's."""
    name = _NAMES.fullmatch(pattern)
    if name is None:
        return f"text that matches {pattern}"
    first, any_, rest = name.groups()
    begin = f", beginning with {_characters(first)}" if first else ""
    most = f"at most {int(rest) + bool(first)} of " if rest else ""
    return f"text of {most}{_characters(any_)}{begin}"


def _characters(of_a_class: str) -> str:
    return " ".join(re.findall(".-.|.", of_a_class))


def described(value: Any, path: KeyPath = ()) -> str:
    """A value in words; text is not shown where it may be a secret."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            hidden = any(_SECRET.search(str(part)) for part in path) or path[-2:-1] == ("env",)
            shown = repr(value) if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]!r}…"
            return "text" if hidden else f"the text {shown}"
        case Mapping():
            return "a mapping"
    return "a list" if value else "an empty list"


def _real_path(location: tuple[int | str, ...], data: Any) -> KeyPath:
    """An error's location without the parts that name members of a union, not keys."""
    path: list[int | str] = []
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if _has(data, part):
            data = data[part]
        elif not (last and isinstance(data, dict)):
            continue
        path.append(part)
    return tuple(path)


def _has(data: Any, part: int | str) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, dict) and part in data


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that a model knows at a path."""
    current: type[BaseModel] | None = model
    for part in path:
        field = current.model_fields.get(str(part)) if current is not None else None
        if field is not None:
            current = _model_in(field.annotation)
    return [] if current is None else list(current.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(one) for one in get_args(annotation))
    return next((one for one in found if one is not None), None)
