"""`run --record` and `run --replay`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from massgen_bridge.testing.servers import ModelServer, Text

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Commands, Shell

CONFIG = """\
version: 1
models:
  one: {provider: openai, model: m, base_url: "URL", api_key: "${CASSETTE_TEST_CODE}"}
strategy: single
agents:
  - id: ada
    system_message: Be brief.
    backend: {type: openai, model: one}
"""
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def config(home: Path) -> Path:
    """A configuration of a server that is gone."""
    file = home / "team.yaml"
    file.write_text(CONFIG.replace("URL", NOWHERE))
    return file


@pytest.fixture
def tape(home: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was recorded while it was there."""
    with ModelServer(Text("Paris.")) as server:
        file = home / "then.yaml"
        file.write_text(CONFIG.replace("URL", server.url))
        monkeypatch.setenv("CASSETTE_TEST_CODE", "canary-0123456789")
        done = commands("run", file, "Where?", "--record", "run.jsonl", "--display", "none")
    monkeypatch.delenv("CASSETTE_TEST_CODE")
    assert (done.returncode, done.stdout) == (0, "Paris.\n")
    return home / "run.jsonl"


def test_a_replay_in_another_process_needs_no_server_and_no_key(
    tape: Path, config: Path, shell: Shell
) -> None:
    done = shell("run", config, "Where?", "--replay", tape, "--output", "jsonl")
    assert done.returncode == 0, done.stderr
    first, *_, last = map(json.loads, done.stdout.splitlines())
    assert first["event"]["replayed_from"] == str(tape)
    assert last["event"]["result"]["answer"] == "Paris."


def test_a_run_that_does_not_fit_ends_with_1_and_says_why(
    tape: Path, config: Path, commands: Commands
) -> None:
    config.write_text(config.read_text().replace("Be brief.", "Be long."))
    done = commands("run", config, "Where?", "--replay", tape, "--display", "none")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "agent 'ada' asks (its call 1, in turn 'ada.1') what was not recorded" in line
    assert "asked 'Be long.', recorded 'Be brief.'" in line


def test_that_is_an_object_for_programs(tape: Path, config: Path, commands: Commands) -> None:
    config.write_text(config.read_text().replace("Be brief.", "Be long."))
    done = commands("run", config, "Where?", "--replay", tape, "--output", "json")
    assert json.loads(done.stdout)["error"]["kind"] == "replay_diverged"


def test_a_cut_cassette_is_told_of(tape: Path, config: Path, shell: Shell) -> None:
    tape.write_bytes(tape.read_bytes().rpartition(b'{"type": "end"')[0])
    done = shell("run", config, "Where?", "--replay", tape, "--display", "none")
    assert (done.returncode, done.stdout) == (0, "Paris.\n")
    assert "was cut off; model calls in it: 1" in done.stderr


def test_a_bad_cassette_ends_with_2_and_its_place(
    tape: Path, config: Path, commands: Commands
) -> None:
    tape.write_bytes(tape.read_bytes().splitlines(keepends=True)[0] + b"x\n")
    done = commands("run", config, "Where?", "--replay", tape)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {tape}:2: this line of the cassette cannot be read")


def test_no_file_is_overwritten(tape: Path, config: Path, commands: Commands) -> None:
    before = tape.read_bytes()
    done = commands("run", config, "Where?", "--record", tape)
    assert done.returncode == 2
    assert "overwrites nothing" in done.stderr
    assert tape.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--record", "new.jsonl", "--replay", "run.jsonl"), "use one of them"),
        (("--replay", "run.jsonl", "--dry-run"), "nothing for --dry-run to tell of"),
        (("--replay", "run.jsonl", "--session", "talk"), "leave --session out"),
        (("--record", "new.jsonl", "--session", "talk"), "leave --session out"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tape: Path, config: Path, commands: Commands, options: tuple[str, ...], told: str
) -> None:
    done = commands("run", config, "Where?", *options)
    assert done.returncode == 2
    assert told in done.stderr
    assert not tape.with_name("new.jsonl").exists()


def test_a_dry_run_records_nothing(config: Path, home: Path, commands: Commands) -> None:
    done = commands("run", config, "Where?", "--record", "new.jsonl", "--dry-run")
    assert "Strategy: single" in done.stdout
    assert not (home / "new.jsonl").exists()


def test_the_local_model_is_not_needed(home: Path, shell: Shell) -> None:
    """Not even its weights: the folder that they would be looked for in is empty."""
    tape, file = home / "local.jsonl", home / "local.yaml"
    file.write_text(
        "version: 1\nstrategy: single\nagents:\n"
        "  - {id: ada, backend: {type: openai, model: local}}\n"
    )
    done = shell("run", file, "Say yes.", "--record", tape, "--display", "none")
    assert done.returncode == 0, done.stderr
    empty = home / "empty"
    empty.mkdir()
    again = shell("run", file, "Say yes.", "--replay", tape, "--display", "none", HOME=str(empty))
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
    assert not any(empty.rglob("*.gguf"))
