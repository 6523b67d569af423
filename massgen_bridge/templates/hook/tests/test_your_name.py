"""The hook in runs. No model is needed: the agents follow a script."""

from __future__ import annotations

from pathlib import Path

import pytest
from massgen_bridge import Record, Team, run

from massgen_bridge_your_name import MOST_WORDS

EXAMPLE = Path(__file__).parents[1] / "example.yaml"


@pytest.mark.parametrize(("words", "accepted"), [(MOST_WORDS, True), (MOST_WORDS + 1, False)])
def test_an_answer_of_too_many_words_is_refused(words: int, accepted: bool) -> None:
    records: list[Record] = []
    answers = [" ".join(["word"] * words), "Short."]
    team = Team(strategy="single").add("ada", "scripted", answers=answers)
    result = team.run("Why?", keep=False, on_record=records.append)
    refused = [one.event.reason for one in records if one.event.type == "answer_rejected"]
    assert result.answer == answers[0 if accepted else 1]
    assert len(refused) == (0 if accepted else 1)


def test_the_example_gives_an_answer() -> None:
    result = run(EXAMPLE, "Why learn Python?", keep=False)
    assert result.answer == "It is easy to read."
