"""HTML that is safe because of how it is made: what is no `Html` is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from massgen_bridge.display.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Html", "el", "join", "safe_text", "scrolling"]

_EMPTY = frozenset({"br", "meta"})


class Html(str):
    """Markup made here; all other text is escaped before it gets onto a page."""

    __slots__ = ()


def safe_text(text: str) -> str:
    """What may stand on a page: no controls, nothing that turns the reading direction."""
    # Tabs stay: in code they mean something.
    return "\t".join(clean(piece) for piece in text.split("\t"))


def el(tag: str, *children: str | None, **attributes: object) -> Html:
    """An element; children that are None and attributes that are None or False are left out.

    Args:
        tag: Its name.
        children: Text, which is escaped, and `Html`, which is not.
        attributes: `class_` and `for_` without their underscore, others with hyphens for it.
    """
    parts = [f"<{tag}"]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        plain = name.rstrip("_").replace("_", "-")
        parts.append(
            f" {plain}" if value is True else f' {plain}="{escape(safe_text(str(value)))}"'
        )
    parts.append(">")
    if tag not in _EMPTY:
        parts += (_escaped(child) for child in children if child is not None)
        parts.append(f"</{tag}>")
    return Html("".join(parts))


def join(parts: Iterable[str | None], between: str = "") -> Html:
    """Several pieces as one."""
    return Html(_escaped(between).join(_escaped(part) for part in parts if part is not None))


def scrolling(table: Html, label: str) -> Html:
    """A table that scrolls by itself where it is wider than the page, by keyboard, too."""
    return el("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)


def _escaped(text: str) -> str:
    return text if isinstance(text, Html) else escape(safe_text(text), quote=False)
