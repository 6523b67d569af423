"""The kinds of agents that the project itself offers, installed or not.

`catalogue.json` also holds the JSON Schema of each available kind's options, so that editors can
check a configuration where only the core is installed. `python -m massgen_bridge.config.generate`
writes that part anew from the installed adapters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

__all__ = ["CATALOGUE_FILE", "CatalogueEntry", "catalogue"]

CATALOGUE_FILE = Path(__file__).parents[1] / "catalogue.json"


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """A kind of agent that the project offers or plans.

    Attributes:
        kind: The value of `backend.type`.
        summary: One line for people.
        distribution: What holds its adapter.
        extra: The core's extra that installs it; None for what is built in.
        status: Whether it can be installed today.
        needs_model: Whether agents of an available kind need a model.
        options: JSON Schema of the options of an available kind.
    """

    kind: str
    summary: str
    distribution: str
    extra: str | None
    status: Literal["available", "planned"]
    needs_model: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def install(self) -> str | None:
        """The command that installs it; None for what is built in or only planned."""
        if self.extra is None or self.status == "planned":
            return None
        return f"pip install 'massgen-bridge[{self.extra}]'"


@cache
def catalogue() -> Mapping[str, CatalogueEntry]:
    """All entries by kind, in the order of the file."""
    entries = json.loads(CATALOGUE_FILE.read_text(encoding="utf-8"))["adapters"]
    return MappingProxyType(
        {kind: CatalogueEntry(kind=kind, **entry) for kind, entry in entries.items()}
    )
