"""What the metadata of an installed distribution say of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["written"]

_FILES = ("METADATA", "PKG-INFO")


def written(distribution: Distribution, field: Literal["Name", "Version"]) -> str | None:
    """A field of a distribution's metadata; None where an uninstallation has left it out.

    `Distribution.metadata` parses the whole file as an e-mail, with the text of a README in it: too
    slow for a listing of what is installed.
    """
    text = next(filter(None, map(distribution.read_text, _FILES)), "")
    found = re.search(rf"^{field}: *(.*?) *$", text.partition("\n\n")[0], re.MULTILINE)
    return None if found is None else found[1]
