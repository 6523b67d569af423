"""Conversations over many commands: `run --session` and `massgen-bridge sessions`."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA
from pictures import png

from massgen_bridge import Session
from massgen_bridge.display.words import use_words
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal_file import read_ends

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from cli.conftest import Commands, Shell

QUIET = ("--display", "none")
FAILING = (
    "version: 1\nstrategy: single\n"
    "agents: [{id: ada, backend: {type: scripted, fails: bad_request}}]\n"
)
ECHO = (
    "version: 1\nstrategy: single\n"
    'agents: [{id: own, backend: {type: python, function: "own.py:answer"}}]\n'
)
OWN = """
import time
from pathlib import Path


def answer(turn):
    while turn.question == "Slow?" and not Path(__file__).with_name("go").exists():
        time.sleep(0.02)
    return " | ".join(message.text for message in turn.messages)
"""


@pytest.fixture
def echo(shell: Shell) -> Path:
    """A team that answers with all that it was shown."""
    config = shell.home / "echo.yaml"
    config.write_text(ECHO)
    (shell.home / "own.py").write_text(OWN)
    return config


def ask(commands: Commands | Shell, config: Path, question: str) -> Any:
    return commands("run", config, question, "--session", "trip", "--trust", *QUIET)


def listed(commands: Commands) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(commands("sessions", "list", "--json").stdout)
    return found


def test_a_run_goes_on_with_its_session(commands: Commands, echo: Path) -> None:
    assert ask(commands, echo, "One?").stdout == "One?\n"
    assert ask(commands, echo, "Two?").stdout == "One? | One? | Two?\n"
    done = ask(commands, DATA / "two.yaml", "Three?")
    assert (done.stdout, done.stderr) == ("Paris is the capital.\n", "")
    assert ask(commands, echo, "Four?").stdout.endswith("Three? | Paris is the capital. | Four?\n")


def test_a_question_without_answer_is_said_to_stay_out(commands: Commands, shell: Shell) -> None:
    failing = shell.home / "failing.yaml"
    failing.write_text(FAILING)
    done = ask(commands, failing, "One?")
    assert done.returncode == 1
    assert (
        "note: this question has no answer and does not become part of the session 'trip'\n"
    ) in done.stderr
    shown = commands("sessions", "show", "trip").stdout
    assert "You: One?\n(no answer: failed)\n" in shown


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--session", "a b"), "'a b' is no name for a session: expected letters"),
        (("--session", "x", "--no-journal"), "--session keeps what --no-journal says not to keep"),
    ],
)
def test_what_cannot_be_a_session_is_bad_usage(
    commands: Commands, arguments: tuple[str, ...], problem: str
) -> None:
    for command in (("run", DATA / "two.yaml", "q"), ("chat", DATA / "two.yaml")):
        done = commands(*command, *arguments)
        assert done.returncode == 2
        assert problem in done.stderr
    assert listed(commands) == []


def test_sessions_are_listed_shown_and_deleted(commands: Commands) -> None:
    assert commands("sessions", "list").stderr == "There are no sessions.\n"
    commands("run", DATA / "two.yaml", "First\n\x1b[2Jline?", "--session", "trip", *QUIET)
    commands("run", DATA / "two.yaml", "Capital?", "--session", "school", *QUIET)
    rows = commands("sessions", "list").stdout.splitlines()
    assert [row.split()[:2] for row in rows] == [["NAME", "TURNS"], ["school", "1"], ["trip", "1"]]
    assert rows[2].endswith("First line?")
    assert [row["name"] for row in listed(commands)] == ["school", "trip"]

    shown = commands("sessions", "show", "trip").stdout.splitlines()
    (turn,) = Session("trip").turns
    assert turn.used is not None
    assert turn.used.cost.usd == 0
    assert shown[0].startswith("1. 20")
    assert shown[0].endswith(f", run {turn.run_id}")
    assert shown[1:4] == ["You: First", "     line?", "Team: Paris is the capital."]
    assert shown[4:] == ["", f"In all: 1 question · {use_words(turn.used)}"]
    as_json = json.loads(commands("sessions", "show", "trip", "--json").stdout)
    assert (as_json["name"], as_json["turns"][0]["answer"]) == ("trip", "Paris is the capital.")
    assert as_json["turns"][0]["question"]["media"] == []
    assert as_json["used"] == as_json["turns"][0]["used"] == turn.used.model_dump(mode="json")

    done = commands("sessions", "delete", "trip", "school", "--yes")
    assert done.stderr == "Session 'trip' deleted.\nSession 'school' deleted.\n"
    assert listed(commands) == []
    assert len(json.loads(commands("runs", "list", "--json").stdout)) == 2


@pytest.mark.parametrize(("typed", "left"), [("y\n", 0), ("\n", 1)])
def test_deleting_asks_first(shell: Shell, commands: Commands, typed: str, left: int) -> None:
    commands("run", DATA / "two.yaml", "q", "--session", "trip", *QUIET)
    done = shell("sessions", "delete", "trip", stdin=typed)
    assert "Delete 'trip'? [y/N]" in done.stderr
    assert len(listed(commands)) == left


@pytest.mark.parametrize("command", ["show", "delete"])
def test_a_session_that_is_not_there_is_an_error(commands: Commands, command: str) -> None:
    done = commands("sessions", command, "nowhere")
    assert done.returncode == 1
    assert "there is no session 'nowhere'; `massgen-bridge sessions list` shows" in done.stderr


def test_a_damaged_session_hides_none_of_the_others(commands: Commands, shell: Shell) -> None:
    commands("run", DATA / "two.yaml", "q", "--session", "trip", *QUIET)
    (shell.home / "data" / "sessions" / "broken.sqlite").write_bytes(b"no database " * 100)
    done = commands("sessions", "list", "--json")
    assert [row["name"] for row in json.loads(done.stdout)] == ["trip"]
    said = "broken.sqlite' cannot be used: file is not a database; move the file away"
    assert said in done.stderr


def test_a_file_of_a_question_is_named(commands: Commands, shell: Shell) -> None:
    picture = shell.home / "cat.png"
    picture.write_bytes(png())
    (shell.home / "own.py").write_text("def answer(turn):\n    return 'A cat.'\n")
    (shell.home / "echo.yaml").write_text(ECHO)
    arguments = ("--session", "trip", "--image", picture, "--trust", *QUIET)
    assert commands("run", "echo.yaml", "What is it?", *arguments).returncode == 0
    assert "You: What is it? [image 'cat.png']\n" in commands("sessions", "show", "trip").stdout


# --- turns that are killed ------------------------------------------------------------------------


def started(shell: Shell, echo: Path) -> subprocess.Popen[str]:
    """A turn that is under way."""
    process = shell.start(
        "run", echo, "Slow?", "--session", "trip", "--trust", "--output", "jsonl", *QUIET
    )
    assert process.stdout is not None
    while (record := json.loads(process.stdout.readline()))["event"]["type"] != "turn_started":
        pass
    journal = RunIndex(shell.home / "data").path(record["run_id"])
    while read_ends(journal) is None:
        time.sleep(0.01)
    return process


def test_a_killed_turn_enters_the_session_when_it_is_resumed(
    shell: Shell, commands: Commands, echo: Path
) -> None:
    ask(commands, echo, "One?")
    process = started(shell, echo)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    (row,) = listed(commands)
    assert row["turns"] == 1

    other = ask(commands, echo, "Two?")
    assert other.stdout == "One? | One? | Two?\n"
    run_id = json.loads(commands("sessions", "show", "trip", "--json").stdout)["turns"][1]["run_id"]
    assert (
        "note: the last question of the session 'trip' ('Slow?') has no answer and is no part of"
        f" the conversation; `massgen-bridge runs resume {run_id}` completes it\n"
    ) in other.stderr

    (shell.home / "go").touch()
    done = commands("runs", "resume", run_id, "--trust", *QUIET)
    assert (done.returncode, done.stdout) == (0, "One? | One? | Slow?\n")
    assert "note: the answer is part of the session 'trip' now\n" in done.stderr
    questions = [turn.question.text for turn in Session("trip").turns]
    assert questions == ["One?", "Slow?", "Two?"]


def test_a_session_in_use_says_who_uses_it(shell: Shell, commands: Commands, echo: Path) -> None:
    process = started(shell, echo)
    refused = ask(commands, echo, "Two?")
    deleted = commands("sessions", "delete", "trip", "--yes")
    (shell.home / "go").touch()
    process.communicate(timeout=20)
    for done in (refused, deleted):
        assert done.returncode == 1
        assert f"the session 'trip' is in use: process {process.pid} of this machine" in done.stderr
    assert [turn.question.text for turn in Session("trip").turns] == ["Slow?"]


def test_a_plan_counts_the_conversation_and_keeps_nothing(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    monkeypatch.setenv("HOUSE_KEY", "house-of-nobody")

    def dollars() -> float:
        arguments = ("--session", "trip", "--dry-run", "--output", "json")
        done = commands("run", DATA / "keys.yaml", "q", *arguments)
        return float(json.loads(done.stdout)["cost"]["usd"])

    alone = dollars()
    assert not (shell.home / "data" / "sessions").exists()
    ask(commands, DATA / "two.yaml", "What? " * 1000)
    assert dollars() > alone
    assert len(Session("trip").all_turns) == 1
