"""The table of votes in stages is what the command prints today."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "votes-in-stages.md"
COMMAND = (str(Path(sys.executable).with_name("massgen-bridge")), "simulate")


def told() -> list[str]:
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]


def simulated(*arguments: str) -> str:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_small_teams_of_the_page_are_what_the_command_finds() -> None:
    sizes = ("--agents", "5", "--agents", "10")
    assert simulated(*sizes, "--output", "markdown").splitlines() == told()[:4]


def test_the_stages_and_tokens_of_the_large_teams_are_those_of_today() -> None:
    sizes = ("--agents", "30", "--agents", "100", "--agents", "300")
    found = json.loads(simulated(*sizes, "--seeds", "1", "--output", "json"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told()[4:]]
    for one, row in zip(found, rows, strict=True):
        assert row[:2] == [str(one["agents"]), " → ".join(map(str, one["fields"]))]
        assert row[-3:] == [
            f"{one['tokens']:,}",
            f"{one['tokens_all']:,}",
            f"{one['tokens'] / one['tokens_all']:.2f}",
        ]


def test_the_page_keeps_what_is_promised() -> None:
    for line in told()[4:]:
        agents, _, best, best_all, _, top3, *_ = (c.strip() for c in line.strip("|").split("|"))
        assert float(best) >= float(best_all) - 0.03
        assert int(agents) < 100 or float(top3) >= 0.97


def test_few_teams_are_enough_to_see_that_stages_find_good_answers() -> None:
    (found,) = json.loads(simulated("--agents", "30", "--seeds", "60", "--output", "json"))
    assert found["staged"]["top3"] > 0.85
    assert found["staged"]["best"] > 0.55
    assert found["fields"] == [30, 7]
