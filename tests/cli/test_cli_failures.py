"""What a command says when something goes wrong, and what it does not say."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from cli.conftest import DATA, SCRIPT

if TYPE_CHECKING:
    from cli.conftest import Shell


def test_the_unforeseen_is_one_line_and_a_hint(shell: Shell) -> None:
    done = shell("run", DATA / "crash.yaml", "q", "--trust", "--display", "none")
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == (
        "Error: something unforeseen happened: ZeroDivisionError: no way to share among 1"
    )
    assert "--debug" in second
    assert "report" in second


def test_debug_shows_where_it_happened(shell: Shell) -> None:
    done = shell("run", DATA / "crash.yaml", "q", "--trust", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "crash.py" in done.stderr


def test_the_unforeseen_leaves_one_object_as_well(shell: Shell) -> None:
    done = shell("run", DATA / "crash.yaml", "q", "--trust", "--output", "json")
    found = json.loads(done.stdout)
    assert (found["status"], found["error"]["kind"]) == ("error", "crash")


def test_options_behind_two_dashes_are_none(shell: Shell) -> None:
    done = shell("run", DATA / "two.yaml", "--display", "none", "--", "--output=json")
    assert done.stdout == "Paris is the capital.\n"


def test_an_unknown_command_is_answered_with_the_nearest_one(shell: Shell) -> None:
    done = shell("adaptors")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Did you mean 'adapters'?" in done.stderr


def test_a_reader_that_goes_away_ends_the_run_quietly(shell: Shell) -> None:
    command = f"'{SCRIPT}' run '{DATA / 'slow.yaml'}' q --output jsonl --display none | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=shell.env,
    )
    assert json.loads(done.stdout)["event"]["type"] == "run_started"
    assert (done.returncode, done.stderr) == (141, "")
    (row,) = json.loads(shell("runs", "list", "--json").stdout)
    assert row["status"] == "cancelled"


def test_a_list_can_be_cut_off_by_its_reader(shell: Shell) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{SCRIPT}' config schema | head -n 1"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=shell.env,
    )
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_a_character_that_the_terminal_lacks_is_no_error(shell: Shell) -> None:
    done = shell("run", DATA / "nowhere-ünd-☃.yaml", "q", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "cannot read" in done.stderr
