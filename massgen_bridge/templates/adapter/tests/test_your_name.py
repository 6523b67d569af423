"""What is particular to agents of the kind `your_name`."""

from __future__ import annotations

from pathlib import Path

from massgen_bridge import Team, run

EXAMPLE = Path(__file__).parents[1] / "example.yaml"


def test_an_answer_is_short() -> None:
    team = Team(strategy="single").add("ada", "your_name", most_words=2)
    assert team.run("one two three", keep=False).answer == "one two"


def test_the_example_gives_an_answer() -> None:
    result = run(EXAMPLE, "Why is the sky blue?", keep=False)
    assert result.winner == "ada"
    assert result.answer == "Why is the"
