"""What an agent wrote, for a page: its Markdown laid out, its code as written, nothing active.

An answer is hostile input. No HTML in it counts, no picture is fetched, no link can be followed:
an address is shown as it was written, so that nobody is led anywhere by a name.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline, emphasis
from markdown_it.token import Token

from massgen_bridge.export._markup import Html, el, join, safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["prose"]

# Longer texts are shown as written: laying them out would take seconds.
_LONGEST = 100_000
_PLAIN = frozenset({"paragraph_open", "paragraph_close", "inline", "text", "fence"})
# Headings of an answer stand below those of the page.
_LOWER = 3
# A line that is indented within a paragraph: code without fences, most likely.
_INDENTED = re.compile(r"\n[ \t]+\S")
_DEEPEST = 6


def prose(text: str) -> Html:
    """A text, laid out; where that changed something, with the text as written below it."""
    shown = safe_text(text)
    if len(shown) > _LONGEST:
        return el("pre", shown, class_="prose", dir="auto")
    tokens = _parser().parse(shown)
    laid_out = Html(_parser().renderer.render(_lowered(tokens), _parser().options, {}))
    body = el("div", laid_out, class_="prose", dir="auto")
    if _is_plain(tokens):
        return body
    written = el(
        "details",
        el("summary", "As written"),
        el("pre", shown, dir="auto"),
        class_="written",
    )
    return join((body, written))


def _stars(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - the parser's call
    """Emphasis by stars alone: an underscore is part of a name more often than not."""
    return state.src[state.pos] != "_" and emphasis.tokenize(state, silent)


@cache
def _parser() -> MarkdownIt:
    # Line ends and indents are kept, since not all code stands between fences.
    inert = ("link", "image", "autolink", "html_inline", "newline", "entity")
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False})
    parser.inline.ruler.at("emphasis", _stars)
    parser.disable(["reference", "html_block", *inert]).enable("table")
    return parser


def _lowered(tokens: Sequence[Token]) -> Sequence[Token]:
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1:]) + _LOWER, _DEEPEST)}"
        if token.type == "inline" and _INDENTED.search(token.content):
            token.children = [Token("text", "", 0, content=token.content)]
        token.attrs = {name: value for name, value in token.attrs.items() if name == "start"}
    return tokens


def _is_plain(tokens: Sequence[Token]) -> bool:
    inner = (child for token in tokens for child in token.children or ())
    return all(token.type in _PLAIN for token in (*tokens, *inner))
