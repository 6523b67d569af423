"""What strategies make of budgets, where the properties of all of them do not say it."""

from __future__ import annotations

from typing import Any

import pytest
from strategies.driving import Drive
from strategies.test_other_strategies import answer, lose, spoil, turn_of, vote

from massgen_bridge.events import BudgetReached
from massgen_bridge.plugins import PluginHost

HOST = PluginHost(entry_points=False)
CALLS = BudgetReached(budget="model_calls", limit=9, used=9)
TIME = BudgetReached(budget="wall_s", limit=9, used=9)
ALL = ("consensus", "single", "sequential", "debate", "map_reduce", "group")


def drive(name: str, **options: Any) -> Drive:
    spec = HOST.strategy(name)
    return Drive(spec.create(spec.options(**options)), "ada", "bob", "cyd")


def of(name: str) -> BudgetReached:
    return BudgetReached(agent_id=name, budget="tokens", limit=9, used=12)


def test_votes_that_are_under_way_still_count_in_a_consensus() -> None:
    run = drive("consensus")
    for name in ("ada", "bob", "cyd"):
        answer(run, name, f"text of {name}")
    vote(run, "ada", "agent2")
    run.happen(CALLS)
    answer(run, "bob", "a better one that nobody can vote on any more")
    vote(run, "cyd", "agent1")

    finish = run.result
    assert (finish.status, finish.budget, finish.tie_broken_by) == (
        "best_so_far",
        "model_calls",
        "order",
    )
    assert [(one.voter, one.label) for one in finish.votes] == [
        ("ada", "agent2"),
        ("cyd", "agent1"),
    ]
    assert [(one.label, one.version, one.votes) for one in finish.answers] == [
        ("agent1", 1, 1),
        ("agent2", 1, 1),
        ("agent3", 1, 0),
        ("agent2", 2, 0),
    ]
    run.check_result()


def test_an_answer_that_is_under_way_is_one_of_those_in_a_debate() -> None:
    run = drive("debate")
    answer(run, "ada", "one")
    run.happen(CALLS)
    lose(run, "bob", "limit")
    answer(run, "cyd", "three")

    finish = run.result
    assert [one.text for one in finish.answers] == ["one", "three"]
    assert (finish.status, finish.budget) == ("best_so_far", "model_calls")


@pytest.mark.parametrize("name", ALL)
def test_the_time_of_the_run_waits_for_nobody(name: str) -> None:
    run = drive(name)
    run.happen(TIME)

    assert (run.result.status, run.result.budget) == ("failed", "wall_s")
    assert run.result.message == "the run has used its budget of 9 s, before any answer"


@pytest.mark.parametrize("name", ALL)
def test_a_turn_that_came_to_nothing_is_not_tried_again_without_budget(name: str) -> None:
    run = drive(name)
    began = list(run.started)
    run.happen(CALLS)
    while run.finish is None:
        spoil(run, next(iter(run.running.values())).agent_id)

    assert list(run.started) == began
    assert (run.result.status, run.result.budget) == ("failed", "model_calls")


def test_who_has_no_budget_left_keeps_its_answer_and_gets_no_further_turn() -> None:
    run = drive("consensus")
    for name in ("ada", "bob"):
        answer(run, name, f"text of {name}")
    run.happen(of("cyd"))
    answer(run, "cyd", "text of cyd")
    assert {turn.agent_id for turn in run.running.values()} == {"ada", "bob"}
    vote(run, "ada", "agent3")
    vote(run, "bob", "agent3")

    finish = run.result
    assert (finish.status, finish.budget) == ("answered", None)
    assert finish.winner is not None
    assert finish.winner.label == "agent3"


def test_the_next_agent_takes_over_from_one_without_budget() -> None:
    run = drive("single")
    run.happen(of("ada"))
    lose(run, "ada", "limit")
    answer(run, "bob", "two")

    assert (run.result.status, run.result.budget) == ("answered", None)


def test_the_order_counts_where_the_chair_has_no_budget_left() -> None:
    run = drive("group", chair="cyd", max_turns=2)
    assert turn_of(run, "cyd").purpose == "chair"
    run.happen(of("cyd"))
    lose(run, "cyd", "limit")
    answer(run, "ada", "one")
    answer(run, "bob", "two")

    finish = run.result
    assert (finish.status, finish.budget) == ("answered", None)
    assert [one.text for one in finish.answers] == ["one", "two"]


def test_those_who_debate_vote_where_the_judge_has_no_budget_left() -> None:
    run = drive("debate", judge="cyd", rounds=0)
    answer(run, "ada", "one")
    answer(run, "bob", "two")
    run.happen(of("cyd"))
    lose(run, "cyd", "limit")
    vote(run, "ada", "agent2")
    vote(run, "bob", "agent2")

    assert (run.result.status, run.result.budget) == ("answered", None)


def test_without_the_one_who_makes_one_answer_of_all_the_parts_stay() -> None:
    run = drive("map_reduce")
    answer(run, "ada", "one")
    answer(run, "bob", "two")
    run.happen(of("cyd"))
    lose(run, "cyd", "limit")

    finish = run.result
    assert (finish.status, finish.budget) == ("best_so_far", "tokens")
    assert finish.message == "cyd has used its budget of 9 tokens (12 tokens used)"
    assert [one.text for one in finish.answers] == ["one", "two"]


def test_a_step_without_budget_stops_a_pipeline_that_stops_at_failures() -> None:
    run = drive("sequential", on_failure="stop")
    answer(run, "ada", "one")
    run.happen(of("bob"))
    lose(run, "bob", "limit")

    finish = run.result
    assert (finish.status, finish.budget) == ("best_so_far", "tokens")
    assert finish.message == "bob has used its budget of 9 tokens (12 tokens used)"
