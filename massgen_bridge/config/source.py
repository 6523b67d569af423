"""A configuration's text as plain values, with the place of each of them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from massgen_bridge.errors import ConfigError

if TYPE_CHECKING:
    from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

__all__ = ["KeyPath", "Place", "Source", "dotted", "kept_source", "read_source"]

KeyPath = tuple[str | int, ...]
"""Where a value stands: `("agents", 0, "id")`."""

_MOST_VALUES = 100_000
_DEEPEST = 100


class Place(NamedTuple):
    """Line and column in the file, from 1."""

    line: int
    column: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a configuration came from.

    Attributes:
        data: Its values, as YAML or JSON give them.
        file: The file, as it was named; None for text and for values from Python.
        base_dir: The folder that paths in it are relative to.
        text: The bytes of the file or text; None for values from Python.
        keys: The place of each key, by the path of its value.
        values: The place of each value.
        at: The path of these values in the file, where they are a part of it.
        kept: Texts of further files, by their paths, which count in place of what is there now.
        origins: Where the file has what stands at a path of the values, and at those below it,
            where it is of another form than they are.
        warnings: What a user should know of how they are read; it has been logged.
    """

    data: Any
    base_dir: Path
    file: str | None = None
    text: bytes | None = None
    keys: Mapping[KeyPath, Place] = field(default_factory=dict, repr=False)
    values: Mapping[KeyPath, Place] = field(default_factory=dict, repr=False)
    at: KeyPath = ()
    kept: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    origins: Mapping[KeyPath, KeyPath] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def label(self) -> str | None:
        """What an error calls it; None for values from Python."""
        return self.file or (None if self.text is None else "<text>")

    def place(self, path: KeyPath, *, of_key: bool = False) -> Place | None:
        """Where a value (or its key) stands; the nearest one around it where it is not there."""
        path = self.origin(path)
        first, second = (self.keys, self.values) if of_key else (self.values, self.keys)
        for end in range(len(path), -1, -1):
            found = first.get(path[:end]) or second.get(path[:end])
            if found is not None:
                return found
        return None

    def origin(self, path: KeyPath) -> KeyPath:
        """The path in the file of what stands at a path of the values."""
        for end in range(len(path) if self.origins else 0, 0, -1):
            found = self.origins.get(path[:end])
            if found is not None:
                return (*found, *path[end:])
        return path

    def of_agent(self, index: int) -> Source:
        """The same for a configuration that has none of the agents but this one."""
        others = {path: at for path, at in self.origins.items() if path[:1] != ("agents",)}
        within = {
            ("agents", 0, *path[2:]): at
            for path, at in self.origins.items()
            if path[:2] == ("agents", index)
        }
        return replace(self, origins={("agents", 0): ("agents", index), **others, **within})


def dotted(path: KeyPath) -> str:
    """A path in words: `agents[0].backend.type`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def kept_source(text: bytes, *, file: str | None, base_dir: Path, is_json: bool) -> Source:
    """A configuration whose text was kept.

    Args:
        text: The bytes of the file or text.
        file: The file, as it was named.
        base_dir: The folder that paths in it are relative to.
        is_json: Whether it is JSON, not YAML.

    Raises:
        ConfigError: It is not what it should be.
    """
    return _parsed(text, file, base_dir, is_json=is_json)


def read_source(source: Path | str | bytes | Mapping[str, Any] | Source) -> Source:
    """Read a configuration.

    Args:
        source: A file, the text of one (YAML or JSON, with at least one line break) or its path
            as text, or the values themselves; one that was read already is given back.

    Raises:
        ConfigError: The file cannot be read, or its text is neither YAML nor JSON.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, Mapping):
        return Source(data=_copied(source, ()), base_dir=Path.cwd())
    if isinstance(source, bytes) or (isinstance(source, str) and "\n" in source):
        text = source if isinstance(source, bytes) else source.encode()
        return _parsed(text, None, Path.cwd(), is_json=False)
    path = Path(source)
    if path.suffix not in {".yaml", ".yml", ".json"}:
        raise ConfigError(f"expected a file that ends with .yaml, .yml or .json, not {str(path)!r}")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from None
    return _parsed(text, str(path), path.resolve().parent, is_json=path.suffix == ".json")


def _parsed(text: bytes, file: str | None, base_dir: Path, *, is_json: bool) -> Source:
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ConfigError("the file is not UTF-8", file=file, line=line) from None
    reader = _Reader(file or "<text>")
    data = reader.json(decoded) if is_json else reader.yaml(decoded)
    return Source(
        data=data,
        file=file,
        base_dir=base_dir,
        text=text,
        keys=reader.keys,
        values=reader.values,
    )


class _Reader:
    """Turns the nodes of a text into plain values and notes where each of them stands."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.keys: dict[KeyPath, Place] = {}
        self.values: dict[KeyPath, Place] = {}
        self._count = 0

    def yaml(self, text: str) -> Any:
        """The values of a YAML text."""
        root = self._compose(text)
        return None if root is None else self._value(root, (), ())

    def json(self, text: str) -> Any:
        """The values of a JSON text; what YAML understands of it gives the places."""
        try:
            data = json.loads(
                text, object_pairs_hook=self._json_object, parse_constant=self._json_constant
            )
        except json.JSONDecodeError as error:
            raise self._wrong(f"not JSON: {error.msg}", error.lineno, error.colno) from None
        except RecursionError:
            raise self._wrong("nested too deeply", 1, 1) from None
        try:
            # A tab cannot stand inside a JSON string, so this moves nothing.
            self.yaml(text.replace("\t", " "))
        except ConfigError:
            self.keys.clear()
            self.values.clear()
        return data

    def _json_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"the key {twice!r} is given twice in one object", file=self.file)
        return dict(pairs)

    def _json_constant(self, name: str) -> Any:
        raise ConfigError(f"expected a finite number, found {name}", file=self.file)

    def _wrong(self, message: str, line: int, column: int) -> ConfigError:
        return ConfigError(message, file=self.file, line=line, column=column)

    def _at(self, node: Node, message: str) -> ConfigError:
        return self._wrong(message, node.start_mark.line + 1, node.start_mark.column + 1)

    def _compose(self, text: str) -> Node | None:
        from ruamel.yaml import YAML  # noqa: PLC0415 - heavy, needed for files alone
        from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415 - as above

        loader = YAML(typ="safe", pure=True)
        try:
            root: Node | None = loader.compose(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._wrong(
                _syntax(error, text), mark.line + 1 if mark else 1, mark.column + 1 if mark else 1
            ) from None
        except (YAMLError, ValueError) as error:  # a character that no YAML may hold, a bad escape
            message = str(error).splitlines()[0]
            raise ConfigError(f"not YAML: {message}", file=self.file) from None
        except RecursionError:
            raise self._wrong("nested too deeply", 1, 1) from None
        self._constructor = loader.constructor
        return root

    def _value(self, node: Node, path: KeyPath, around: tuple[int, ...]) -> Any:
        from ruamel.yaml.nodes import (  # noqa: PLC0415 - as above
            MappingNode,
            ScalarNode,
            SequenceNode,
        )

        self._count += 1
        if self._count > _MOST_VALUES or len(around) > _DEEPEST:
            raise self._at(node, "too large or nested too deeply for a configuration")
        if id(node) in around:
            raise self._at(node, "an alias stands inside what it is an alias of")
        self.values.setdefault(path, Place(node.start_mark.line + 1, node.start_mark.column + 1))
        around = (*around, id(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, path, around)
        if isinstance(node, SequenceNode):
            self._check_tag(node, "seq")
            return [self._value(one, (*path, i), around) for i, one in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        raise self._at(node, "expected a value")

    def _mapping(self, node: MappingNode, path: KeyPath, around: tuple[int, ...]) -> dict[str, Any]:
        self._check_tag(node, "map")
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[Node] = []
        for key, value in node.value:
            if _tag(key) == "merge":
                merged.append(value)
                continue
            name = self._key(key)
            if name in result:
                raise self._at(
                    key, f"the key {name!r} is given twice (first in line {lines[name]})"
                )
            lines[name] = key.start_mark.line + 1
            self.keys[(*path, name)] = Place(lines[name], key.start_mark.column + 1)
            result[name] = self._value(value, (*path, name), around)
            if value.value == "":  # nothing is written; the parser places that in the next line
                self.values[(*path, name)] = self.keys[(*path, name)]
        for one in merged:
            for name, value in self._merged(one, path, around):
                result.setdefault(name, value)
        return result

    def _merged(
        self, node: Node, path: KeyPath, around: tuple[int, ...]
    ) -> Iterator[tuple[str, Any]]:
        """What `<<:` brings in: one mapping, or several of which the first counts."""
        value = self._value(node, (*path, "<<"), around)
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise self._at(node, "'<<' expects a mapping, or a list of mappings")
            yield from one.items()

    def _key(self, node: Node) -> str:
        from ruamel.yaml.nodes import ScalarNode  # noqa: PLC0415 - as above

        if not isinstance(node, ScalarNode) or _tag(node) not in {"str", "int", "timestamp"}:
            raise self._at(node, "expected a name as key")
        return str(node.value)

    def _scalar(self, node: ScalarNode) -> Any:
        match _tag(node):
            case "str" | "timestamp":
                return str(node.value)
            case "int":
                return self._constructor.construct_yaml_int(node)
            case "float":
                number = float(self._constructor.construct_yaml_float(node))
                if not math.isfinite(number):
                    raise self._at(node, f"expected a finite number, found {node.value}")
                return number
            case "bool":
                return self._constructor.construct_yaml_bool(node)
            case "null":
                return None
            case tag:
                raise self._at(node, f"the tag {tag!r} has no meaning here; write a plain value")

    def _check_tag(self, node: Node, expected: str) -> None:
        if _tag(node) != expected:
            raise self._at(node, f"the tag {_tag(node)!r} has no meaning here; write a plain value")


def _tag(node: Node) -> str:
    tag = str(node.tag)
    return tag.removeprefix("tag:yaml.org,2002:")


def _syntax(error: Any, text: str) -> str:
    problem = str(error.problem or error.context or error)
    mark = error.problem_mark
    if mark and mark.column and text.splitlines()[mark.line][mark.column - 1 :].startswith("${"):
        return "not YAML: between { and }, or [ and ], a '${NAME}' stands in quotes: \"${NAME}\""
    if "'\\t'" in problem:
        return "not YAML: a tab stands where spaces are expected; indent with spaces"
    if "another document" in problem:
        return "expected one document, but '---' begins another one"
    context = f" ({error.context})" if error.context and error.problem else ""
    return f"not YAML: {problem}{context}"


def _copied(value: Any, path: KeyPath) -> Any:
    """Values from Python as JSON has them, copied so that later changes do not matter."""
    match value:
        case Mapping():
            odd = next((name for name in value if not isinstance(name, str)), None)
            if odd is not None:
                raise ConfigError(
                    f"{dotted(path)}: expected a name as key, found {odd!r}".lstrip(": ")
                )
            return {name: _copied(one, (*path, name)) for name, one in value.items()}
        case list() | tuple():
            return [_copied(one, (*path, index)) for index, one in enumerate(value)]
        case os.PathLike():
            return os.fspath(value)
        case str() | bool() | int() | None:
            return value
        case float() if math.isfinite(value):
            return value
    raise ConfigError(
        f"{dotted(path)}: expected a value that JSON can hold, found {value!r}; name code by its"
        " import path"
    )
