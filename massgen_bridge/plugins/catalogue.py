"""The kinds of agents that the project itself offers, installed or not.

`catalogue.json` also holds what is known of each available kind without importing its adapter: the
JSON Schema of its options, so that editors can check a configuration, what it can do and what it
needs. `python -m massgen_bridge.config.generate` writes that part anew from the adapters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

__all__ = ["CATALOGUE_FILE", "CORE", "CatalogueEntry", "catalogue"]

CORE = "massgen-bridge"

_NOTHING: Mapping[str, Any] = MappingProxyType({})
CATALOGUE_FILE = Path(__file__).parents[1] / "catalogue.json"


class CatalogueEntry(NamedTuple):
    """A kind of agent that the project offers or plans.

    Attributes:
        kind: The value of `backend.type`.
        summary: One line for people.
        distribution: What holds its adapter.
        extra: The core's extra that installs it; None for what is built in, and for adapters whose
            frameworks exclude each other.
        status: Whether it can be installed today.
        needs_model: Whether agents of an available kind need a model.
        options: JSON Schema of the options of an available kind.
        capabilities: What agents of an available kind can do at best.
        requires: pip requirements of an available kind's framework.
        framework: The distribution among them whose version is the framework's.
        python: Which Python versions the framework runs on, as a version specifier.
        own_process: Whether agents of an available kind usually run in a process of their own.
        aliases: Other names of an available kind, each with what is special about it.
    """

    kind: str
    summary: str
    distribution: str
    extra: str | None
    status: Literal["available", "planned"]
    needs_model: bool = False
    options: Mapping[str, Any] = _NOTHING
    capabilities: Mapping[str, Any] = _NOTHING
    requires: Sequence[str] = ()
    framework: str | None = None
    python: str = ">=3.11"
    own_process: bool = False
    aliases: Mapping[str, str] = _NOTHING

    @property
    def install(self) -> str | None:
        """The command that installs it; None for what is built in or only planned."""
        if self.distribution == CORE or self.status == "planned":
            return None
        if self.extra is None:
            return f"pip install {self.distribution}"
        return f"pip install 'massgen-bridge[{self.extra}]'"

    @property
    def package(self) -> str | None:
        """The import package of its adapter; None for what is built in."""
        return None if self.distribution == CORE else self.distribution.replace("-", "_")


@cache
def catalogue() -> Mapping[str, CatalogueEntry]:
    """All entries by kind, in the order of the file."""
    entries = json.loads(CATALOGUE_FILE.read_text(encoding="utf-8"))["adapters"]
    return MappingProxyType(
        {kind: CatalogueEntry(kind=kind, **entry) for kind, entry in entries.items()}
    )
