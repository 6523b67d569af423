"""`massgen-bridge simulate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.conftest import Shell


def test_it_prints_a_row_for_each_size(shell: Shell) -> None:
    done = shell("simulate", "--agents", "4", "--agents", "9", "--ballot-size", "4", "--seeds", "3")
    assert done.returncode == 0
    assert not done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.startswith("AGENTS  STAGES")
    assert [row.split()[0] for row in rows] == ["4", "9"]
    assert "9 → 4" in rows[1]


def test_the_same_numbers_give_the_same_figures(shell: Shell) -> None:
    arguments = ("simulate", "--agents", "12", "--seeds", "5", "--output", "json")
    one, other = (shell(*arguments).stdout for _ in range(2))
    assert one == other
    (found,) = json.loads(one)
    assert found["seeds"] == 5
    assert found["tokens"] > 0


def test_a_ballot_of_two_is_refused(shell: Shell) -> None:
    done = shell("simulate", "--ballot-size", "2")
    assert done.returncode == 2
    assert "ballot-size" in done.stderr
