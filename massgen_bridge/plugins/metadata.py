"""What the metadata of an installed distribution say of it."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

__all__ = ["entry_points_of", "written"]

_ENTRY_POINTS = "entry_points.txt"
_FILES = ("METADATA", "PKG-INFO")


def entry_points_of(group: str) -> Iterator[EntryPoint]:
    """The entry points of a group, of all installed distributions.

    `importlib.metadata.entry_points` parses those of every group: too slow for each command.
    """
    seen = set()
    for found in distributions():
        if group not in (found.read_text(_ENTRY_POINTS) or ""):
            continue
        name = written(found, "Name")
        normal = re.sub(r"[-_.]+", "-", name or "").lower()
        if name is not None and normal in seen:
            continue
        seen.add(normal)
        # Where one is there twice, the first on the path counts, whatever it offers.
        first = found if name is None else Distribution.from_name(name)
        yield from first.entry_points.select(group=group)


def written(distribution: Distribution, field: Literal["Name", "Version"]) -> str | None:
    """A field of a distribution's metadata; None where an uninstallation has left it out.

    `Distribution.metadata` parses the whole file as an e-mail, with the text of a README in it: too
    slow for a listing of what is installed.
    """
    text = next(filter(None, map(distribution.read_text, _FILES)), "")
    found = re.search(rf"^{field}: *(.*?) *$", text.partition("\n\n")[0], re.MULTILINE)
    return None if found is None else found[1]
