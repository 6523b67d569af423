"""Teams as agents on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge.cli._calls import Expected, team_turn, with_teams

if TYPE_CHECKING:
    from cli.conftest import Commands

TEAM = Path(__file__).parents[2] / "configs" / "basic" / "team.yaml"


def found(commands: Commands, *arguments: Any) -> Any:
    return json.loads(commands(*arguments).stdout)


def test_a_plan_shows_the_members_of_teams_and_counts_their_calls(commands: Commands) -> None:
    plan = found(commands, "run", TEAM, "q", "--dry-run", "--output", "json")
    assert plan["problems"] == []
    ada, critics, writers = plan["agents"]
    assert ada["team"] is None
    assert (critics["kind"], critics["votes_by"]) == ("team", "schema")
    assert [one["id"] for one in critics["team"]["agents"]] == ["ann", "ben"]
    assert writers["team"]["strategy"]["type"] == "sequential"
    result = found(commands, "run", TEAM, "q", "--output", "json", "--display", "none")
    assert plan["model_calls"]["usual"] == result["calls"]
    text = commands("run", TEAM, "q", "--dry-run").stdout
    assert "\n  drafter  scripted" in text
    assert "a team: sequential" in text


def test_turns_of_teams_count_as_the_calls_that_they_take() -> None:
    turns, answer = Expected(3, 6, 9), Expected(2, 4, 8)
    assert team_turn("sequential", answer, 3) == answer
    assert team_turn("consensus", answer, 2) == Expected(2, 3, 8)  # half of the turns are votes
    assert with_teams(turns, [], 3) == turns
    assert with_teams(turns, [answer], 3) == Expected(3, 12, 72)
    assert with_teams(turns, [answer] * 3, 3) == Expected(6, 24, 72)


def test_keys_of_teams_are_among_the_problems_of_a_plan(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    member = {"id": "a", "backend": {"type": "openai", "model": "gpt-5-mini"}}
    team = {"id": "t", "backend": {"type": "team", "agents": [member]}}
    file = tmp_path / "team.json"
    file.write_text(json.dumps({"version": 1, "agents": [team]}))
    plan = found(commands, "run", file, "q", "--dry-run", "--output", "json")
    assert any("OPENAI_API_KEY" in one for one in plan["problems"])
    assert plan["cost"]["usd"] > 0


def test_runs_of_teams_are_listed_where_asked_for(commands: Commands) -> None:
    result = found(commands, "run", TEAM, "q", "--output", "json", "--display", "none")
    (row,) = found(commands, "runs", "list", "--json")
    assert row["run_id"] == result["run_id"]
    rows = found(commands, "runs", "list", "--json", "--inner")
    inner = [one["run_id"] for one in rows if one["within"] == result["run_id"]]
    assert len(inner) == 4
    shown = commands("runs", "show", inner[0])
    assert (shown.returncode, "Question: q" in shown.stdout) == (0, True)
    refused = commands("runs", "resume", inner[0])
    assert refused.returncode != 0
    commands("runs", "prune", "--keep", "0", "--yes")
    assert found(commands, "runs", "list", "--json", "--inner") == []


def test_a_run_with_teams_is_told_and_replayed_by_its_own_records(
    commands: Commands, tmp_path: Path
) -> None:
    told = commands("run", TEAM, "q", "--display", "plain").stderr
    for said in (
        "critics (agent2): works as a team: ann and ben, strategy consensus",
        "critics (agent2): its team took the answer of ann with 2 votes",
        "critics (agent2): asks its members to vote: ann and ben",
        "voted for critics (agent2): ann: It can be tried at once.; ben: It says",
    ):
        assert said in told
    run_id = found(commands, "runs", "list", "--json")[0]["run_id"]
    inner = list(tmp_path.rglob(f"{run_id}-*.sqlite"))
    assert len(inner) == 4
    for path in inner:
        path.unlink()
    again = commands("runs", "replay", run_id, "--no-wait", "--display", "plain").stderr
    assert [line[10:] for line in again.splitlines()] == [line[10:] for line in told.splitlines()]
    summary = commands("runs", "show", run_id).stdout
    assert "critics (agent2), team of ann and ben: voted" in summary


def test_mistakes_in_the_file_of_a_team_name_that_file(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "outer.yaml").write_text(
        "version: 1\nagents:\n  - id: t\n    backend: {type: team, config: inner.yaml}\n"
    )
    (tmp_path / "inner.yaml").write_text("version: 1\nagents:\n  - id: a\n")
    done = commands("config", "validate", tmp_path / "outer.yaml", "--json")
    assert done.returncode == 2
    ((problem,),) = [one["problems"] for one in json.loads(done.stdout)]
    assert problem["file"] == str(tmp_path / "inner.yaml")
    assert (problem["line"], "'backend' is missing" in problem["message"]) == (3, True)
