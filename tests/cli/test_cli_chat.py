"""`massgen-bridge chat`: at a terminal, and line by line."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA, SCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.conftest import Commands, Shell

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")

PROMPT = "you> "
TEAM = """
version: 1
strategy: single
agents:
  - {id: own, backend: {type: python, function: "own.py:answer"}}
"""
OWN = """
import time


def answer(turn):
    if turn.question == "Slow?":
        time.sleep(30)
    if turn.question == "Fail!":
        raise ValueError("no")
    return " | ".join(message.text for message in turn.messages)
"""


class Terminal:
    """A chat at a pseudo-terminal."""

    def __init__(self, shell: Shell, *arguments: str | Path) -> None:
        self._master, slave = pty.openpty()
        env = {**shell.env, "CI": "true"}  # plain lines
        self.process = subprocess.Popen(
            [SCRIPT, "chat", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=shell.home,
            env=env,
            start_new_session=True,
        )
        os.close(slave)
        self._unread = ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def ask(self, line: str) -> str:
        """Type a line; what comes until the next prompt."""
        self.type(f"{line}\r")
        return self.until(PROMPT)

    def until(self, wanted: str) -> str:
        """What comes up to and with a text."""
        deadline = time.monotonic() + 30
        while wanted not in self._unread:
            left = deadline - time.monotonic()
            assert left > 0, f"no {wanted!r} in {self._unread!r}"
            if select.select([self._master], [], [], left)[0]:
                self._unread += self._read()
        found, _, self._unread = self._unread.partition(wanted)
        return found

    def leave(self) -> int:
        """Press Ctrl-C at the prompt until that ends it; the exit code."""
        while True:
            # Where a signal comes between the prompt and the wait for keys, readline sleeps on.
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(2)

    def end(self) -> tuple[int, str]:
        """The exit code, and what is left to read."""
        code = self.process.wait(20)
        while select.select([self._master], [], [], 0.1)[0]:
            piece = self._read()
            if not piece:
                break
            self._unread += piece
        return code, self._unread

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _read(self) -> str:
        try:
            text = os.read(self._master, 65_536).decode()
        except OSError:  # the other side is closed
            return ""
        return re.sub(r"\x1b\[\?2004[hl]", "", text).replace("\r\n", "\n").replace("\r", "\n")


@pytest.fixture
def team(shell: Shell) -> Path:
    """A team that answers with all that it was shown."""
    (shell.home / "own.py").write_text(OWN)
    config = shell.home / "team.yaml"
    config.write_text(TEAM)
    return config


@pytest.fixture
def terminal(shell: Shell, team: Path) -> Iterator[Terminal]:
    """A chat with the team, at its first prompt."""
    made = Terminal(shell, team, "--session", "trip", "--trust")
    try:
        yield made
    finally:
        made.close()


def questions(commands: Commands, name: str = "trip") -> list[str]:
    turns = json.loads(commands("sessions", "show", name, "--json").stdout)["turns"]
    return [turn["question"]["text"] for turn in turns if turn["answer"] is not None]


# --- at a terminal --------------------------------------------------------------------------------


def test_a_conversation_at_a_terminal(terminal: Terminal, commands: Commands, team: Path) -> None:
    assert "1 agent (own), strategy single. /help lists" in terminal.until(PROMPT)
    assert "\nOne?\n" in terminal.ask("One?")
    assert "\nOne? | One? | Two?\n" in terminal.ask("Two?")
    assert "Team: One? | One? | Two?\n" in terminal.ask("/history")
    terminal.type("/quit\r")
    code, rest = terminal.end()
    assert code == 0
    assert f"To go on: massgen-bridge chat {team} --session trip\n" in rest
    assert questions(commands) == ["One?", "Two?"]


def test_ctrl_c_stops_the_team_and_comes_back(terminal: Terminal, commands: Commands) -> None:
    terminal.until(PROMPT)
    terminal.type("Slow?\r")
    terminal.until("begins its answer")
    terminal.process.send_signal(signal.SIGINT)
    assert "does not become part of the session 'trip'\n" in terminal.until(PROMPT)
    assert "\nTwo?\n" in terminal.ask("Two?")
    assert "(no answer: cancelled; `massgen-bridge runs resume " in terminal.ask("/history")
    assert terminal.leave() == 0
    assert questions(commands) == ["Two?"]


def test_a_turn_that_fails_ends_no_conversation(terminal: Terminal) -> None:
    terminal.until(PROMPT)
    assert "does not become part of the session 'trip'" in terminal.ask("Fail!")
    assert "\nTwo?\n" in terminal.ask("Two?")
    terminal.type("\x04")
    assert terminal.end()[0] == 0


def test_a_question_may_have_many_lines_and_begin_with_a_slash(terminal: Terminal) -> None:
    terminal.until(PROMPT)
    terminal.type("First \\\r")
    terminal.until("...> ")
    assert "\nFirst\nsecond\n" in terminal.ask("second")
    terminal.ask(" /etc")
    assert "You: /etc\n" in terminal.ask("/history")


def test_commands_at_the_prompt(terminal: Terminal, commands: Commands) -> None:
    assert "Nothing was asked yet.\n" in terminal.until(PROMPT) + terminal.ask("/history")
    assert "/new [NAME]" in terminal.ask("/help")
    assert "own    agent1  python  -\nStrategy: single\n" in terminal.ask("/team")
    assert "There is no '/what'; /help lists what can be typed.\n" in terminal.ask("/what")
    assert "Error: 'a:b' is no name for a session" in terminal.ask("/new a:b")
    terminal.ask("One?")
    assert "expected one name at most, found 'a b'" in terminal.ask("/new a b")
    assert "Session 'other': 0 turns so far.\n" in terminal.ask("/new other")
    assert "\nTwo?\n" in terminal.ask("Two?")
    assert "A new conversation.\n" in terminal.ask("/new")
    terminal.ask("Three?")
    assert "Session 'trip': 1 turn so far.\n" in terminal.ask("/new trip")
    assert "\nOne? | One? | Four?\n" in terminal.ask("Four?")
    names = [row["name"] for row in json.loads(commands("sessions", "list", "--json").stdout)]
    assert names[:2] == ["trip", next(name for name in names if name.startswith("chat-"))]
    assert questions(commands, "other") == ["Two?"]


def test_a_file_goes_along_with_the_next_question(
    terminal: Terminal, shell: Shell, commands: Commands
) -> None:
    (shell.home / "my notes.txt").write_text("Buy bread.")
    terminal.until(PROMPT)
    assert "Error: /file: expected the path of a file" in terminal.ask("/file")
    assert "Error: cannot read 'nowhere.txt'" in terminal.ask("/file nowhere.txt")
    assert "is no picture" in terminal.ask("/image ~/my notes.txt")
    told = terminal.ask("/file ~/my notes.txt")
    assert "The next question takes my notes.txt (text/plain) along.\n" in told
    terminal.ask("What is to be done?")
    terminal.ask("And then?")
    turns = json.loads(commands("sessions", "show", "trip", "--json").stdout)["turns"]
    assert [turn["question"]["media"] for turn in turns] == [["document"], []]


def test_a_session_that_another_process_uses_is_told_and_the_chat_goes_on(
    terminal: Terminal, shell: Shell, team: Path
) -> None:
    terminal.until(PROMPT)
    other = shell.start("run", team, "Slow?", "--session", "trip", "--trust", "--display", "plain")
    assert other.stderr is not None
    while "begins" not in other.stderr.readline():
        pass
    assert f"Error: the session 'trip' is in use: process {other.pid}" in terminal.ask("One?")
    other.send_signal(signal.SIGINT)
    other.communicate(timeout=20)
    assert "\nOne?\n" in terminal.ask("One?")


def test_without_a_journal_nothing_is_kept(shell: Shell, team: Path, commands: Commands) -> None:
    terminal = Terminal(shell, team, "--no-journal", "--trust")
    try:
        terminal.until(PROMPT)
        terminal.ask("One?")
        assert "\nOne? | One? | Two?\n" in terminal.ask("Two?")
        assert "Error: --no-journal keeps no conversation" in terminal.ask("/new trip")
        terminal.type("\x04")
        code, rest = terminal.end()
    finally:
        terminal.close()
    assert (code, "To go on" in rest) == (0, False)
    assert commands("sessions", "list").stderr == "There are no sessions.\n"
    assert commands("runs", "list").stderr == "There are no runs.\n"


# --- line by line ---------------------------------------------------------------------------------


def chat(shell: Shell, config: Path, lines: str, *arguments: str) -> Any:
    return shell("chat", config, "--trust", "--display", "none", *arguments, stdin=lines)


def test_each_line_of_a_pipe_is_a_question(shell: Shell, team: Path) -> None:
    done = chat(shell, team, "One?\n\n  \n/help\n", "--session", "trip")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "One?\nOne? | One? | /help\n"


def test_lines_without_an_answer_do_not_stop_the_others(shell: Shell, team: Path) -> None:
    done = chat(shell, team, "One?\nFail!\nTwo?", "--output", "json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [one["answer"] for one in found] == ["One?", None, "One? | One? | Two?"]


def test_a_line_that_is_no_text_is_an_error(shell: Shell, team: Path) -> None:
    done = subprocess.run(
        [SCRIPT, "chat", team, "--trust"],
        input=b"One?\n\xff\n",
        capture_output=True,
        check=False,
        cwd=shell.home,
        env=shell.env,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stdout == b"One?\n"
    assert b"line 2 on stdin is not UTF-8" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("missing.yaml",), "missing.yaml"),
        ((DATA / "two.yaml", "--timeout", "0"), "expected a number of seconds above 0, found 0"),
    ],
)
def test_what_cannot_run_is_told_before_anything_is_asked(
    commands: Commands, arguments: tuple[Any, ...], problem: str
) -> None:
    done = commands("chat", *arguments)
    assert done.returncode == 2
    assert problem in done.stderr


def test_an_interrupt_ends_lines_from_a_pipe(shell: Shell, team: Path) -> None:
    process = subprocess.Popen(
        [SCRIPT, "chat", team, "--trust", "--display", "plain"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=shell.home,
        env=shell.env,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write("Slow?\nTwo?\n")
    process.stdin.flush()
    while "begins" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (130, "")
