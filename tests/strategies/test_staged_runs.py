"""Votes in stages in real runs of scripted agents: by each way to vote, and in what is kept."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from massgen_bridge import run
from massgen_bridge.display import render_summary
from massgen_bridge.display.plain import plain_line
from massgen_bridge.display.state import RunView
from massgen_bridge.display.words import stage_words
from massgen_bridge.export import as_html, as_markdown, export_of
from massgen_bridge.runtime.course import past_of
from massgen_bridge.strategies import Consensus, ConsensusOptions

if TYPE_CHECKING:
    from massgen_bridge import Record, RunResult

BASIC = Path(__file__).parents[2] / "configs" / "basic"
STAGE = "stage 1, 12 ballots: 4 of 12 answers go on: gus (agent7) 1.00, bob (agent2) 0.92,"
RUN_OFF = "run-off, 12 ballots: gus (agent7) 0.83, bob (agent2) 0.69,"


@cache
def played(way: str = "auto", broken: str = "") -> tuple[RunResult, tuple[Record, ...]]:
    """A run of the example; the agent `broken` fails whenever it is asked."""
    data: dict[str, Any] = YAML(typ="safe").load(BASIC / "many-agents.yaml")
    for one in data["agents"]:
        one["ballot"] = way
        if one["id"] == broken:
            one["backend"] = {**one["backend"], "fails": "auth"}
    records: list[Record] = []
    result = run(data, "How can I drive less?", keep=False, on_record=records.append)
    return result, tuple(records)


@pytest.mark.parametrize("way", ["tools", "schema", "text"])
def test_a_run_is_the_same_however_agents_rank(way: str) -> None:
    result, records = played(way)

    assert (result.status, result.winner, result.calls) == ("answered", "gus", 36)
    assert not [one for one in records if one.event.type == "ballot_spoiled"]
    assert result.stages == played()[0].stages
    assert result.votes == played()[0].votes


def test_the_same_team_takes_the_same_course_again() -> None:
    first = played()[0]
    data: dict[str, Any] = YAML(typ="safe").load(BASIC / "many-agents.yaml")
    for _ in range(3):
        again = run(data, "How can I drive less?", keep=False)
        assert (again.stages, again.votes, again.winner) == (first.stages, first.votes, "gus")


def test_the_result_has_the_stages_the_points_and_the_last_rankings() -> None:
    result, _ = played()

    assert [(len(one.standing), one.asked, one.run_off) for one in result.stages] == [
        (12, 12, False),
        (4, 12, True),
    ]
    scores = {one.label: one.score for one in result.answers}
    assert scores["agent7"] == pytest.approx(30 / 36)
    assert scores["agent3"] is None  # it did not come to the run-off
    assert sum(one.votes for one in result.answers) == 12
    assert [vote.voter for vote in result.dissent[0].votes + result.dissent[1].votes] == [
        "kim",
        "leo",
    ]
    assert json.loads(result.model_dump_json())["stages"][1]["standing"][0]["label"] == "agent7"


def test_an_agent_that_fails_is_missing_and_no_more() -> None:
    result, _ = played(broken="hal")

    assert (result.status, result.winner) == ("answered", "gus")
    assert [stage.asked for stage in result.stages] == [11, 11]
    assert len(result.votes) == 11


def test_the_records_lead_to_the_same_course_wherever_the_run_is_left() -> None:
    result, records = played()
    strategy = Consensus(ConsensusOptions(ballot_size=4))
    for kept in range(1, len(records), 7):
        past = past_of(records[:kept], strategy)
        assert past.course.finish is not None or past.course.open
    finish = past_of(records, strategy).course.finish
    assert finish is not None
    assert (finish.stages, finish.votes) == (result.stages, result.votes)


def test_whoever_is_silent_is_left_behind_in_each_stage() -> None:
    backend = {"type": "scripted", "rankings": [["agent2"]]}
    agents: list[dict[str, Any]] = [
        {"id": f"a{number}", "backend": {**backend, "answers": [f"Answer {number}."]}}
        for number in range(1, 7)
    ]
    agents[4]["backend"]["delay_s"] = 30
    options = {"ballot_size": 3, "quorum": 0.8, "straggler_idle_s": 0.2}
    config = {"version": 1, "agents": agents, "strategy": {"type": "consensus", **options}}
    result = run(config, "Which?", keep=False)

    assert (result.status, result.winner) == ("answered", "a2")
    assert result.duration_s < 20
    assert [(one.asked, one.ballots) for one in result.stages] == [(6, 5), (6, 5)]
    assert "a5" not in {vote.voter for vote in result.votes}


def test_the_summary_of_a_large_team_is_short() -> None:
    backend = {"type": "scripted", "rankings": [["agent2", "agent30"]]}
    agents: list[dict[str, Any]] = [
        {"id": f"a{number}", "backend": {**backend, "answers": [f"Answer {number}."]}}
        for number in range(1, 41)
    ]
    for one in agents[20:]:
        one["backend"]["rankings"] = [["agent30", "agent2"]]
    config = {
        "version": 1,
        "agents": agents,
        "strategy": {"type": "consensus", "ballot_size": 4},
    }
    records: list[Record] = []
    run(config, "Which?", keep=False, on_record=records.append)
    summary = render_summary(records)
    end = summary[summary.index("\nWinner: ") :]

    assert len(end.splitlines()) < 50
    assert "  for it: a1 (agent1), a2 (agent2)," in end
    assert "a10 (agent10) and 10 more\n" in end
    assert "  dissent: likewise a31 (agent31)," in end


def test_displays_tell_who_went_on() -> None:
    _, records = played()
    view = RunView()
    lines = []
    for record in records:
        view.apply(record)
        lines.append(plain_line(record, view) or "")

    assert sum(f"] {STAGE}" in line for line in lines) == 1
    assert sum(f"] {RUN_OFF}" in line for line in lines) == 1
    assert view.stages == list(played()[0].stages)
    summary = render_summary(records)
    assert "Winner: gus (agent7), first on 10 of 12 ballots\n" in summary
    assert f"\n  {STAGE}" in summary
    assert "dissent: kim (agent11) put kim (agent11) first: A pass is always at hand." in summary


def test_lost_ballots_are_told() -> None:
    _, records = played(broken="hal")
    result, _ = played()
    stage = result.stages[0].model_copy(update={"ballots": 11})
    view = RunView(records)

    assert "stage 1, 11 ballots: " in render_summary(records)
    assert stage_words(view, stage).startswith("stage 1, 11 of 12 ballots: 4 of 12 answers")


def test_an_export_has_each_stage_as_a_table() -> None:
    _, records = played()
    told = export_of(records)
    text = as_markdown(told)

    assert told.stages == played()[0].stages
    assert all(vote.counted for one in told.rounds for vote in one.votes)
    assert "**gus won, first on 10 of 12 ballots with 0.83 points.**" in text
    assert "### Stage 1: 12 ballots\n" in text
    assert "| 1. gus | 1.00 | 4 | goes on |" in text
    assert "| 5. eve | 0.75 | 4 |  |" in text
    assert "### Stage 2, the run-off: 12 ballots\n" in text
    assert "| 1. gus | 0.83 | 12 | won |" in text
    assert "lapsed" not in text
    page = as_html(told)
    assert "The stages of the vote" in page
    assert 'title="place 1, its own answer"' in page


def test_a_run_that_is_broken_off_is_told_as_far_as_it_came() -> None:
    _, records = played()
    after = next(n for n, one in enumerate(records) if one.event.type == "stage_closed")
    told = export_of(records[: after + 5])

    assert told.status == "unfinished"
    assert len(told.stages) == 1
    assert "### Stage 1: 12 ballots" in as_markdown(told)


@pytest.mark.parametrize(
    ("calls", "stages", "votes"), [(12, [], 0), (20, [8], 0), (24, [12], 0), (30, [12, 6], 6)]
)
def test_a_budget_ends_it_with_the_best_so_far(calls: int, stages: list[int], votes: int) -> None:
    data: dict[str, Any] = YAML(typ="safe").load(BASIC / "many-agents.yaml")
    data["budget"] = {"model_calls": calls}
    result = run(data, "How can I drive less?", keep=False)

    assert (result.status, result.budget, result.calls) == ("best_so_far", "model_calls", calls)
    assert result.winner == ("gus" if stages else "ada")  # without a ballot, the first of the file
    assert [stage.ballots for stage in result.stages] == stages
    assert len(result.votes) == votes
