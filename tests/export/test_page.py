"""The page is whole, can be read by everybody, and nothing that an agent wrote acts on it."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from display.scenes import HOSTILE, Scene, real_run
from export.pages import Page
from export.test_build import split_run

import massgen_bridge.export
from massgen_bridge.events import Record, RunFinished
from massgen_bridge.export import as_html, export_of

ATTACK = (
    '</pre></details></section></body><script>alert(1)</script><img src=x onerror=alert(1)>"'
    "' onclick=x <style>body{display:none}</style><iframe src=//x></iframe><!-- --> ]]> "
    "![p](https://x.example/p.png) [c](javascript:alert(1)) <https://x.example> "
    "&lt;script&gt; \u202egnp.exe \x1b[31mred\x00\n\n[r]: https://x.example\n\n[r]\n\n"
    '```"><script>alert(2)</script>\n<b>as written</b>\n\tindented\n```\n\n<div onload=x>\n\n~~~~'
)


def attacked() -> str:
    """The page of a run in which everything that can be text is an attack."""

    def poisoned(value: Any) -> Any:
        match value:
            case dict():
                return {key: poisoned(one) for key, one in value.items()}
            case list():
                return [poisoned(one) for one in value]
            case str() if value in {"one", "Two. And better.", "mine", "Which?", "still the first"}:
                return ATTACK
        return value

    records = [
        Record.model_validate(poisoned(record.model_dump(mode="json")))
        for record in split_run().records
    ]
    return as_html(export_of(records))


def test_nothing_on_the_page_acts_whatever_agents_write() -> None:
    page = Page(attacked())
    assert "<script>alert(1)</script>" in page.text
    assert "[c](javascript:alert(1))" in page.text
    assert not set(page.tags) & {"script", "img", "iframe", "link", "object", "form", "base"}
    assert page.tags.count("style") == 1
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in {"src", "style", "srcset", "action"}, (tag, name)
        if name == "href":
            assert value.startswith("#")


def test_nothing_turns_the_reading_direction_or_controls_anything() -> None:
    html = attacked()
    assert re.findall("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", html) == []
    assert "gnp.exe red" in Page(html).text


def test_the_policy_allows_the_page_s_own_style_alone() -> None:
    html = attacked()
    style = html.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policies = [value for _, name, value in Page(html).attributes if "default-src" in value]
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    ]
    assert "url(" not in style
    assert "@import" not in style


def test_code_is_shown_as_written() -> None:
    page = Page(attacked())
    assert "<b>as written</b>\n\tindented\n" in page.texts["code"]


def test_the_page_says_who_won_who_dissented_and_why() -> None:
    page = Page(as_html(export_of(split_run().records)))
    text = page.text
    assert "a1 won with 1 of 2 votes." in text
    assert "broken by the order of the configuration" in text
    assert "What the others saw differently" in text
    assert "a2 preferred its own answer" in text
    assert "still the first" in text
    assert "Round 1: 1 vote lapsed, since a better answer came" in text
    assert "What changed since version 1" in text
    assert "voted for this, its own answer" in text


@pytest.mark.parametrize(("by", "named"), [("a2", "a2"), ("judge", "the plugin judge")])
def test_the_page_says_who_broke_a_tie(by: str, named: str) -> None:
    export = export_of(split_run().records)
    assert export.tie is not None
    broken = export.model_copy(update={"tie": export.tie.model_copy(update={"by": by})})
    assert f"broken by {named}" in Page(as_html(broken)).text


def test_answers_with_nothing_in_common_are_shown_instead_of_compared() -> None:
    text = Page(as_html(export_of(split_run().records))).text
    assert "What sets it apart" not in text
    assert "Read that answer" in text


def test_the_same_mishap_is_told_once() -> None:
    records = real_run({"votes": ["nobody"]}, {"answers": ["b"]}, {"answers": ["c"]})
    text = Page(as_html(export_of(records))).text
    assert text.count("gave neither a vote nor an answer") == 1
    assert "(2 times)" in text


def test_each_link_leads_to_one_place_of_the_page() -> None:
    page = Page(attacked())
    targets = {value[1:] for _, name, value in page.attributes if name == "href"}
    assert len(page.ids()) == len(set(page.ids()))
    assert targets <= set(page.ids())


def test_headings_skip_no_level() -> None:
    page = Page(as_html(export_of(real_run({"answers": ["# A\n\n### B"]}, {"answers": ["b"]}))))
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 2 for before, after in pairwise(levels))


def test_drawings_and_tables_have_names_for_those_who_do_not_see_them() -> None:
    page = Page(as_html(export_of(split_run().records)))
    roles = [(tag, value) for tag, name, value in page.attributes if name == "role"]
    labels = [value for _, name, value in page.attributes if name == "aria-label"]
    assert roles.count(("svg", "img")) == 2
    assert roles.count(("div", "region")) == page.tags.count("table") == 3
    assert any(
        label.startswith("a1: answer 0.5 s to 3.0 s, answered; evaluate") for label in labels
    )
    assert ("html", "lang", "en") in page.attributes


@pytest.mark.parametrize("length", range(25))
def test_a_run_that_was_broken_off_has_a_page(length: int) -> None:
    page = Page(as_html(export_of(split_run().records[:length])))
    assert "it still went on when this was written, or was broken off" in page.text


def test_a_failed_run_has_a_page() -> None:
    records = real_run({"fails": "auth"}, {"fails": "server"})
    text = Page(as_html(export_of(records))).text
    assert "Failed: no agent gave an answer." in text
    assert "What to do: set a valid API key" in text


def test_hostile_text_of_a_terminal_is_harmless_here_too() -> None:
    html = as_html(export_of(real_run({"answers": [HOSTILE]}, {"answers": ["b"]})))
    assert "\x1b" not in html
    Page(html)


def test_forty_agents_and_a_huge_answer_take_no_time_to_speak_of() -> None:
    answers = ["word " * 100_000, *(f"answer {n} **b** " * 200 for n in range(39))]
    records = real_run(*({"answers": [text], "votes": ["agent2"]} for text in answers))
    assert isinstance(records[-1].event, RunFinished)
    before = time.process_time()
    html = as_html(export_of(records))
    assert time.process_time() - before < 10
    assert Page(html).text.count("answer 38") > 100


def test_without_records_there_is_still_a_page() -> None:
    Page(as_html(export_of([])))
    Page(as_html(export_of(Scene(0).records)))


# --- colours ------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_can_be_told_from_its_ground_in_light_and_dark() -> None:
    style = Path(massgen_bridge.export.__file__).with_name("page.css").read_text()
    palettes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    ]
    assert len(palettes) == 2
    for colours in palettes:
        for ground in ("page", "card"):
            for text in ("ink", "soft", "accent"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for text in ("good", "bad", "against"):
            assert contrast(colours[text], colours["card"]) >= 3
        for ground in ("make", "better", "judge", "repair", "chair", "lost"):
            assert contrast(colours["bar-ink"], colours[ground]) >= 4.5, ground
        for ground in ("gone", "new", "good-back"):
            assert contrast(colours["ink"], colours[ground]) >= 4.5, ground
