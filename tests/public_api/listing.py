"""Lists everything public, each name, parameter, field, hook, key and option in a line of its own.

What is public, and what a change of it means for others: docs/explanation/versioning.md. To look
at the list: `PYTHONPATH=tests python -m public_api.listing`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from public_api.commands import command_lines, distribution_lines
from public_api.entry import Entry
from public_api.names import hook_lines, module_lines
from public_api.schemas import configuration_lines, record_lines

import massgen_bridge

__all__ = ["MODULES", "Entries", "Listing", "listed", "read", "written"]

MODULES = (
    "massgen_bridge",
    "massgen_bridge.adapting",
    "massgen_bridge.testing.agents",
    "massgen_bridge.testing.apart",
    "massgen_bridge.testing.conformance",
    "massgen_bridge.testing.exceptions",
    "massgen_bridge.testing.fixtures",
    "massgen_bridge.testing.guards",
    "massgen_bridge.testing.hosting",
    "massgen_bridge.testing.servers",
    "massgen_bridge.testing.warm",
)
"""The modules that others may import; what else there is belongs to massgen-bridge alone."""

Entries: TypeAlias = Mapping[str, Entry]


class Listing(NamedTuple):
    """What was public in a version."""

    version: str
    entries: Entries


def listed() -> Listing:
    """What is public now."""
    entries: dict[str, Entry] = {}
    told: dict[int, str] = {}
    for module in MODULES:
        entries |= module_lines(__import__(module, fromlist=["__all__"]), told)
    for lines in (hook_lines, command_lines, configuration_lines, record_lines, distribution_lines):
        entries |= lines()
    return Listing(massgen_bridge.__version__, entries)


def written(listing: Listing) -> str:
    """A listing as JSON, one entry a line."""
    lines = [
        f"    {json.dumps(path)}: {json.dumps(_short(entry), ensure_ascii=False)}"
        for path, entry in sorted(listing.entries.items())
    ]
    public, version = ",\n".join(lines), json.dumps(listing.version)
    return f'{{\n  "version": {version},\n  "public": {{\n{public}\n  }}\n}}\n'


def _short(entry: Entry) -> list[str | None]:
    whole: list[str | None] = [*entry]
    while whole[-1] in {None, ""}:
        whole.pop()
    return whole


def read(text: str) -> Listing:
    """A listing from the JSON that `written` makes."""
    known = json.loads(text)
    return Listing(known["version"], {p: Entry(*entry) for p, entry in known["public"].items()})


if __name__ == "__main__":
    sys.stdout.write(written(listed()))
