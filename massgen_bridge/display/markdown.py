"""Text from anywhere as Markdown that shows it and does nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from massgen_bridge.display.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["markdown_table", "markdown_text"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")


def markdown_text(text: str) -> str:
    """A text in one line, in which no character means anything to Markdown."""
    # A word joiner: GitHub tells whoever is named, even where the sign is escaped.
    return _SPECIAL.sub(r"\\\1", one_line(text)).replace("@", "@\u2060")


def markdown_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False
) -> str:
    """A table of plain texts.

    Args:
        head: What stands above the columns, as Markdown.
        rows: The cells, as text.
        numbers: Whether all columns but the first hold numbers.
    """
    rule = ["--:" if numbers and column else "---" for column in range(len(head))]
    lines = [head, rule, *([markdown_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
