"""Markdown of a run: what agents wrote cannot become a part of the document."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from display.scenes import Scene, real_run
from export.test_build import split_run
from markdown_it import MarkdownIt

from massgen_bridge import run
from massgen_bridge.export import as_html, as_markdown, export_of

if TYPE_CHECKING:
    from massgen_bridge.events import Record

HOSTILE = "````\n# Fake\n<script>x</script>\n```\n</details>\n| a |"


def test_everything_of_interest_stands_in_it() -> None:
    text = as_markdown(export_of(split_run().records))
    assert text.startswith("# Which?\n\n**a1 won with 1 of 2 votes.**\n")
    assert "| a2 | a2, version 2 | mine |" in text
    assert "a2 preferred the answer of a2:\n\n- a2: mine" in text
    assert "Round 1: 1 vote lapsed." in text
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "## The answer, by a1",
        "## The vote",
        "## What the others saw differently",
        "## How it went",
        "## All answers",
        "## What it cost",
        "## The run",
    ]


def test_answers_and_reasons_stay_text() -> None:
    reason = "<b>@all</b> | *x* `y` [l](http://x)\n# Fake"
    records = real_run(
        {"answers": [HOSTILE], "votes": ["agent2"], "reason": reason},
        {"answers": ["b"], "votes": ["agent1"], "reason": reason},
        {"answers": ["c"], "votes": ["agent1"], "reason": reason},
    )
    text = as_markdown(export_of(records))
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(text)
    fences = [token for token in tokens if token.type == "fence"]
    assert f"{HOSTILE}\n" in [token.content for token in fences]
    kinds = {token.type for token in tokens}
    kinds |= {child.type for token in tokens for child in token.children or ()}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "em_open"}
    assert "Fake" not in {
        after.content for token, after in pairwise(tokens) if token.type == "heading_open"
    }
    assert "@\u2060all" in text


def test_a_run_without_end_is_written_too() -> None:
    assert "Not finished" in as_markdown(export_of(Scene(1).start("a1.1").records))


def test_a_vote_that_weighs_more_says_so() -> None:
    records: list[Record] = []
    backends = [{"type": "scripted", "answers": [text]} for text in ("one", "two")]
    agents = [
        {"id": name, "weight": weight, "backend": backend}
        for name, weight, backend in zip("ab", (2.5, 1), backends, strict=True)
    ]
    run({"version": 1, "agents": agents}, "Which?", keep=False, on_record=records.append)
    exported = export_of(records)

    for text in (as_markdown(exported), as_html(exported)):
        assert "a (weight 2.5)" in text
        assert "b (weight" not in text
