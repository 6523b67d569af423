"""`--budget`, and what the command line tells of budgets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Commands, Shell


def test_a_budget_ends_a_run_with_its_best_answer_and_says_so(shell: Shell) -> None:
    done = shell("run", DATA / "two.yaml", "Capital?", "--budget", "model_calls=3")

    assert (done.returncode, done.stdout) == (0, "Paris is the capital.\n")
    told = "the run has used its budget of 3 model calls"
    assert f"] budget: {told}; no further model call begins\n" in done.stderr
    assert f"(best so far: {told})" in done.stderr
    shown = shell("runs", "show", "last").stdout
    assert f"(best so far: {told})" in shown
    found = json.loads(shell("runs", "show", "last", "--output", "json").stdout)
    assert (found["status"], found["budget"]) == ("best_so_far", "model_calls")
    assert (found["calls"], found["message"]) == (3, told)


def test_a_run_without_any_answer_in_its_budget_fails(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    slow = "{type: scripted, delay_s: 5}"
    file.write_text(f"version: 1\nagents: [{{id: a, backend: {slow}}}]\nbudget: {{wall_s: 0.2}}\n")
    done = commands("run", file, "?", "--output", "json")

    found = json.loads(done.stdout)
    assert (done.returncode, found["status"], found["budget"]) == (1, "failed", "wall_s")
    assert found["error"]["message"] == "the run has used its budget of 0.2 s, before any answer"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            "tokens",
            "--budget: expected NAME=AMOUNT, where NAME is one of model_calls, tokens, ",
        ),
        ("dollars=5", "--budget: expected NAME=AMOUNT, where NAME is one of model_calls, tokens, "),
        ("=5", "--budget: expected NAME=AMOUNT, where NAME is one of"),
        ("tokens=", "--budget: expected NAME=AMOUNT, where NAME is one of"),
        ("tokens=0", "--budget tokens: expected a whole number above 0, found '0'"),
        ("model_calls=1.5", "--budget model_calls: expected a whole number above 0, found '1.5'"),
        ("cost_usd=-1", "--budget cost_usd: expected a number above 0, found '-1'"),
        ("wall_s=inf", "--budget wall_s: expected a number above 0, found 'inf'"),
    ],
)
def test_what_is_no_budget_is_refused(commands: Commands, given: str, problem: str) -> None:
    done = commands("run", DATA / "two.yaml", "?", "--budget", given)

    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {problem}")


def plan(commands: Commands, file: Path, *given: str) -> dict[str, Any]:
    budgets = [part for one in given for part in ("--budget", one)]
    done = commands("run", file, "q", "--dry-run", "--output", "json", *budgets)
    assert done.returncode == 0
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_is_given_replaces_that_limit_of_the_file(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\n"
        "agents:\n"
        "  - {id: ada, backend: {type: scripted}, budget: {tokens: 90}}\n"
        "budget: {model_calls: 50, tokens: 70000}\n"
    )
    found = plan(commands, file, "model_calls=9", "wall_s=2.5")

    assert found["budget"] == {"model_calls": 9, "tokens": 70_000, "wall_s": 2.5}
    assert found["agents"][0]["budget"] == {"tokens": 90}
    text = commands("run", file, "q", "--dry-run").stdout
    assert "Budget: 50 model calls, 70,000 tokens\nBudget of ada: 90 tokens\n" in text


@pytest.mark.parametrize(
    ("budget", "warning"),
    [
        ("model_calls=1", "the budget of 1 model call is too small: it takes 2 at least"),
        ("model_calls=3", "the budget of 3 model calls may be too small: it takes 4 usually"),
        ("model_calls=4", None),
        ("tokens=2000", "the budget of 2,000 tokens may be too small: it takes about "),
        ("tokens=200000", None),
        ("cost_usd=0.0001", "the budget of $0.0001 may be too small: it takes about $0.0"),
        ("cost_usd=2", None),
    ],
)
def test_a_plan_warns_of_a_budget_that_is_not_enough(
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    budget: str,
    warning: str | None,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    agents = [{"id": one, "backend": {"type": "openai", "model": "gpt-5-mini"}} for one in "ab"]
    file = tmp_path / "team.json"
    file.write_text(json.dumps({"version": 1, "agents": agents}))
    warnings = plan(commands, file, budget)["warnings"]

    assert [one[: len(warning or "")] for one in warnings] == ([warning] if warning else [])


def test_a_budget_of_money_names_the_model_that_has_no_price(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    file = tmp_path / "team.yaml"
    file.write_text("version: 1\nagents:\n- {id: a, backend: {type: openai, model: of-nobody}}\n")
    done = commands("run", file, "?", "--budget", "cost_usd=1")

    assert done.returncode == 2
    assert f"{file}:3:42: agent 'a': the price of the model 'of-nobody'" in done.stderr


def test_a_chat_has_a_budget_for_each_question(shell: Shell) -> None:
    done = shell(
        "chat", DATA / "two.yaml", "--budget", "model_calls=2", "--output", "json", stdin="A?\nB?\n"
    )

    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["budget"], one["calls"]) for one in found] == [("model_calls", 2)] * 2
