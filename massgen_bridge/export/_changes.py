"""What one text has that another has not, line by line."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Change", "changes"]

# Comparing takes time with the square of the length: what is longer is not compared.
_LONGEST = 20_000
_MOST_PIECES = 600
_PIECE = re.compile(r"[^\n]*?(?:[.!?](?=\s)|\n|$)")


class Change(NamedTuple):
    """A piece of text: in both, only in the old one, only in the new one."""

    kind: Literal["same", "gone", "new"]
    text: str


def changes(old: str, new: str) -> Sequence[Change] | None:
    """The way from one text to another, in sentences; None where they are too long for it."""
    if max(len(old), len(new)) > _LONGEST:
        return None
    before, after = _pieces(old), _pieces(new)
    if max(len(before), len(after)) > _MOST_PIECES:
        return None
    found: list[Change] = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, b1, b2, a1, a2 in matcher.get_opcodes():
        if kind == "equal":
            found.append(Change("same", "".join(before[b1:b2])))
            continue
        if b2 > b1:
            found.append(Change("gone", "".join(before[b1:b2])))
        if a2 > a1:
            found.append(Change("new", "".join(after[a1:a2])))
    return found


def _pieces(text: str) -> list[str]:
    return [piece for piece in _PIECE.findall(text.strip()) if piece]
