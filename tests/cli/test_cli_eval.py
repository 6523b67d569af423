"""`massgen-bridge eval`: a team against each of its agents, on agents whose worth is planted."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA

from massgen_bridge.evaluation.report import Report

if TYPE_CHECKING:
    from cli.conftest import Commands, Shell

PLANTED = (DATA / "planted.yaml", "--trust", "--display", "none")


def questions(folder: Path, number: int) -> Path:
    path = folder / "numbers.jsonl"
    lines = (
        {
            "id": f"n{n}",
            "question": f"Say {n}",
            "expected": n,
            "grader": "number",
            "tags": ["even" if n % 2 == 0 else "odd"],
        }
        for n in range(1, number + 1)
    )
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def team_of(folder: Path, *agents: dict[str, Any], **more: Any) -> Path:
    path = folder / "team.json"
    named = [
        {"id": name, "backend": {"type": "scripted", **agent}}
        for name, agent in zip(("ada", "lin", "own"), agents, strict=False)
    ]
    path.write_text(json.dumps({"version": 1, "agents": named, **more}))
    return path


def report_of(text: str) -> Report:
    return Report.model_validate_json(text.splitlines()[-1])


def test_a_team_and_each_agent_alone_are_compared(commands: Commands, home: Path) -> None:
    done = commands("eval", *PLANTED[:1], questions(home, 20), *PLANTED[1:], "--output", "json")
    assert (done.returncode, done.stderr) == (0, "")
    report = report_of(done.stdout)
    assert [(one.agent, one.right, one.answers) for one in report.standings] == [
        ("most", 16, 20),
        ("half", 10, 20),
        (None, 18, 20),  # of the right answers only those to 5 and 15 are missing
    ]
    assert report.any_agent_right == 18
    assert [(one.agent, one.only_team, one.only_agent) for one in report.comparisons] == [
        ("most", 2, 0),
        ("half", 8, 0),
    ]
    assert report.verdict == "undecided"  # 2 : 0 is no evidence
    assert report.comparisons[1].p == pytest.approx(2 / 2**8)
    assert [(one.tag, one.answers, one.right) for one in report.tags] == [
        ("odd", 10, (8, 0, 8)),
        ("even", 10, (8, 10, 10)),
    ]


def test_the_text_says_what_the_figures_mean(commands: Commands, home: Path) -> None:
    done = commands("eval", PLANTED[0], questions(home, 20), "--trust", "--display", "plain")
    lines = done.stdout.splitlines()
    assert lines[0].endswith(
        "planted.yaml (consensus): 20 questions of " + str(home / "numbers.jsonl")
    )
    assert lines[3].split()[:4] == ["most", "16/20", "80%", "58%"]
    assert "THE TEAM" in lines[5]
    assert "unknown" not in lines[3]  # nothing was counted, so nothing is without a price
    assert any(line.startswith("Cannot be told: 20 questions") for line in lines)
    assert "A difference of +10 points against most takes about" in done.stdout
    assert "At least one agent alone was right on 18 of 20" in done.stdout
    assert "[1/60] n1: most: right (" in done.stderr
    assert len(done.stderr.splitlines()) == 60


def test_a_team_that_beats_everybody_is_called_better(commands: Commands, home: Path) -> None:
    """Each agent knows what the other does not, and all vote for what is right."""
    text = (DATA / "planted.yaml").read_text().replace("knows_most", "knows_odd")
    (home / "planted.yaml").write_text(text)
    code = (DATA / "planted.py").read_text()
    odd = code.replace("knows_half", "knows_odd").replace(
        "-1 if number % 2 else number", "number if number % 2 else -1"
    )
    (home / "planted.py").write_text(f"{code}\n\n{odd[odd.index('def knows_odd') :]}")
    done = commands(
        "eval", home / "planted.yaml", questions(home, 12), *PLANTED[1:], "--output", "markdown"
    )
    assert "Better: on 12 questions the team beats every single agent" in done.stdout
    assert "| THE TEAM | 12/12 | 100% | 76% to 100% | 0 |" in done.stdout


def test_a_team_that_spoils_a_good_answer_is_called_worse(commands: Commands, home: Path) -> None:
    team = team_of(
        home, {"answers": ["7"], "votes": ["agent2"]}, {"answers": ["8"], "votes": ["agent2"]}
    )
    same = home / "same.jsonl"
    line = {"question": "Say 7", "expected": 7, "grader": "number"}
    same.write_text("\n".join(json.dumps({**line, "id": str(n)}) for n in range(7)))
    done = commands("eval", team, same, "--display", "none")
    assert "Worse: on 7 questions the team is beaten by ada alone." in done.stdout


def test_no_answer_counts_as_wrong_and_is_shown_apart(commands: Commands, home: Path) -> None:
    team = team_of(home, {"answers": ["1"], "votes": ["agent1"]}, {"fails": "auth"})
    done = commands("eval", team, questions(home, 2), "--output", "json", "--display", "plain")
    report = report_of(done.stdout)
    assert [(one.agent, one.right, one.unanswered) for one in report.standings] == [
        ("ada", 1, 0),
        ("lin", 0, 2),
        (None, 1, 0),
    ]
    assert [one.agent for one in report.failures] == ["lin"]
    assert "lin: no answer: auth: the script says that this turn fails" in done.stderr
    assert (report.standings[0].cost_usd, report.standings[0].unpriced_calls) == (0.0, 0)
    assert done.returncode == 0


def test_nobody_who_answers_is_a_failure(commands: Commands, home: Path) -> None:
    team = team_of(home, {"fails": "auth"}, {"fails": "server"})
    done = commands("eval", team, questions(home, 1), "--display", "none")
    assert done.returncode == 1
    assert "ada gave no answer to some: auth: the script says" in done.stdout


def test_the_runs_are_ordinary_runs(commands: Commands, home: Path) -> None:
    team = team_of(home, {"answers": ["1"]}, {"answers": ["2"]}, strategy="consensus")
    save = home / "answers.jsonl"
    commands("eval", team, questions(home, 1), "--save", save, "--display", "none")
    graded = [
        one for one in map(json.loads, save.read_text().splitlines()) if one["type"] == "graded"
    ]
    assert [one["agent"] for one in graded] == ["ada", "lin", None]
    alone, together = graded[1]["run_id"], graded[2]["run_id"]
    assert json.loads(commands("runs", "show", alone, "--output", "json").stdout)["answer"] == "2"
    listed = {one["run_id"]: one for one in json.loads(commands("runs", "list", "--json").stdout)}
    assert (listed[alone]["strategy"], listed[alone]["agents"]) == ("single", 1)
    assert (listed[together]["strategy"], listed[together]["agents"]) == ("consensus", 2)


def test_the_same_file_goes_on_and_pays_for_nothing_twice(commands: Commands, home: Path) -> None:
    team = team_of(home, {"answers": ["1"]}, {"answers": ["2"]})
    numbers, save = questions(home, 4), home / "answers.jsonl"

    def evaluated(*more: str) -> Report:
        done = commands("eval", team, numbers, "--save", save, "--output", "json", *more)
        assert done.returncode == 0, done.stderr
        return report_of(done.stdout)

    def runs() -> int:
        return len(json.loads(commands("runs", "list", "--json", "--limit", "0").stdout))

    few = evaluated("--limit", "2", "--only", "agents")
    assert (few.questions, few.verdict, runs()) == (2, None, 4)
    assert evaluated("--limit", "2", "--only", "agents") == few
    assert runs() == 4
    assert (evaluated("--limit", "3").questions, runs()) == (3, 9)
    assert (evaluated("--limit", "3", "--repeat", "2").repeats, runs()) == (2, 18)
    assert runs() == 18


def test_the_newest_evaluation_of_the_same_files_goes_on(commands: Commands, home: Path) -> None:
    team = team_of(home, {"answers": ["1"]})
    arguments = (team, questions(home, 2), "--display", "none", "--output", "json")
    none = commands("eval", *arguments, "--resume")
    assert none.returncode == 2
    assert "there is no evaluation of this configuration" in none.stderr
    first = report_of(commands("eval", *arguments, "--limit", "1").stdout)
    again = report_of(commands("eval", *arguments, "--resume").stdout)
    assert (again.evaluation_id, again.questions) == (first.evaluation_id, 2)
    team_of(home, {"answers": ["2"]})
    assert commands("eval", *arguments, "--resume").returncode == 2


def test_what_had_no_answer_is_asked_again_where_that_is_wished(
    commands: Commands, home: Path
) -> None:
    (home / "moody.py").write_text(
        "from pathlib import Path\n\ndef say(question):\n"
        "    if not Path(__file__).with_name('up').exists():\n"
        "        raise RuntimeError('down')\n    return '1'\n"
    )
    team = home / "team.json"
    agent = {"id": "ada", "backend": {"type": "python", "function": "moody.py:say"}}
    team.write_text(json.dumps({"version": 1, "agents": [agent]}))
    arguments = (
        team,
        questions(home, 1),
        "--save",
        home / "a.jsonl",
        "--output",
        "json",
        "--trust",
    )
    assert commands("eval", *arguments).returncode == 1
    (home / "up").touch()
    assert commands("eval", *arguments).returncode == 1
    again = report_of(commands("eval", *arguments, "--retry-failures").stdout)
    assert [one.right for one in again.standings] == [1, 1]


def test_every_answer_is_a_line_and_the_report_the_last(commands: Commands, home: Path) -> None:
    team = team_of(home, {"answers": ["1"]}, {"answers": ["2"]})
    arguments = ("eval", team, questions(home, 2), "--save", home / "a.jsonl", "--output", "jsonl")
    first = [json.loads(line) for line in commands(*arguments).stdout.splitlines()]
    assert [one["type"] for one in first] == ["graded"] * 6 + ["report"]
    again = [json.loads(line) for line in commands(*arguments).stdout.splitlines()]
    assert again == first


def test_concurrent_runs_give_the_same_report(commands: Commands, home: Path) -> None:
    numbers = questions(home, 6)
    reports = [
        report_of(
            commands(
                "eval", PLANTED[0], numbers, *PLANTED[1:], "--concurrency", n, "--output", "json"
            ).stdout
        )
        for n in ("1", "4")
    ]
    one, four = ([(s.agent, s.right) for s in report.standings] for report in reports)
    assert one == four


def slow_team(home: Path) -> Path:
    """Two who answer at once, and the team takes a second for its votes."""
    return team_of(
        home,
        {"answers": ["1"], "delay_s": 0.3, "votes": ["agent1"]},
        {"answers": ["2"], "delay_s": 0.3, "votes": ["agent1"]},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_evaluation_that_was_stopped_goes_on(
    shell: Shell, home: Path, number: signal.Signals
) -> None:
    save = home / "answers.jsonl"
    arguments = ("eval", slow_team(home), questions(home, 2), "--save", save, "--display", "plain")
    process = shell.start(*arguments)
    assert process.stderr is not None
    seen = [process.stderr.readline() for _ in range(2)]  # both alone; now the team is at work
    assert all(line.startswith("[") for line in seen)
    while not turns_of(home, of_run=2):
        assert process.poll() is None
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on" in stderr
        assert "Nothing can be compared yet" in stdout
    done = shell(*arguments[:-2], "--output", "json")
    assert done.returncode == 0, done.stderr
    report = report_of(done.stdout)
    assert (report.complete, report.questions) == (True, 2)
    lines = [json.loads(line) for line in save.read_text().splitlines(keepends=True)]
    begun = [one["run_id"] for one in lines if one["type"] == "begun"]
    graded = [one["run_id"] for one in lines if one["type"] == "graded"]
    assert sorted(begun) == sorted(graded)  # the run that was broken off went on as itself
    assert len(begun) == 6


def test_a_run_that_ended_before_its_answer_was_graded_is_not_repeated(
    commands: Commands, home: Path
) -> None:
    save = home / "answers.jsonl"
    team, numbers = team_of(home, {"answers": ["1"]}), questions(home, 1)
    arguments = ("eval", team, numbers, "--save", save, "--only", "agents", "--output", "json")
    first = report_of(commands(*arguments).stdout)
    save.write_text(
        "".join(
            line for line in save.read_text().splitlines(keepends=True) if '"graded"' not in line
        )
    )
    assert report_of(commands(*arguments).stdout) == first
    assert len(json.loads(commands("runs", "list", "--json").stdout)) == 1


def test_a_run_that_was_deleted_is_done_again(commands: Commands, home: Path) -> None:
    save = home / "answers.jsonl"
    team, numbers = team_of(home, {"answers": ["1"]}), questions(home, 1)
    arguments = ("eval", team, numbers, "--save", save, "--only", "team", "--output", "json")
    commands(*arguments)
    save.write_text(
        "".join(
            line for line in save.read_text().splitlines(keepends=True) if '"graded"' not in line
        )
    )
    commands("runs", "prune", "--older-than", "0s", "--yes")
    assert report_of(commands(*arguments).stdout).standings[0].right == 1


def test_an_agents_own_run_can_be_resumed_by_itself(shell: Shell, home: Path) -> None:
    process = shell.start(
        "eval", slow_team(home), questions(home, 1), "--only", "agents", "--save", home / "a.jsonl"
    )
    while not turns_of(home, of_run=0):
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=20)
    done = shell("runs", "resume", "2", "--display", "none")
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr


def turns_of(home: Path, *, of_run: int) -> int:
    """How many turns a run has begun, by its place among all."""
    runs = sorted((home / "data" / "runs").glob("2*.sqlite"))[of_run:]
    if not runs:
        return 0
    try:
        with closing(sqlite3.connect(f"file:{runs[0]}?mode=ro", uri=True)) as run:
            found = run.execute("SELECT count(*) FROM records WHERE body LIKE '%turn_started%'")
            return int(found.fetchone()[0])
    except sqlite3.Error:  # it is being made
        return 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("builtin:nothing",), "there is no built-in data set 'builtin:nothing'"),
        (("nowhere.jsonl",), "cannot read the data set 'nowhere.jsonl'"),
        (("builtin:small", "--save", "a", "--resume"), "leave --resume out"),
        (("builtin:small", "--save", "no/a.jsonl"), "there is no folder 'no'"),
        (("builtin:small", "--limit", "0"), "--limit"),
    ],
)
def test_bad_usage_is_told_in_a_line(
    commands: Commands, home: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = commands("eval", team_of(home, {}), *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_mistake_in_the_questions_is_told_with_its_line(commands: Commands, home: Path) -> None:
    bad = home / "bad.jsonl"
    bad.write_text('{"question": "?", "expected": 1, "grader": "nunber"}\n')
    done = commands("eval", team_of(home, {}), bad)
    assert done.returncode == 2
    assert f"{bad}:1:1: grader: unknown grader 'nunber'; did you mean 'number'?" in done.stderr


def test_a_dry_run_tells_what_it_would_take_and_does_nothing(
    commands: Commands, home: Path
) -> None:
    team = team_of(home, {"answers": ["1"]}, {"answers": ["2"]})
    save = home / "answers.jsonl"
    arguments = ("eval", team, questions(home, 4), "--save", save)
    done = commands(*arguments, "--dry-run")
    assert done.stdout == "Would take 12 runs, about 24 model calls, free.\n"
    assert not save.exists()
    commands(*arguments, "--limit", "3")
    plan = json.loads(commands(*arguments, "--dry-run", "--output", "json").stdout)
    assert (plan["runs"], plan["model_calls"], plan["usd"]) == (3, 6, 0)
    assert commands(*arguments, "--dry-run", "--output", "jsonl").returncode == 2
