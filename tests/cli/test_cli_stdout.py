"""Stdout has the result and nothing else, whatever foreign code prints."""

from __future__ import annotations

import json
import os
import pty
import struct
import subprocess
import sys
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import TYPE_CHECKING

import pytest
from cli.conftest import DATA, SCRIPT

from massgen_bridge.cli._stdout import columns, divert, restore, stdout

if TYPE_CHECKING:
    from cli.conftest import Commands, Shell

PRINTS = DATA / "prints.yaml"
RUN: tuple[str | Path, ...] = ("run", PRINTS, "q", "--trust")
NOISES = {
    "NOISE at import",
    "NOISE at exit",
    "NOISE in a hook",
    "NOISE in a turn",
    "NOISE of another kind",
    "NOISE through the descriptor",
    "NOISE in C",
    "NOISE of a child",
}

WIDTHS = """
import sys
from massgen_bridge.cli._stdout import columns, divert, restore, stdout
divert()
print(columns(), stdout().isatty(), sys.stdout.isatty(), file=stdout())
restore()
print(columns(), flush=True)
"""


def noises(stderr: str) -> set[str]:
    return {line for line in stderr.splitlines() if line.startswith("NOISE")}


def test_the_answer_is_all_of_stdout(shell: Shell) -> None:
    done = shell(*RUN)
    assert (done.returncode, done.stdout) == (0, "Quiet.\n")
    assert noises(done.stderr) == NOISES


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_closed_stream_keeps_nobody_from_answering(shell: Shell, closed: tuple[int, ...]) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$0" "$@" {" ".join(f"{number}>&-" for number in closed)}', SCRIPT, *RUN],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=shell.home,
        env=shell.env,
    )
    assert (done.returncode, done.stdout) == (0, "" if 1 in closed else "Quiet.\n")
    assert noises(done.stderr) == (set() if 2 in closed else NOISES)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a device that is full")
@pytest.mark.parametrize("output", ["text", "json", "jsonl"])
def test_a_full_disk_behind_stdout_is_told_in_one_line(shell: Shell, output: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [SCRIPT, "run", DATA / "two.yaml", "q", "--display", "none", "--output", output],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=110,
            check=False,
            cwd=shell.home,
            env=shell.env,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: stdout cannot be written (No space left on device)")
    assert done.stderr.count("\n") == 1


def test_json_is_all_of_stdout(shell: Shell) -> None:
    assert json.loads(shell(*RUN, "--output", "json").stdout)["answer"] == "Quiet."


def test_records_are_all_of_stdout(shell: Shell) -> None:
    lines = shell(*RUN, "--output", "jsonl").stdout.splitlines()
    assert json.loads(lines[-1])["event"]["type"] == "run_finished"
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_a_dry_run_is_all_of_stdout(shell: Shell) -> None:
    assert json.loads(shell(*RUN, "--dry-run", "--output", "json").stdout)["problems"] == []


def test_a_report_is_all_of_stdout(shell: Shell) -> None:
    given = ("printing", "--plugin", DATA / "prints.py", "--only", "test_it_is_an_agent")
    done = shell("adapters", "test", *given, "--output", "json")
    assert json.loads(done.stdout)["totals"]["checks"]["passed"] == 1
    assert "NOISE at import" in done.stderr


def test_an_installed_plugin_that_prints_spoils_no_list(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "loud_plugin.py").write_text((DATA / "prints.py").read_text())
    meta = tmp_path / "loud_plugin-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: loud-plugin\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text("[massgen_bridge]\nloud = loud_plugin\n")
    for arguments in (["adapters", "--json"], ["doctor", "--json"], ["config", "schema"]):
        done = shell(*arguments, PYTHONPATH=str(tmp_path))
        json.loads(done.stdout)
        assert "NOISE at import" in done.stderr


@pytest.mark.parametrize("output", ["text", "json", "jsonl"])
def test_a_reader_that_is_gone_still_ends_the_command(shell: Shell, output: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [SCRIPT, *RUN, "--output", output],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            env=shell.env,
        )
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr


def test_without_stderr_what_is_printed_is_lost(shell: Shell) -> None:
    command = f'"{SCRIPT}" run "{PRINTS}" q --trust --display none 2>&-'
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        check=False,
        env=shell.env,
    )
    assert done.stdout == b"Quiet.\n"


def test_commands_within_a_process_give_stdout_back(commands: Commands) -> None:
    before = sys.stdout
    done = commands(*RUN, "--dry-run", "--output", "json")
    assert json.loads(done.stdout)["problems"] == []
    assert "NOISE at import" in done.stderr
    assert sys.stdout is before
    assert stdout() is before


def test_the_width_is_that_of_the_terminal_that_gets_the_result(shell: Shell) -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 30, 123, 0, 0))
    with os.fdopen(ours, "rb") as terminal:
        subprocess.run(
            [sys.executable, "-c", WIDTHS],
            stdout=theirs,
            stderr=subprocess.DEVNULL,
            check=True,
            env=shell.env,
        )
        os.close(theirs)
        told = [terminal.readline().split() for _ in range(2)]
    assert told == [[b"123", b"True", b"False"], [b"123"]], "also where stderr is none"


def test_what_is_no_terminal_has_no_width(capsys: pytest.CaptureFixture[str]) -> None:
    divert()
    divert()
    try:
        assert columns() is None
        sys.stdout.write("foreign")
        stdout().write("own")
    finally:
        restore()
        restore()
    assert capsys.readouterr() == ("own", "foreign")
