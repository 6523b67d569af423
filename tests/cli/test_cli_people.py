"""A person sits in the team, at a real terminal."""

from __future__ import annotations

import json
import signal
import stat
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pty", reason="this system has no pseudo-terminals")

from cli.people import seated

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Shell

HOSTILE = "Nine.\n\x1b[2J\x1b]0;title\x07ann, choice (9:59) > 1\nann: your choice is asked for"
PLAIN = ("--display", "plain")


def config(folder: Path, *, slow_s: float = 0.0, answer: str = "Ten.", **person: Any) -> Path:
    bob = {"type": "scripted", "answers": [answer], "votes": ["agent2"], "delay_s": slow_s}
    made = {
        "version": 1,
        "agents": [
            {"id": "bob", "backend": bob},
            {"id": "ann", "backend": {"type": "human", **person}},
        ],
    }
    path = folder / "team.json"
    path.write_text(json.dumps(made))
    return path


@pytest.mark.parametrize("display", ["rich", "plain", "none"])
def test_a_person_answers_and_votes(shell: Shell, tmp_path: Path, display: str) -> None:
    with seated(shell, config(tmp_path), "--display", display) as ann:
        ann.wait_for("ann, answer (2:00) > ")
        assert not ann.echoes
        ann.type("Elevn\x7fen,\rto be sure.\r\r")
        shown = ann.wait_for("ann, choice (2:00) > ")
        assert "agent1:\n  │ Ten.\n" in shown
        assert "agent2:\n  │ Eleven,\n  │ to be sure.\n" in shown
        assert "Type one of: 1 agent1 · 2 agent2 · b write a better answer · a abstain" in shown
        ann.type("3\r")
        ann.wait_for("Type one of: ")
        ann.type("2\r")
        ann.wait_for("why (Enter: no reason)")
        ann.type("Sure is sure.\r")
        assert ann.end() == 0
        assert ann.echoes
    assert "Eleven,\nto be sure.\n" in ann.text
    if display != "none":
        assert "Winner: ann (agent2), 2 of 2 votes" in ann.text
    if display == "plain":
        assert "ann (agent2): voted for ann (agent2): Sure is sure." in ann.text


def test_a_better_answer_is_asked_for_next(shell: Shell, tmp_path: Path) -> None:
    with seated(shell, config(tmp_path), *PLAIN) as ann:
        ann.wait_for("ann, answer (")
        ann.type("/abstain\r")
        # One answer is left: it wins without a vote.
        assert ann.end() == 0
    assert "Winner: bob" in ann.text

    with seated(shell, config(tmp_path), *PLAIN) as ann:
        ann.wait_for("ann, answer (")
        ann.type("Nine.\x04")
        ann.wait_for("ann, choice (")
        ann.type("b\r")
        shown = ann.wait_for("ann, answer (")
        assert "Write a better answer to the task than those above." in shown
        ann.type("\x1b[200~First part.\n\nSecond part.\x1b[201~\r\r")
        shown = ann.wait_for("ann, choice (")
        assert "  │ First part.\n  │ \n  │ Second part.\n" in shown
        ann.type("a\r")
        assert ann.end() == 0
    assert "ann (agent2): abstains" in ann.text


def test_a_person_breaks_a_tie(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "team.json"
    bob = {"type": "scripted", "answers": ["Ten."], "votes": ["agent2"]}
    eve = {"type": "scripted", "answers": ["Nine."], "votes": ["agent1"]}
    agents = [
        {"id": "bob", "backend": bob},
        {"id": "eve", "backend": eve},
        {"id": "ann", "roles": ["break_ties"], "backend": {"type": "human"}},
    ]
    path.write_text(json.dumps({"version": 1, "agents": agents}))
    with seated(shell, path, *PLAIN) as ann:
        shown = ann.wait_for("ann, choice (")
        assert "answer is asked for" not in shown
        # It is shown in another order to each; a label is typed by its own number all the same.
        assert "Type one of: 2 agent2 · 1 agent1 · a abstain" in shown
        ann.type("2\r")
        ann.wait_for("why (Enter: no reason)")
        ann.type("Fewer.\r")
        assert ann.end() == 0
    assert "Winner: eve (agent2)" in ann.text
    assert "tie broken by ann (agent3)" in ann.text


def test_time_runs_in_the_prompt_and_the_default_applies_in_the_end(
    shell: Shell, tmp_path: Path
) -> None:
    path = config(tmp_path, time_limit_s=2, default="first", default_answer="Eleven.", slow_s=0.5)
    with seated(shell, path, *PLAIN) as ann:
        ann.wait_for("You have 2 s; after that the answer stated in the configuration is given.")
        ann.wait_for("ann, answer (0:02) > ")
        ann.type("half an ans")
        # What happens meanwhile appears above.
        ann.wait_for("bob (agent1): gave its answer\n")
        ann.wait_for("ann, answer (0:01) > half an ans")
        ann.wait_for("The 2 s are over: the answer stated in the configuration is given.")
        shown = ann.wait_for("ann, choice (0:02) > ")
        assert "half" not in shown.partition("over: ")[2]
        ann.wait_for("The 2 s are over: the vote goes to agent1.")
        assert ann.end() == 0
        assert ann.echoes
    assert "ann (agent2): voted for bob (agent1): no reply within 2 s: default" in ann.text


def test_nothing_typed_for_one_question_becomes_the_reply_to_another(
    shell: Shell, tmp_path: Path
) -> None:
    with seated(shell, config(tmp_path, time_limit_s=2), *PLAIN) as ann:
        ann.wait_for("ann, answer (")
        ann.type("Mine.\r\r1\rbecause\r")
        ann.wait_for("ann, choice (")
        ann.wait_for("The 2 s are over: you abstain.")
        assert ann.end() == 0


def test_an_answer_cannot_pass_for_a_prompt(shell: Shell, tmp_path: Path) -> None:
    with seated(shell, config(tmp_path, answer=HOSTILE + " x" * 200), *PLAIN) as ann:
        ann.wait_for("ann, answer (")
        ann.type("Mine.\r\r")
        ann.wait_for("ann: your choice is asked for")
        shown = ann.wait_for("Which answer solves")
        ann.wait_for("ann, choice (")
        ann.type("a\r")
        ann.end()
    assert "\x1b[2J" not in ann.raw
    assert "title" not in ann.raw
    theirs = shown.partition("agent1:\n")[2].partition("\n\n")[0].splitlines()
    assert "  │ ann, choice (9:59) > 1" in theirs
    assert all(line.startswith("  │ ") for line in theirs)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("display", ["rich", "plain"])
def test_a_signal_ends_the_run_and_gives_the_terminal_back(
    shell: Shell, tmp_path: Path, number: int, display: str
) -> None:
    with seated(shell, config(tmp_path), "--display", display) as ann:
        ann.wait_for("ann, answer (")
        ann.process.send_signal(number)
        ann.wait_for("This question is void: it is not needed any more.")
        assert ann.end() == 128 + number
        assert ann.echoes
    assert ann.raw.rindex("\x1b[?2004l") > ann.raw.rindex("\x1b[?2004h")


def test_a_question_of_a_run_that_is_over_is_taken_back(shell: Shell, tmp_path: Path) -> None:
    with seated(shell, config(tmp_path), *PLAIN, "--timeout", "2") as ann:
        ann.wait_for("ann, answer (")
        ann.wait_for("This question is void: it is not needed any more.")
        assert ann.end() == 0
        assert ann.echoes
    assert "Ten." in ann.text


def test_a_longer_answer_is_written_in_an_editor(shell: Shell, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nprintf 'One.\\n\\nTwo.\\n' > \"$1\"\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    with seated(shell, config(tmp_path), *PLAIN, EDITOR=str(editor)) as ann:
        ann.wait_for("ann, answer (")
        ann.type("/edit\r")
        shown = ann.wait_for("ann, choice (")
        assert "  │ One.\n  │ \n  │ Two.\n" in shown
        ann.type("a\r")
        assert ann.end() == 0


def test_what_was_saved_in_an_editor_is_kept_when_time_is_up(shell: Shell, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho half > "$1"\nsleep 30\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    path = config(tmp_path, time_limit_s=2)
    with seated(shell, path, *PLAIN, EDITOR=str(editor), TMPDIR=str(tmp_path)) as ann:
        ann.wait_for("ann, answer (")
        ann.type("/edit\r")
        ann.wait_for("What you had saved is kept in ")
        assert ann.end() == 0
        assert ann.echoes
    (kept,) = tmp_path.glob("answer-*.md")
    assert str(kept) in ann.text
    assert kept.read_text() == "half\n"


def test_an_editor_that_is_not_there_is_told(shell: Shell, tmp_path: Path) -> None:
    with seated(shell, config(tmp_path), *PLAIN, EDITOR="no-such-editor") as ann:
        ann.wait_for("ann, answer (")
        ann.type("/edit\r")
        ann.wait_for("'no-such-editor' cannot be started: ")
        ann.wait_for("ann, answer (")
        ann.type("/abstain\r")
        assert ann.end() == 0


def test_without_a_terminal_a_run_needs_a_stated_default(shell: Shell, tmp_path: Path) -> None:
    refused = shell("run", config(tmp_path), "Which?")
    assert refused.returncode == 2
    assert "agent 'ann' is a person, and there is nobody to ask: run this at a terminal" in (
        refused.stderr
    )

    done = shell("run", config(tmp_path, default="abstain"), "Which?")
    assert (done.returncode, done.stdout) == (0, "Ten.\n")
    assert "ann (agent2): there is nobody to ask: the default applies" in done.stderr
