"""Plain tables: columns that line up, the last one wrapped to the width of the terminal."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from massgen_bridge.cli._stdout import columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["table"]

_GAP = 2
_LEAST = 20


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under a head, as lines; wrapped only where a person reads them."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    *widths, _ = (max(len(cell) for cell in column) for column in zip(*lines, strict=True))
    before = sum(widths) + _GAP * len(widths)
    room = (columns() or 0) - before
    text = ""
    for *cells, last in lines:
        pairs = zip(cells, widths, strict=True)
        fixed = "".join(f"{cell:<{width + _GAP}}" for cell, width in pairs)
        parts = wrap(last, room) if room >= _LEAST else [last]
        for number, part in enumerate(parts or [""]):
            text += f"{' ' * before if number else fixed}{part}".rstrip() + "\n"
    return text
