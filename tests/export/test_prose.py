"""What agents wrote is laid out, kept as written where it is code, and never acts."""

from __future__ import annotations

import time

import pytest

from massgen_bridge.export._changes import changes
from massgen_bridge.export._markup import Html, el, join
from massgen_bridge.export._prose import prose


def test_text_is_escaped_and_markup_is_not() -> None:
    made = el("p", "<b>", el("i", "&"), None, class_="x", title="\"'<", hidden=True, id=None)
    assert made == '<p class="x" title="&quot;&#x27;&lt;" hidden>&lt;b&gt;<i>&amp;</i></p>'
    assert join(("<", Html("<br>")), between=" & ") == "&lt; &amp; <br>"


def test_markdown_is_laid_out_below_the_page_s_own_headings() -> None:
    html = prose("# Title\n\n**bold** and *so*\n\n| a | b |\n| - | -: |\n| 1 | 2 |")
    assert "<h4>Title</h4>" in html
    assert "<strong>bold</strong> and <em>so</em>" in html
    assert "<td>1</td>" in html
    assert "style=" not in html
    assert "As written" in html


def test_plain_text_needs_no_second_look() -> None:
    assert "As written" not in prose("One.\n\nTwo.")


@pytest.mark.parametrize(
    "code",
    [
        "def __init__(self):\n    return self.a * 2 * 3",
        "if x:\n\tsnake_case_name = *args*",
        "call __name__ and a_b_c",
    ],
)
def test_code_without_fences_stays_as_it_is(code: str) -> None:
    assert f"<p>{code}</p>" in prose(code)


def test_fenced_code_keeps_every_character() -> None:
    code = "a  <b>\n\t\\* __x__ [l](u) &amp;\n\n  end"
    escaped = code.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"<code>{escaped}\n</code>" in prose(f"```\n{code}\n```")


@pytest.mark.parametrize(
    "text",
    ["[" * 50_000, "*a " * 30_000, "> " * 30_000, "|a" * 30_000, "`" * 90_000, "x\n" * 60_000],
)
def test_what_is_made_to_take_long_does_not(text: str) -> None:
    before = time.process_time()
    prose(text)
    assert time.process_time() - before < 5


def test_changes_are_told_by_the_sentence() -> None:
    found = changes("It is red. It is big.", "It is red. It is small. So be it.")
    assert found is not None
    assert [(one.kind, one.text) for one in found] == [
        ("same", "It is red."),
        ("gone", " It is big."),
        ("new", " It is small. So be it."),
    ]


def test_nothing_is_lost_in_changes() -> None:
    old, new = "a\n\nb. c! d?\ne", "a\n\nB. c! d?\ne\n\nf"
    found = changes(old, new)
    assert found is not None
    assert "".join(one.text for one in found if one.kind != "new") == old
    assert "".join(one.text for one in found if one.kind != "gone") == new


def test_long_texts_are_not_compared() -> None:
    assert changes("a" * 30_000, "b") is None
    assert changes("a\n" * 2_000, "b") is None
