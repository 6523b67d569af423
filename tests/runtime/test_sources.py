"""What answers rest on: kept with the answer, joined for equal ones, shown and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from runtime.teams import config

import massgen_bridge
from massgen_bridge.agent import Source
from massgen_bridge.display.words import answer_words, source_words
from massgen_bridge.export import as_html, as_markdown, export_of

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.events import Record

TIDES = Source(url="https://a.example/tides", title="Tides", text="The moon does it.")
MOON = Source(url="https://b.example/moon")
CODE = """
from massgen_bridge import Source, TurnResult, assistant

TIDES = Source(url="https://a.example/tides", title="Tides", text="The moon does it.")
MOON = Source(url="https://b.example/moon")

def ann(question):
    return TurnResult(message=assistant("The moon."), sources=(TIDES,))

def bob(question):
    return TurnResult(message=assistant("The moon."), sources=(MOON, TIDES))
"""


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("consensus", (TIDES, MOON)), ("single", (TIDES,)), ("sequential", (MOON, TIDES))],
)
def test_what_an_answer_rests_on_stays_with_it(
    tmp_path: Path, strategy: str, expected: tuple[Source, ...]
) -> None:
    """Equal answers rest on what either of them rests on."""
    file = tmp_path / "answers.py"
    file.write_text(CODE)
    agents = [
        {"id": one, "backend": {"type": "python", "function": f"{file}:{one}"}}
        for one in ("ann", "bob")
    ]
    records: list[Record] = []
    given = config(*agents, strategy=strategy)
    result = massgen_bridge.run(given, "Why?", trust=True, on_record=records.append)
    assert result.sources == expected
    lines = "\n".join(map(source_words, expected))
    assert answer_words(result) == f"The moon.\n\n{lines}"
    export = export_of(records)
    for page in (as_html(export), as_markdown(export)):
        for source in expected:
            assert str(source.url).removeprefix("https://") in page


def test_a_source_is_told_by_its_title_and_address() -> None:
    assert source_words(TIDES) == "Source: Tides, https://a.example/tides"
    assert source_words(MOON) == "Source: https://b.example/moon"
