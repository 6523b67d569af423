"""The tool, called by an agent in a run. No model is needed: the agent follows a script."""

from __future__ import annotations

from pathlib import Path

import pytest
from massgen_bridge import Team, run

from massgen_bridge_your_name import DEFINITION

EXAMPLE = Path(__file__).parents[1] / "example.yaml"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"text": "one two three"}, "3 words"),
        ({"text": " "}, "the text has no words"),
        ({}, "text"),
    ],
    ids=["good", "refused", "incomplete"],
)
def test_an_agent_is_told_what_the_tool_gives(arguments: dict[str, str], told: str) -> None:
    calls = [{DEFINITION.name: arguments}]
    team = Team(strategy="single")
    team.add("ada", "scripted", answers=["It says:"], calls=calls, tools=[DEFINITION.name])
    first, last = team.run("How many?", keep=False).require_answer().splitlines()
    assert first == "It says:"
    assert told in last


def test_the_example_gives_an_answer() -> None:
    answer = run(EXAMPLE, "How many words?", keep=False).require_answer()
    assert answer == "I have counted them:\n4 words"
