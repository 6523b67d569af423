"""What a run would do, before it does anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA

from massgen_bridge.cli._calls import Expected, expected_calls
from massgen_bridge.events import Seat, TeamRole
from massgen_bridge.strategies import ConsensusOptions

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Commands, Shell


def plan(commands: Commands, file: str, *arguments: str) -> dict[str, Any]:
    done = commands("run", DATA / file, "q", "--dry-run", "--output", "json", *arguments)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (2 if found["problems"] else 0)
    return found


def test_agents_are_shown_with_what_they_run_on(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    monkeypatch.setenv("HOUSE_KEY", "house-of-nobody")
    found = plan(commands, "keys.yaml")
    ada, lin = found["agents"]
    assert (ada["model"], ada["provider"], ada["votes_by"]) == ("gpt-5-mini", "openai", "tools")
    assert ada["where"] == "https://api.openai.com/v1"
    assert lin["where"] == "http://127.0.0.1:9/v1"
    assert found["model_calls"] == {"least": 2, "usual": 4, "most": 16}
    assert found["cost"]["usd"] > 0
    assert found["cost"]["unknown_models"] == ["house-model"]
    assert "of-nobody" not in json.dumps(found)


def test_missing_keys_are_problems_and_hide_nothing(commands: Commands) -> None:
    found = plan(commands, "keys.yaml")
    assert len(found["agents"]) == 2
    ada, lin = found["problems"]
    assert "OPENAI_API_KEY" in ada
    assert "HOUSE_KEY" in lin


@pytest.mark.parametrize("head", ["version: 1\n", ""], ids=["own", "massgen"])
def test_each_problem_has_its_own_place(commands: Commands, tmp_path: Path, head: str) -> None:
    backends = [
        f"{{type: {name}, model: any}}" for name in ("chatcompletion", "openai", "azure_openai")
    ]
    agents = [
        f"  - id: {name}\n    backend: {one}\n" for name, one in zip("abc", backends, strict=True)
    ]
    file = tmp_path / "team.yaml"
    file.write_text(f"{head}agents:\n{''.join(agents)}")
    first = 3 + head.count("\n")
    lines = [
        text.removeprefix(f"{file}:").partition(":")[0]
        for text in plan(commands, str(file))["problems"]
    ]
    assert lines == [str(first + 2 * index) for index in range(3)]


def test_a_run_without_charges_is_free(commands: Commands) -> None:
    done = commands("run", DATA / "two.yaml", "q", "--dry-run")
    assert done.returncode == 0
    assert "Model calls: 2 at least, 4 usually, 16 at most" in done.stdout
    assert "Cost: free\n" in done.stdout


def test_a_place_elsewhere_is_told_with_its_reason_and_what_has_to_be_built(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_CACHE", str(tmp_path))
    file = tmp_path / "team.yaml"
    members = "[{id: eve, backend: {type: scripted, isolation: environment}}]"
    file.write_text(
        "version: 1\nagents:\n"
        "  - id: ada\n    backend: {type: scripted, isolation: process}\n"
        "  - id: bob\n    backend: {type: scripted}\n"
        f"  - id: sue\n    backend: {{type: team, agents: {members}}}\n"
    )
    told = commands("run", file, "q", "--dry-run").stdout
    assert "ada runs in a process of its own: the configuration says so\n" in told
    assert "sue/eve runs in an environment of its own: the configuration says so\n" in told
    assert "bob runs" not in told
    assert " in its own process\n" in told
    assert "To build first: " in told
    found = plan(commands, str(file))
    assert [one["isolation"] for one in found["agents"]] == ["process", "none", "none"]
    (needed,) = found["environments"]
    assert (needed["agents"], needed["ready"], needed["lock"]) == (["sue/eve"], False, None)


def test_code_is_named_and_not_imported(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("MARK", str(mark))
    found = plan(commands, "code.yaml")
    assert not mark.exists()
    assert [one["reference"] for one in found["code"]] == ["./marks.py", "functions.py:shout"]
    assert found["code"][0]["files"] == [str(DATA / "marks.py")]
    assert found["cost"]["not_counted"] == ["own"]


def test_the_cost_follows_the_calls_of_the_strategy(commands: Commands, tmp_path: Path) -> None:
    agents = [{"id": one, "backend": {"type": "openai", "model": "gpt-5-mini"}} for one in "ab"]
    usd = {}
    for strategy in ("consensus", "single", "map_reduce"):
        file = tmp_path / f"{strategy}.json"
        file.write_text(json.dumps({"version": 1, "agents": agents, "strategy": strategy}))
        done = commands("run", file, "q", "--dry-run", "--output", "json")
        usd[strategy] = json.loads(done.stdout)["cost"]["usd"]

    assert usd["consensus"] == pytest.approx(4 * usd["single"])
    assert usd["consensus"] == pytest.approx(2 * usd["map_reduce"])


def test_a_strategy_of_a_plugin_has_no_figures(commands: Commands) -> None:
    done = commands("run", DATA / "crash.yaml", "q", "--dry-run", "--trust")
    assert done.returncode == 0
    assert "Model calls: not known for this strategy" in done.stdout


def test_roles_and_weights_are_told_where_they_are_not_the_usual_ones(
    commands: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "roles.yaml"
    file.write_text(
        "version: 1\n"
        "agents:\n"
        "  - {id: ada, backend: {type: scripted}}\n"
        "  - {id: bob, roles: [vote], weight: 2.5, backend: {type: scripted}}\n"
    )
    done = commands("run", file, "q", "--dry-run")
    found = json.loads(commands("run", file, "q", "--dry-run", "--output", "json").stdout)

    assert "Roles of bob: vote, weight 2.5\n" in done.stdout
    assert "Roles of ada" not in done.stdout
    assert [(one["roles"], one["weight"]) for one in found["agents"]] == [
        (["propose", "vote"], 1.0),
        (["vote"], 2.5),
    ]


def test_the_timeout_counts(commands: Commands) -> None:
    assert plan(commands, "two.yaml", "--timeout", "7")["deadline_s"] == 7


def test_nothing_is_recorded(commands: Commands) -> None:
    plan(commands, "two.yaml")
    assert json.loads(commands("runs", "list", "--json").stdout) == []


def bounds(max_rounds: int, max_answers_per_agent: int, **others: Any) -> dict[str, Any]:
    given = {"max_rounds": max_rounds, "max_answers_per_agent": max_answers_per_agent, **others}
    return ConsensusOptions(**given).model_dump(mode="json")


@pytest.mark.parametrize(
    ("strategy", "options", "ways", "expected"),
    [
        ("single", {}, ["tools"] * 3, Expected(1, 1, 6)),
        ("consensus", bounds(3, 3), ["text"], Expected(1, 1, 2)),
        ("consensus", bounds(3, 3), ["text"] * 3, Expected(3, 6, 24)),
        ("consensus", bounds(3, 3), ["schema"] * 3, Expected(3, 6, 30)),
        ("consensus", bounds(9, 1), ["schema"] * 2, Expected(2, 4, 8)),
        ("consensus", bounds(1, 3), ["schema"] * 2, Expected(2, 4, 8)),
        ("sequential", {"on_failure": "skip"}, ["text"] * 3, Expected(3, 3, 6)),
        ("sequential", {"on_failure": "stop"}, ["text"] * 3, Expected(1, 3, 6)),
        ("map_reduce", {}, ["text"] * 3, Expected(2, 3, 6)),
        ("debate", {"rounds": 2, "judge": "j"}, ["text"] * 3, Expected(2, 7, 18)),
        ("debate", {"rounds": 1, "judge": None}, ["text"] * 3, Expected(3, 9, 18)),
        ("debate", {"rounds": 1, "judge": "j"}, ["text"] * 2, Expected(1, 1, 2)),
        (
            "group",
            {"max_turns": 8, "chair": None, "stop_phrase": None},
            ["text"] * 3,
            Expected(8, 8, 16),
        ),
        (
            "group",
            {"max_turns": 8, "chair": None, "stop_phrase": "."},
            ["text"] * 3,
            Expected(1, 8, 16),
        ),
        ("group", {"max_turns": 6, "chair": "c"}, ["text"] * 3, Expected(4, 13, 26)),
        ("group", {"max_turns": 1, "chair": "c"}, ["text"] * 2, Expected(2, 2, 4)),
        ("of a plugin", {}, ["text"], None),
    ],
)
def test_calls_to_expect(
    strategy: str, options: dict[str, Any], ways: list[str], expected: Expected | None
) -> None:
    assert expected_calls(strategy, options, ways) == expected


@pytest.mark.parametrize(
    ("roles", "options", "expected"),
    [
        ((("propose",), ("propose",), ("vote",)), bounds(3, 3), Expected(2, 3, 6)),
        ((("propose",), ("vote",), ("break_ties",)), bounds(3, 3), Expected(1, 1, 2)),
        (
            (("propose", "vote"), ("propose", "vote"), ("break_ties",)),
            bounds(3, 3),
            Expected(2, 4, 18),
        ),
        (
            (("propose", "vote"), ("propose",)),
            bounds(2, 1, presentation="always"),
            Expected(3, 4, 7),
        ),
        ((("propose", "vote"), ("propose",)), bounds(2, 1, quorum=1), Expected(2, 3, 8)),
    ],
)
def test_calls_follow_the_roles(
    roles: tuple[tuple[TeamRole, ...], ...], options: dict[str, Any], expected: Expected
) -> None:
    seats = [Seat(agent_id="a", label="a", kind="k", roles=held) for held in roles]
    assert expected_calls("consensus", options, ["text"] * len(seats), seats) == expected


@pytest.mark.parametrize(
    ("armed", "presentation", "expected"),
    [
        ((True, True), "auto", Expected(3, 5, 9)),
        ((True, False), "auto", Expected(2, 4, 9)),
        ((True, True), "never", Expected(2, 4, 8)),
    ],
)
def test_calls_follow_who_presents(
    armed: tuple[bool, ...], presentation: str, expected: Expected
) -> None:
    seats = [Seat(agent_id="a", label="a", kind="k", has_tools=one) for one in armed]
    options = bounds(1, 1, presentation=presentation)
    assert expected_calls("consensus", options, ["text"] * 2, seats) == expected


def test_warnings_of_a_massgen_file_stand_on_stderr_and_in_json(shell: Shell) -> None:
    file = shell.home / "team.yaml"
    file.write_text(
        "agent:\n  id: ada\n  backend: {type: vllm, model: m, min_p: 0.1}\n"
        "orchestrator: {parallel: true}\n"
    )
    done = shell("run", file, "q", "--dry-run", "--output", "json")
    assert done.returncode == 0
    planned = json.loads(done.stdout)
    assert planned["agents"][0]["provider"] == "vllm"
    told = done.stderr.splitlines()
    assert [f"warning: {one}" for one in planned["warnings"]] == told
    left_out, passed_on = planned["warnings"]
    assert left_out.endswith("left out: orchestrator.parallel (line 4)")
    assert passed_on.endswith("as they are: agent.backend.min_p (line 3)")
    done = shell("doctor", file, "--offline", "--json")
    assert json.loads(done.stdout)["warnings"] == planned["warnings"]
    assert done.stderr.splitlines() == told
    done = shell("config", "validate", file, "--json")
    assert json.loads(done.stdout)[0]["warnings"] == planned["warnings"]


def test_a_plan_in_words_says_nothing_again_that_stands_on_stderr(shell: Shell) -> None:
    file = shell.home / "team.yaml"
    file.write_text("agent:\n  id: ada\n  backend: {type: vllm, model: m, min_p: 0.1}\n")
    done = shell("run", file, "q", "--dry-run", "--budget", "tokens=1")
    assert "min_p" in done.stderr
    assert "min_p" not in done.stdout
    assert "Warnings:\n" in done.stdout
