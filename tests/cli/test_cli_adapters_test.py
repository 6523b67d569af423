"""`massgen-bridge adapters test`, by the real console script."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA
from extension_package.installing import install

from massgen_bridge.cli._report import Report

if TYPE_CHECKING:
    from cli.conftest import Commands, Shell

FAULTY = DATA / "faulty_kind.py"
FUNCTION = "def answer(question):\n    return f'You ask: {question}'\n"
WHOLE = "test_a_turn_returns_one_whole_result"


def report(shell: Shell, *arguments: str | Path, code: int = 0, **env: str) -> dict[str, Any]:
    """The report as JSON of a test that ends with a code."""
    done = shell("adapters", "test", *arguments, "--output", "json", **env)
    assert done.returncode in {0, 1}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert Report.model_validate_json(done.stdout)
    assert done.returncode == code, outcomes(found, "failed")
    return found


def saved_report(shell: Shell) -> dict[str, Any]:
    """The report that a command has saved beside what it printed."""
    text = (shell.home / "report.json").read_text()
    assert Report.model_validate_json(text)
    found: dict[str, Any] = json.loads(text)
    return found


def faulty(shell: Shell, fault: str, *more: str, code: int = 1) -> dict[str, Any]:
    """The report on the kind that goes wrong in a certain way."""
    given = ("faulty", "--plugin", FAULTY, "--option", f"fault={fault}")
    return report(shell, *given, *more, code=code)


def outcomes(found: dict[str, Any], outcome: str) -> dict[str, str]:
    """The checks that ended in a certain way, with their reasons."""
    return {one["name"]: one["reason"] for one in found["checks"] if one["outcome"] == outcome}


def children_of(pid: int) -> set[int]:
    """The processes that a process has started, from all of its threads."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(one) for one in (task / "children").read_text().split()}
    return found


def form(schema: Any) -> Any:
    """A JSON Schema without its prose."""
    if isinstance(schema, list):
        return [form(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: form(one) for key, one in schema.items() if key not in {"description", "title"}}


# --- what is told ---------------------------------------------------------------------------------


def test_a_kind_that_is_built_in_conforms(shell: Shell) -> None:
    done = shell("adapters", "test", "scripted")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Adapter  scripted from massgen-bridge " in done.stdout
    assert re.search(r"^turns +[1-9]\d* +0 ", done.stdout, re.MULTILINE)
    assert re.fullmatch(r"scripted conforms \(\d+ guarantees hold\)", done.stdout.splitlines()[-1])


@pytest.mark.timeout(120)
def test_a_whole_run_of_an_adapter_with_a_framework(shell: Shell, tmp_path: Path) -> None:
    found = report(shell, "openai", "--save", tmp_path / "REPORT.md")
    assert found["verdict"] == "conforms"
    assert found["suite"] == "ModelAgentConformance"
    assert found["adapter"]["distribution"] == "massgen-bridge-openai"
    assert found["adapter"]["packages"][0]["name"] == "openai"
    assert found["adapter"]["packages"][0]["version"] > "2"
    assert found["capabilities"]["streaming"] is True
    assert outcomes(found, "not_claimed").keys() <= {one["name"] for one in found["checks"]}
    assert {one["name"] for one in found["groups"]} >= {"turns", "rules", "tools", "failures"}
    assert found["totals"]["guarantees"] > 50
    assert 0 < found["totals"]["cpu_s"] <= 60, "what an author waits for at most"
    saved = (tmp_path / "REPORT.md").read_text()
    assert saved.startswith("# Conformance of `openai`\n\n**openai conforms (")


def test_what_is_not_claimed_is_told_as_such(shell: Shell) -> None:
    found = report(shell, "anthropic", "--only", "test_media_pass_or_are_refused")
    assert outcomes(found, "not_claimed") == {
        f"test_media_pass_or_are_refused[{kind}]": f"it does not claim {kind}"
        for kind in ("audio", "video")
    }


def test_a_part_of_the_suite_gives_no_verdict(shell: Shell) -> None:
    only = ("--only", "rules", "--only", WHOLE)
    done = shell("adapters", "test", "openai", *only, "--save", "report.json")
    assert done.returncode == 0
    assert "Only       rules, " + WHOLE in done.stdout
    assert "failed in a part of the suite, so this is no verdict" in done.stdout
    assert saved_report(shell)["verdict"] == "none"


def test_the_json_of_a_report_keeps_its_form() -> None:
    kept = json.loads((DATA / "report.schema.json").read_text())
    assert form(Report.model_json_schema()) == kept, (
        "readers of reports rely on their form: add to it, or give it another number in `format`, "
        "and write the schema anew"
    )


# --- what is found --------------------------------------------------------------------------------


def test_a_faultless_file_conforms(shell: Shell) -> None:
    found = faulty(shell, "''", code=0)
    assert (found["verdict"], found["adapter"]["file"]) == ("conforms", "faulty_kind.py")


def test_a_broken_promise_is_found_and_named(shell: Shell) -> None:
    found = faulty(shell, "forgets")
    failed = outcomes(found, "failed")
    assert failed[WHOLE].startswith("new_messages is empty; it holds everything")
    assert found["verdict"] == "does_not_conform"
    assert 0 < found["totals"]["broken"] < found["totals"]["guarantees"]
    assert not outcomes(found, "not_run")
    (check,) = (one for one in found["checks"] if one["name"] == WHOLE)
    assert check["group"] == "turns"
    assert check["sentence"].startswith("A question gets a `TurnResult`")


def test_tracebacks_are_shown_to_those_who_ask(shell: Shell) -> None:
    given = ("adapters", "test", "faulty", "--plugin", FAULTY, "--option", "fault=forgets")
    short = shell(*given, "--only", WHOLE)
    long = shell(*given, "--only", WHOLE, "--verbose")
    assert f"FAILED: {WHOLE}" in short.stdout
    assert "_turns.py" not in short.stdout
    assert re.search(r"\| massgen_bridge/testing/conformance/_turns.py:\d+", long.stdout)


def test_an_adapter_that_ends_its_process_is_reported(shell: Shell) -> None:
    found = faulty(shell, "exits", "--only", "turns", "--only", "stopping")
    failed = outcomes(found, "failed")
    assert failed[WHOLE] == "its process ended with exit code 7"
    assert len(failed) == 5, "after five processes the rest is not run"
    assert set(outcomes(found, "not_run").values()) == {
        "not run: the adapter had ended 5 processes before"
    }
    assert outcomes(found, "passed"), "what was found before the end is kept"


@pytest.mark.timeout(120)
def test_an_adapter_that_never_comes_back_is_reported(shell: Shell) -> None:
    checks = ("--only", "test_it_is_an_agent", "--only", WHOLE, "--only", "rules")
    for fault in ("loops", "hangs"):
        found = faulty(shell, fault, *checks, "--timeout", "4")
        assert outcomes(found, "failed") == {WHOLE: "there was no end to it within 4 s"}
        assert not outcomes(found, "not_run"), "another process does the rest"


def test_an_adapter_that_blocks_the_event_loop_is_reported(shell: Shell) -> None:
    failed = outcomes(faulty(shell, "blocks", "--only", WHOLE), "failed")
    assert failed == {WHOLE: "BlockingError: Blocking call to time.sleep"}


def test_what_an_adapter_starts_ends_with_the_test(shell: Shell) -> None:
    note = shell.home / "pid"
    found = faulty(shell, "spawns", "--option", f"text={note}", "--only", WHOLE, code=0)
    assert outcomes(found, "passed").keys() == {WHOLE}
    assert _is_gone(int(note.read_text()))


def test_an_adapter_that_interrupts_is_reported(shell: Shell) -> None:
    found = faulty(shell, "interrupts", "--only", WHOLE, "--only", "rules")
    assert outcomes(found, "failed") == {WHOLE: "KeyboardInterrupt: pressed by itself"}
    assert not outcomes(found, "not_run")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("halves", "AgentCrashed: half of ? a character"),
        ("shouts", f"AgentCrashed: {'a' * 239}…"),
        ("wordless", "WordlessError"),
    ],
)
def test_an_error_that_cannot_be_told_as_it_is_is_reported(
    shell: Shell, fault: str, told: str
) -> None:
    assert outcomes(faulty(shell, fault, "--only", WHOLE), "failed") == {WHOLE: told}


def test_a_report_can_be_published_as_it_is(shell: Shell) -> None:
    secret = "sk-0123456789abcdef"  # noqa: S105 - of nobody
    given = ("faulty", "--plugin", FAULTY, "--option", "fault=tells", "--only", WHOLE)
    for output in ("text", "markdown", "json"):
        text = f"{secret} in {shell.home}/notes/secret.txt"
        done = shell(
            *(
                "adapters",
                "test",
                *given,
                "--option",
                f"text={text}",
                "--output",
                output,
                "--verbose",
            ),
            ACME_API_KEY=secret,
        )
        assert done.returncode == 1
        assert "[secret]" in done.stdout.replace("\\", "")
        for private in (secret, str(shell.home), str(DATA), sys.prefix):
            assert private not in done.stdout.replace("\\_", "_")


# --- expected failures ----------------------------------------------------------------------------


def test_an_expected_failure_is_shown_and_excused(shell: Shell) -> None:
    given = ("faulty", "--plugin", FAULTY, "--option", "fault=forgets", "--only", WHOLE)
    excuse = ("--expect-failure", f"{WHOLE}=the framework = forgetful")
    done = shell("adapters", "test", *given, *excuse, "--save", "report.json")
    assert done.returncode == 0
    assert outcomes(saved_report(shell), "expected_failure") == {WHOLE: "the framework = forgetful"}
    assert f"EXPECTED TO FAIL: {WHOLE}" in done.stdout
    assert "the framework = forgetful" in done.stdout


def test_an_expected_failure_that_passes_is_one(shell: Shell) -> None:
    check = "test_media_pass_or_are_refused[image]"
    given = ("anthropic", "--only", check, "--expect-failure", f"{check}=it is blind")
    failed = outcomes(report(shell, *given, code=1), "failed")
    assert failed == {check: "it was expected to fail, but passed: it is blind"}


# --- whose settings count -------------------------------------------------------------------------


def test_the_settings_of_the_user_change_nothing(shell: Shell) -> None:
    (shell.home / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (shell.home / "conftest.py").write_text("raise RuntimeError('this is not asked')\n")
    (shell.home / "anyio.py").write_text("raise RuntimeError('this is not anyio')\n")
    given = ("scripted", "--only", "turns")
    found = report(shell, *given, PYTEST_ADDOPTS="--no-such-option", PYTEST_PLUGINS="nobody")
    assert [one["outcome"] for one in found["checks"]] == ["passed"] * len(found["checks"])


def test_another_plugin_that_is_broken_changes_nothing(shell: Shell, tmp_path: Path) -> None:
    install(tmp_path, "broken")
    given = ("scripted", "--only", "turns")
    assert not outcomes(report(shell, *given, PYTHONPATH=str(tmp_path)), "failed")


# --- where the options come from ------------------------------------------------------------------


def test_options_are_given_on_the_command_line(shell: Shell) -> None:
    (shell.home / "own.py").write_text(FUNCTION)
    given = ("python", "--without-model", "--option", "function=own.py:answer")
    found = report(shell, *given)
    assert (found["verdict"], found["suite"]) == ("conforms", "AgentConformance")
    assert found["adapter"]["options"] == ["function"]


def test_an_agent_is_asked_what_it_can_answer(shell: Shell) -> None:
    (shell.home / "sum.py").write_text(
        "def answer(question):\n    return str(sum(map(int, question.split('+'))))\n"
    )
    given = ("python", "--without-model", "--option", "function=sum.py:answer")
    found = report(shell, *given, "--question", "{number} + 7", "--only", "turns", "--only", "life")
    assert not outcomes(found, "failed")
    assert found["question"] == "{number} + 7"
    failed = outcomes(report(shell, *given, "--only", WHOLE, code=1), "failed")
    assert "invalid literal" in failed[WHOLE]


def test_options_are_taken_from_a_configuration(shell: Shell) -> None:
    folder = shell.home / "team"
    folder.mkdir()
    (folder / "own.py").write_text(FUNCTION)
    agents = [
        {"id": "ada", "backend": {"type": "scripted"}},
        {"id": "own", "backend": {"type": "python", "function": "own.py:answer"}},
        {"id": "two", "backend": {"type": "python", "function": "own.py:other"}},
    ]
    (folder / "team.json").write_text(json.dumps({"version": 1, "agents": agents}))
    given = ("python", "--without-model", "--config", folder / "team.json", "--only", "turns")
    found = report(shell, *given, "--agent", "own", "--trust")
    assert not outcomes(found, "failed")
    for more, told in {
        (): "nobody has allowed yet",
        ("--trust",): "several agents are of kind 'python'; choose with --agent: own, two",
        ("--trust", "--agent", "ow"): "there is no such agent in",
        ("--trust", "--agent", "ada"): "it is of kind 'scripted', not 'python'",
    }.items():
        done = shell("adapters", "test", *given, *more)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr


def test_a_plugin_of_the_configuration_is_loaded(shell: Shell) -> None:
    agents = [{"id": "ada", "backend": {"type": "faulty", "fault": "forgets"}}]
    team = {"version": 1, "plugins": [str(FAULTY)], "agents": agents}
    (shell.home / "team.json").write_text(json.dumps(team))
    found = report(shell, "faulty", "--config", "team.json", "--trust", "--only", WHOLE, code=1)
    assert found["adapter"]["options"] == ["fault"]


# --- what cannot be done --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scriptd"], "unknown agent kind 'scriptd'; did you mean 'scripted'?"),
        (["unmet", "--plugin", FAULTY], "install it with: pip install 'no-such-framework>=3'"),
        (["scripted", "--option", "answer=x"], "--option: answer: unknown key; did you mean 'ans"),
        (["scripted", "--option", "answers"], "expected KEY=VALUE"),
        (["scripted", "--option", "answers=[a"], "--option answers: not YAML"),
        (["python"], "--option: the key 'function' is missing"),
        (["scripted", "--only", "turn"], "no group, test or check 'turn'; did you mean 'turns'?"),
        (["scripted", "--expect-failure", "test_x=y"], "there is no check 'test_x'"),
        (["scripted", "--expect-failure", "test_x"], "expected CHECK=REASON"),
        (["scripted", "--timeout", "0"], "expected a number of seconds above 0"),
        (["scripted", "--agent", "ada"], "give the configuration, too: --config FILE"),
        (["scripted", "--save", "report.pdf"], "a name that ends with .md, .json or .txt"),
        (["scripted", "--save", "no/report.md"], "there is no folder 'no'"),
        (["openai", "--without-model"], "agents of kind 'openai' need a model"),
        (["faulty", "--plugin", "nobody.py"], "cannot read"),
    ],
)
def test_bad_usage_is_told_in_one_line(
    commands: Commands, arguments: list[str | Path], told: str
) -> None:
    done = commands("adapters", "test", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_json_is_printed_of_bad_usage_too(shell: Shell) -> None:
    done = shell("adapters", "test", "scriptd", "--output", "json")
    assert json.loads(done.stdout)["error"]["kind"] == "config"


def test_a_kind_that_is_broken_comes_with_its_reason(shell: Shell, tmp_path: Path) -> None:
    install(tmp_path, "broken")
    done = shell("adapters", "test", "broken", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "agent kind 'broken' is broken in distribution" in done.stderr


def test_what_the_kit_needs_is_named_with_its_command(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in {'pytest', 'blockbuster'}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    done = shell("adapters", "test", "scripted", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "needs pytest and blockbuster, which" in done.stderr
    assert "pip install 'massgen-bridge[testing]'" in done.stderr


def test_the_list_and_the_test_do_not_mix(shell: Shell) -> None:
    done = shell("adapters", "--json", "test", "scripted")
    assert done.returncode == 2
    assert "--output json" in done.stderr


# --- how it ends ----------------------------------------------------------------------------------


def _with_a_child(shell: Shell) -> tuple[subprocess.Popen[str], int]:
    """A test that hangs, and its process."""
    process = shell.start(
        *("adapters", "test", "faulty", "--plugin", FAULTY, "--option", "fault=loops")
    )
    deadline = time.monotonic() + 20
    while not (children := children_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    (child,) = children
    return process, child


def _is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_the_test_and_its_process(
    shell: Shell, number: signal.Signals, code: int
) -> None:
    process, child = _with_a_child(shell)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (code, "")
    assert "Traceback" not in stderr
    assert _is_gone(child)


def test_what_was_found_before_an_interruption_is_reported(shell: Shell) -> None:
    note = shell.home / "pid"
    process = shell.start(
        *("adapters", "test", "faulty", "--plugin", FAULTY, "--option", "fault=loops"),
        *("--option", f"text={note}", "--output", "json", "--save", "partial.md"),
        *("--only", "test_it_is_an_agent", "--only", WHOLE),
    )
    deadline = time.monotonic() + 30
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert _is_gone(int(note.read_text()))
    found = json.loads(stdout)
    assert (found["verdict"], found["interrupted"]) == ("none", True)
    assert outcomes(found, "passed").keys() == {"test_it_is_an_agent"}
    assert outcomes(found, "not_run") == {WHOLE: "not run: interrupted after 1 of 2 checks"}
    saved = (shell.home / "partial.md").read_text()
    assert "interrupted after 1 of 2 checks, 0 failed, so this is no verdict" in saved


def test_no_process_outlives_a_command_that_is_killed(shell: Shell) -> None:
    process, child = _with_a_child(shell)
    time.sleep(1.5)  # now the adapter loops
    process.kill()
    process.communicate(timeout=30)
    assert _is_gone(child)
