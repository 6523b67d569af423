"""Teams within a configuration: where the configuration of one is, with the place of each value."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge.config.source import KeyPath, Source, kept_source
from massgen_bridge.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.config.source import Place
    from massgen_bridge.models.settings import ModelConfig
    from massgen_bridge.specs import ProviderSpec

__all__ = ["DEEPEST", "Around", "path_of", "team_source"]

DEEPEST = 5
"""So many teams may stand within each other."""


@dataclass(frozen=True, kw_only=True)
class Around:
    """What a team has around it.

    Attributes:
        files: The configurations that it is a part of, the outermost first.
        depth: How many teams it stands within.
        models: The connections that it may use beside its own.
        providers: The providers of the file around it.
        may_wait: Whether a plugin that is not loaded yet may know the names in it.
    """

    files: tuple[Path, ...] = ()
    depth: int = 0
    models: Mapping[str, ModelConfig] = field(default_factory=dict)
    providers: Mapping[str, ProviderSpec] = field(default_factory=dict)
    may_wait: bool = False


def path_of(source: Source) -> Path | None:
    """The file of a configuration, wherever the process stands; None where there is none."""
    return None if source.file is None else source.base_dir.resolve() / Path(source.file).name


def team_source(outer: Source, at: KeyPath, options: Mapping[str, Any], around: Around) -> Source:
    """The configuration of a team.

    Args:
        outer: The configuration that the team stands in.
        at: The path of its backend in there.
        options: The kind's own keys, as they stand there.
        around: What is around the team.

    Raises:
        ConfigError: There is no such file, it cannot be read, the team would contain itself, or
            too many teams stand within each other.
    """
    named = options.get("config")
    if named is not None:
        return _of_file(outer, named, around)
    _check_depth(around)
    return _written_out(outer, at, options)


def _check_depth(around: Around) -> None:
    if around.depth > DEEPEST:
        raise ConfigError(f"more than {DEEPEST} teams stand within each other")


def _of_file(outer: Source, named: str, around: Around) -> Source:
    path = (outer.base_dir / named).resolve()
    shown = named if outer.file is None else os.path.normpath(Path(outer.file).parent / named)
    if path in around.files:
        files = around.files
        circle = " → ".join(one.name for one in (*files[files.index(path) :], path))
        raise ConfigError(f"a team cannot be part of itself: {circle}")
    _check_depth(around)
    if path.suffix not in {".yaml", ".yml", ".json"}:
        raise ConfigError(f"expected a file that ends with .yaml, .yml or .json, not {named!r}")
    text = outer.kept.get(str(path))
    try:
        text = path.read_bytes() if text is None else text
    except OSError as error:
        raise ConfigError(f"cannot read {shown!r}: {error.strerror}") from None
    found = kept_source(text, file=shown, base_dir=path.parent, is_json=path.suffix == ".json")
    return replace(found, kept=outer.kept)


def _written_out(outer: Source, at: KeyPath, options: Mapping[str, Any]) -> Source:
    return replace(
        outer,
        data={"version": 1, **{name: value for name, value in options.items() if name != "config"}},
        at=(*outer.at, *at),
        keys=_within(outer.keys, at),
        values=_within(outer.values, at),
    )


def _within(places: Mapping[KeyPath, Place], at: KeyPath) -> dict[KeyPath, Place]:
    return {path[len(at) :]: place for path, place in places.items() if path[: len(at)] == at}
