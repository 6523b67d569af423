"""Docstrings, types and tables as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Docstring", "anchor", "docstring", "linked", "table"]

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns):$", re.MULTILINE)
_ITEM = re.compile(r"^ {4}(\w+): ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Docstring:
    """A docstring in its parts; `text` is everything before the first section."""

    text: str
    items: Mapping[str, str] = field(default_factory=dict)
    returns: str = ""


def docstring(thing: object) -> Docstring:
    """The parts of a docstring in Google's form; `items` are its arguments or attributes."""
    text, *rest = _SECTION.split(inspect.getdoc(thing) or "")
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    listed = sections.get("Args") or sections.get("Attributes") or ""
    _, *parts = _ITEM.split(listed)
    items = {name: _joined(said) for name, said in zip(parts[::2], parts[1::2], strict=True)}
    return Docstring(
        text=_paragraphs(text), items=items, returns=_joined(sections.get("Returns", ""))
    )


def _joined(text: str) -> str:
    return " ".join(text.split())


def _paragraphs(text: str) -> str:
    """The same paragraphs, each in one line; lists keep their lines."""
    parts = re.split(r"\n\n+", text.strip())
    return "\n\n".join(one if one.startswith("- ") else _joined(one) for one in parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, without columns that would be empty."""
    cells = [[_joined(cell).replace("|", "\\|") for cell in row] for row in rows]
    kept = [column for column in range(len(head)) if any(row[column] for row in cells)]
    lines = [[head[column] for column in kept], ["---" for _ in kept]]
    lines += [[row[column] for column in kept] for row in cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def anchor(heading: str) -> str:
    """The address of a heading on its page, as the `toc` extension makes it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def linked(name: str, page: str = "") -> str:
    """A name in code type that leads to its heading."""
    return f"[`{name}`]({page}#{anchor(name)})"
