"""`massgen-bridge run`, as a user and as a script call it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA, SCRIPT
from pictures import png

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Commands, Shell

KEYS = {
    "status",
    "answer",
    "winner",
    "votes",
    "answers",
    "usage",
    "calls",
    "duration_s",
    "run_id",
    "error",
}


def only_object(stdout: str) -> dict[str, Any]:
    """The one JSON object that is all of stdout."""
    found = json.loads(stdout)
    assert stdout.count("\n") == 1
    assert isinstance(found, dict)
    assert set(found) >= KEYS
    return found


def test_only_the_answer_goes_to_stdout(shell: Shell) -> None:
    done = shell("run", DATA / "two.yaml", "What is the capital of France?")
    assert done.returncode == 0
    assert done.stdout == "Paris is the capital.\n"
    assert "Winner: ada" in done.stderr


def test_json_is_one_object_with_the_whole_result(shell: Shell) -> None:
    done = shell("run", DATA / "two.yaml", "Capital?", "--output", "json", "--display", "none")
    found = only_object(done.stdout)
    assert done.stderr == ""
    assert (found["status"], found["winner"]) == ("answered", "ada")
    assert [vote["author"] for vote in found["votes"]] == ["ada", "ada"]
    assert found["calls"] == found["usage"]["calls"] == 4
    assert found["error"] is None
    assert found["dissent"] == []


def test_dissent_is_told_to_people_and_programs(commands: Commands) -> None:
    done = commands("run", DATA / "split.yaml", "Capital?")
    told = [
        "  for it: ada (agent1) and eve (agent3)",
        "    ada (agent1): It names the city.",
        "    eve (agent3): no reason given",
        "  dissent: lin (agent2) voted for lin (agent2): It says how sure it is.",
        "    that answer: Lyon, I think.",
    ]
    assert "\n".join(told) in done.stderr

    (run_id,) = (row["run_id"] for row in json.loads(commands("runs", "list", "--json").stdout))
    assert "\n".join(told) in commands("runs", "show", run_id).stdout
    (minority,) = json.loads(commands("runs", "show", run_id, "--output", "json").stdout)["dissent"]
    assert (minority["authors"], minority["text"]) == (["lin"], "Lyon, I think.")
    assert [vote["reason"] for vote in minority["votes"]] == ["It says how sure it is."]
    page = commands("runs", "export", run_id, "--format", "html").stdout
    assert "What the minority saw differently" in page


def test_jsonl_is_the_stream_of_records(shell: Shell) -> None:
    done = shell("run", DATA / "two.yaml", "Capital?", "--output", "jsonl")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert records[0]["event"]["type"] == "run_started"
    assert records[-1]["event"]["result"]["answer"] == "Paris is the capital."
    assert "Winner: ada" in done.stderr


def test_a_failed_run_exits_with_1_and_says_why_in_json_too(shell: Shell) -> None:
    done = shell("run", DATA / "failing.yaml", "Capital?", "--output=json")
    found = only_object(done.stdout)
    assert done.returncode == 1
    assert (found["status"], found["answer"]) == ("failed", None)
    assert found["error"]["kind"] == "run_failed"
    assert found["errors"][0]["kind"] == "auth"


def test_without_a_display_a_run_still_says_why_it_has_no_answer(commands: Commands) -> None:
    done = commands("run", DATA / "failing.yaml", "Capital?", "--display", "none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("No answer: no agent gave an answer\n")
    assert "ada (agent1) failed: auth: " in done.stderr


def test_a_deadline_ends_with_the_best_answer_so_far(shell: Shell) -> None:
    done = shell("run", DATA / "late.yaml", "Capital?", "--timeout", "1", "--output", "json")
    found = only_object(done.stdout)
    assert done.returncode == 0
    assert (found["status"], found["answer"]) == ("best_so_far", "Paris.")
    assert found["duration_s"] < 10


def test_a_dash_reads_the_question_from_stdin(shell: Shell) -> None:
    done = shell("run", DATA / "two.yaml", "-", "--output", "jsonl", stdin="What, Zoë?\n")
    question = json.loads(done.stdout.splitlines()[0])["event"]["question"]
    assert question["parts"] == [{"type": "text", "text": "What, Zoë?"}]


def test_pictures_and_files_become_parts_of_the_question(shell: Shell, tmp_path: Path) -> None:
    picture, notes = tmp_path / "picture.dat", tmp_path / "notes.md"
    picture.write_bytes(png())
    notes.write_text("# Notes")
    given = ("--image", picture, "--file", notes, "--image", "https://example.com/cat.png")
    shown = ("--output", "jsonl", "--display", "none")
    done = shell("run", DATA / "two.yaml", "What is this?", *given, *shown)
    question = json.loads(done.stdout.splitlines()[0])["event"]["question"]
    assert [(part["type"], part.get("media_type")) for part in question["parts"]] == [
        ("text", None),
        ("image", "image/png"),
        ("image", "image/png"),
        ("document", "text/markdown"),
    ]
    media = question["parts"][1:]
    assert [part["data"] and part["data"][:7] for part in media] == ["sha256:", None, "sha256:"]
    assert media[1]["url"] == "https://example.com/cat.png"
    assert "What is this? (+3 files)" in shell("runs", "list").stdout


def test_a_run_is_listed_unless_told_otherwise(shell: Shell) -> None:
    shell("run", DATA / "two.yaml", "Kept?")
    shell("run", DATA / "two.yaml", "Not kept?", "--no-journal")
    listed = json.loads(shell("runs", "list", "--json").stdout)
    assert [row["question"] for row in listed] == ["Kept?"]


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ((DATA / "wrong.yaml", "q"), "config", "did you mean 'scripted'?"),
        (("nowhere.yaml", "q"), "config", "cannot read 'nowhere.yaml'"),
        ((DATA / "two.yaml", " "), "usage", "the question is empty"),
        ((DATA / "two.yaml", "q", "--timeout", "-1"), "usage", "above 0"),
        ((DATA / "two.yaml", "q", "--timeout", "nan"), "usage", "above 0"),
        ((DATA / "two.yaml", "q", "--display", "loud"), "usage", "--display"),
        ((DATA / "two.yaml",), "usage", "QUESTION"),
        ((DATA / "two.yaml", "q", "--image", "nowhere.png"), "usage", "cannot read 'nowhere.png'"),
        ((DATA / "two.yaml", "q", "--image", DATA / "two.yaml"), "usage", "goes with --file"),
        ((DATA / "keys.yaml", "q"), "config", "OPENAI_API_KEY"),
        ((DATA / "code.yaml", "q"), "trust", "--trust"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_begin_exits_with_2_and_one_object(
    commands: Commands, arguments: tuple[str | Path, ...], kind: str, said: str
) -> None:
    done = commands("run", *arguments, "--output", "json")
    found = only_object(done.stdout)
    assert done.returncode == 2
    assert (found["status"], found["error"]["kind"]) == ("error", kind)
    assert said in found["error"]["message"]
    assert "Error: " in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_configuration_is_told_with_all_its_places(shell: Shell) -> None:
    done = shell("run", DATA / "wrong.yaml", "q", "--output", "json")
    file = str(DATA / "wrong.yaml")
    told = [line.removeprefix(f"Error: {file}:") for line in done.stderr.splitlines()]
    assert [line.split(": ")[0] for line in told] == ["5:13", "7:5", "8:40"]
    error = json.loads(done.stdout)["error"]
    assert (error["file"], error["line"], error["column"]) == (file, 5, 13)


def test_a_missing_key_names_the_variable_and_the_agent(shell: Shell) -> None:
    done = shell("run", DATA / "keys.yaml", "q", OPENAI_API_KEY="sk-of-nobody")
    assert done.returncode == 2
    assert "HOUSE_KEY" in done.stderr
    assert "'lin'" in done.stderr
    assert "sk-of-nobody" not in done.stderr


def test_trust_imports_the_code_and_without_it_nothing_is(shell: Shell, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = shell("run", DATA / "code.yaml", "hello", MARK=str(mark))
    assert (done.returncode, mark.exists()) == (2, False)
    done = shell("run", DATA / "code.yaml", "hello", "--trust", MARK=str(mark))
    assert (done.stdout, mark.exists()) == ("HELLO\n", True)


@pytest.mark.parametrize("output", ["text", "json", "jsonl"])
def test_a_key_never_reaches_stdout(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setenv("HOUSE_KEY", "canary-of-the-house")
    arguments = ("--trust", "--output", output, "--display", "none")
    done = commands("run", DATA / "leaky.yaml", "The key is", *arguments)
    assert done.returncode == 0
    assert "The key is [secret]" in done.stdout
    assert "canary" not in done.stdout


def test_a_person_is_asked_once_whether_code_may_run(shell: Shell, tmp_path: Path) -> None:
    command = [str(SCRIPT), "run", str(DATA / "code.yaml"), "hello", "--display", "none"]
    env = {**shell.env, "MARK": str(tmp_path / "mark")}
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "rb+", buffering=0) as terminal, os.fdopen(ours, "rb+", 0) as keyboard:
        for _ in range(2):
            keyboard.write(b"y\n")
            done = subprocess.run(
                command,
                stdin=terminal,
                stdout=subprocess.PIPE,
                stderr=terminal,
                env=env,
                text=True,
                timeout=30,
                check=False,
            )
            assert (done.returncode, done.stdout) == (0, "HELLO\n")
        shown = keyboard.read(4096).decode()
    assert shown.count("Allow it from now on") == 1
    assert str(DATA / "marks.py") in shown


def test_a_picture_reaches_only_agents_that_can_see(shell: Shell, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(png())
    done = shell("run", DATA / "two.yaml", "q", "--image", picture, "--dry-run")
    assert done.returncode == 2
    assert "agent 'ada': it cannot take the question's image" in done.stdout


def test_pictures_and_texts_are_taken_in_words_by_those_that_cannot_see(
    shell: Shell, tmp_path: Path
) -> None:
    picture, team = tmp_path / "picture.png", tmp_path / "team.yaml"
    picture.write_bytes(png())
    team.write_text(
        "version: 1\n"
        "models: {m: {provider: vllm, model: m, images: ocr}}\n"
        "agents: [{id: ada, backend: {type: openai, model: m}}]\n"
    )
    notes = tmp_path / "notes.md"
    notes.write_text("# Notes")
    done = shell("run", team, "q", "--image", picture, "--file", notes, "--dry-run")
    assert (done.returncode, "Problems" in done.stdout) == (0, False), done.stdout


def test_a_damaged_picture_is_refused_before_anybody_is_asked(shell: Shell, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(png(side=64)[:-20])
    done = shell("run", DATA / "two.yaml", "q", "--image", picture)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: --image: the picture 'picture.png' ends in the middle of the picture\n"
    )
    assert json.loads(shell("runs", "list", "--json").stdout) == []
