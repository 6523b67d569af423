"""What an export says of a run follows from its records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from display.scenes import Scene, real_run
from export.pages import Page

from massgen_bridge.agent import AnswerRef, Usage
from massgen_bridge.api import run as run_config
from massgen_bridge.events import (
    AnswerInfo,
    AnswerRejected,
    BallotSpoiled,
    Cost,
    ErrorInfo,
    HostedToolCall,
    ModelCallFinished,
    ModelRetried,
    Record,
    RunResumed,
    TieBroken,
    ToolCallFinished,
    ToolCallJudged,
    ToolCallStarted,
    TurnFailed,
    VoteInfo,
)
from massgen_bridge.export import RunExport, as_html, as_markdown, export_of
from massgen_bridge.messages import ToolCall, ToolResult


def vote(voter: str, label: str, reason: str = "", version: int = 1) -> VoteInfo:
    author = label.replace("agent", "a")
    return VoteInfo(voter=voter, author=author, label=label, version=version, reason=reason)


def info(label: str, text: str, votes: int = 0, version: int = 1) -> AnswerInfo:
    author = label.replace("agent", "a")
    return AnswerInfo(label=label, version=version, authors=(author,), text=text, votes=votes)


def split_run() -> Scene:
    """Two answer; the second improves; then they do not agree."""
    scene = Scene(2).start("a1.1").start("a2.1").answer("a1.1", "one").answer("a2.1", "Two.")
    scene.listed("agent1", "a1", text="one").listed("agent2", "a2", text="Two.")
    scene.start("a1.2", "evaluate", 1).start("a2.2", "evaluate", 1)
    scene.vote("a1.2", "agent1", "first").answer("a2.2", "Two. And better.")
    scene.listed("agent2", "a2", version=2, text="Two. And better.")
    scene.start("a1.3", "evaluate", 2).start("a2.3", "evaluate", 2)
    scene.vote("a1.3", "agent1", "still the first").vote("a2.3", "agent2", "mine", 2)
    scene.add(TieBroken(winner=AnswerRef(label="agent1", version=1), by="order"))
    return scene.finish(
        status="answered",
        answer="one",
        winner="a1",
        answers=(info("agent1", "one", 1), info("agent2", "Two. And better.", 1, 2)),
        votes=(vote("a1", "agent1", "still the first"), vote("a2", "agent2", "mine", 2)),
        tie_broken_by="order",
        calls=6,
        duration_s=17.5,
    )


def test_turns_stand_on_the_time_line_of_the_run() -> None:
    run = export_of(split_run().records)
    assert [(t.turn_id, t.purpose, t.round, t.outcome) for t in run.turns] == [
        ("a1.1", "answer", 0, "answered"),
        ("a2.1", "answer", 0, "answered"),
        ("a1.2", "evaluate", 1, "voted"),
        ("a2.2", "evaluate", 1, "answered"),
        ("a1.3", "evaluate", 2, "voted"),
        ("a2.3", "evaluate", 2, "voted"),
    ]
    first = run.turns[0]
    assert (first.start_s, first.end_s, first.usage.input_tokens) == (0.5, 3.0, 10)
    assert [(c.start_s, c.end_s) for c in first.calls] == [(1.0, 2.5)]
    assert [(a.turns, a.calls, a.usage.calls) for a in run.agents] == [(3, 3, 3), (3, 3, 3)]


def test_each_round_has_its_votes_and_only_the_last_ones_count() -> None:
    run = export_of(split_run().records)
    assert [(one.number, one.improved, len(one.votes)) for one in run.rounds] == [
        (0, False, 0),
        (1, True, 1),
        (2, False, 2),
    ]
    assert not run.rounds[1].votes[0].counted
    assert [(v.voter, v.authors, v.reason, v.counted) for v in run.votes] == [
        ("a1", ("a1",), "still the first", True),
        ("a2", ("a2",), "mine", True),
    ]
    assert run.votes[0].at_s is not None
    assert run.without_vote == {}


def test_each_answer_knows_what_became_of_it() -> None:
    run = export_of(split_run().records)
    assert [(a.label, a.version, a.round, a.standing, a.votes) for a in run.answers] == [
        ("agent1", 1, 0, "winner", 1),
        ("agent2", 1, 0, "replaced", 0),
        ("agent2", 2, 1, "standing", 1),
    ]
    assert run.answers[2].before == AnswerRef(label="agent2", version=1)
    assert run.winner is not None
    assert run.winner.text == "one"


def test_a_tie_and_the_dissent_are_told() -> None:
    run = export_of(split_run().records)
    assert run.tie is not None
    assert (run.tie.by, [one.label for one in run.tie.tied]) == ("order", ["agent1", "agent2"])
    (minority,) = run.dissent
    assert (minority.label, minority.version, minority.text) == ("agent2", 2, "Two. And better.")
    assert [one.reason for one in minority.votes] == ["mine"]


def test_what_went_wrong_is_told_with_what_was_said() -> None:
    scene = Scene(3).start("a1.1").done("a1.1", "rude")
    scene.add(AnswerRejected(agent_id="a1", turn_id="a1.1", reason="too rude"), "a1.1")
    scene.start("a2.1", "evaluate", 1).done("a2.1", "???")
    scene.add(BallotSpoiled(agent_id="a2", turn_id="a2.1", problem="no label"), "a2.1")
    scene.start("a3.1")
    scene.add(ModelRetried(attempt=1, delay_s=2, kind="rate_limit", message="429"), "a3.1")
    instead = {"attempt": 2, "delay_s": 0, "kind": "server", "message": "503", "fallback": "spare"}
    scene.add(ModelRetried.model_validate(instead), "a3.1")
    scene.add(TurnFailed(kind="auth", message="401"), "a3.1")
    error = ErrorInfo(agent_id="a3", turn_id="a3.1", kind="auth", message="401")
    run = export_of(scene.finish(status="failed", message="nobody", errors=(error,)).records)

    assert [(r.what, r.agent_id, r.reason, r.text) for r in run.refusals] == [
        ("answer", "a1", "too rude", "rude"),
        ("ballot", "a2", "no label", "???"),
    ]
    assert [turn.outcome for turn in run.turns] == ["rejected", "spoiled", "failed"]
    wait, other = run.turns[2].waits
    assert (wait.end_s - wait.start_s, wait.attempt, wait.kind) == (2, 1, "rate_limit")
    assert (wait.fallback, other.fallback) == (None, "spare")
    for told in (as_markdown(run), as_html(run)):
        assert " called its model again after 2.0 s (attempt 1 failed, " in told
        assert " asked its fallback spare instead (attempt 2 failed, server): 503" in told
    (failure,) = run.failures
    assert (failure.agent_id, failure.kind) == ("a3", "auth")
    assert "API key" in failure.advice
    assert (run.status, run.winner, run.dissent) == ("failed", None, ())


def test_calls_of_tools_have_their_result_and_who_judged_them() -> None:
    scene = Scene(1).start("a1.1")
    call = ToolCall(call_id="c", name="shell", arguments={"line": "rm"})
    scene.add(ToolCallStarted(call=call), "a1.1")
    judged = ToolCallJudged(
        call_id="c", action="edit", by="guard", reason="no", arguments={"line": "ls"}
    )
    scene.add(judged, "a1.1")
    scene.add(ToolCallFinished(result=ToolResult(call_id="c", name="shell", content="a b")), "a1.1")
    scene.add(ToolCallStarted(call=ToolCall(call_id="d", name="x", malformed="{")), "a1.1")
    one, other = export_of(scene.records).turns[0].tools

    assert (one.arguments, one.content, one.judged, one.judged_by) == (
        {"line": "ls"},
        "a b",
        "edit",
        "guard",
    )
    assert (other.arguments, other.end_s, other.is_ballot) == ({"malformed": "{"}, None, False)


def test_a_tool_that_the_provider_ran_is_told_as_its_own() -> None:
    scene = Scene(1).start("a1.1")
    scene.add(HostedToolCall(name="web_search", call_id="ws", arguments={"query": "tea"}), "a1.1")
    run = export_of(scene.records)
    (tool,) = run.turns[0].tools

    assert (tool.name, tool.arguments, tool.is_hosted) == ("web_search", {"query": "tea"}, True)
    assert (tool.end_s, tool.is_ballot) == (tool.start_s, False)
    assert "a1 called web_search at 1.5 s, run by the provider" in Page(as_html(run)).text


def test_a_run_that_was_broken_off_is_told_as_far_as_it_came() -> None:
    whole = split_run().records
    for length in range(len(whole)):
        run = export_of(whole[:length])
        assert run.status == "unfinished"
        assert run.answer is None
    last = export_of(whole[:-2])
    assert [vote.voter for vote in last.votes] == ["a1", "a2"]
    assert [a.standing for a in last.answers] == ["standing", "replaced", "standing"]
    begun = export_of(whole[:3])
    assert [turn.outcome for turn in begun.turns] == ["unfinished"]


def resumed_run(pause_s: float) -> list[Record]:
    """The process ends while both answer; a day later, say, both start anew."""
    scene = Scene(2).start("a1.1").start("a2.1")
    broken = len(scene.records)
    scene.add(RunResumed(bridge_version="0")).start("a1.1").answer("a1.1", "one")
    return [
        one.model_copy(update={"at": one.at + (pause_s if number >= broken else 0)})
        for number, one in enumerate(scene.records)
    ]


def test_a_resumed_run_tells_its_break_and_what_was_begun_anew() -> None:
    run = export_of(resumed_run(86_400))
    assert [(one.start_s, one.end_s) for one in run.breaks] == [(2.0, 86_402.5)]
    assert [(turn.turn_id, turn.outcome) for turn in run.turns] == [
        ("a1.1", "stopped"),
        ("a2.1", "stopped"),
        ("a1.1", "answered"),
    ]
    page = as_html(run)
    assert "broken off, and resumed 1440 min" in page
    assert 'x="55.556%"' in page  # the break takes no room
    assert "was broken off at 2.0 s" in as_markdown(run)


def test_a_cancelled_run_keeps_its_answers() -> None:
    records = split_run().records[:-2]
    scene = Scene(2)
    scene.records[:] = records
    run = export_of(scene.finish(status="cancelled", message="the run was cancelled").records)
    assert [a.standing for a in run.answers] == ["standing", "replaced", "standing"]
    assert (run.winner, run.votes, len(run.rounds[-1].votes)) == (None, (), 2)


def priced(*prices: float | None) -> RunExport:
    scene = Scene(1)
    scene.start("a1.1")
    for price in prices:
        usage = Usage(input_tokens=10, calls=1)
        scene.add(ModelCallFinished(model="some-model", usage=usage, cost_usd=price), "a1.1")
    return export_of(scene.records)


@pytest.mark.parametrize(
    ("prices", "cost"),
    [
        ((0.1, 0.2), Cost(usd=0.3)),
        ((0.0, 0.0), Cost(usd=0.0)),
        ((None, 0.2), Cost(usd=0.2, unpriced_calls=1, unpriced=("some-model",))),
        ((None, None), Cost(usd=None, unpriced_calls=2, unpriced=("some-model",))),
    ],
)
def test_cost_is_that_of_all_calls_as_they_were_recorded(
    prices: tuple[float | None, ...], cost: Cost
) -> None:
    run = priced(*prices)
    assert run.cost == run.agents[0].cost == run.turns[0].cost == cost
    assert [call.cost_usd for call in run.turns[0].calls] == [*prices]


def test_a_real_run_survives_the_round_trip_through_json() -> None:
    records = real_run(
        {"answers": ["one"], "votes": ["agent2"]}, {"answers": ["Two."], "votes": ["agent2"]}
    )
    run = export_of(records)
    text = run.model_dump_json()
    assert RunExport.model_validate_json(text) == run
    found: dict[str, Any] = json.loads(text)
    assert (found["v"], found["status"], found["answer"]) == (1, "answered", "Two.")
    assert all(tool["is_ballot"] for turn in found["turns"] for tool in turn["tools"])


def team(strategy: str) -> RunExport:
    """A run of a configuration that comes along."""
    records: list[Record] = []
    config = Path(__file__).parents[2] / "configs" / "basic" / f"{strategy}.yaml"
    run_config(config, "Why?", trust=True, keep=False, on_record=records.append)
    return export_of(records)


@pytest.mark.parametrize("strategy", ["sequential", "map-reduce", "group"])
def test_answers_that_nobody_votes_for_are_steps(strategy: str) -> None:
    run = team(strategy)
    *steps, last = run.answers
    assert [one.standing for one in steps] == ["step"] * len(steps)
    assert last.standing == "winner"
    assert None not in [one.at_s for one in run.answers]
    assert (run.votes, run.without_vote) == ((), {})
    assert "unfinished" not in [turn.outcome for turn in run.turns]
    said = f"{last.authors[0]} gave the answer."
    assert said in as_markdown(run)
    assert said in as_html(run)


def test_who_has_no_vote_is_not_missing() -> None:
    run = team("debate")
    assert [vote.voter for vote in run.votes] == ["judge"]
    assert run.without_vote == {}


def test_a_chair_s_choice_is_told() -> None:
    chosen = [turn.said for turn in team("group").turns if turn.outcome == "chose"]
    assert chosen
    assert {text.partition(":")[0] for text in chosen} <= {"teacher", "engineer", "the end"}
    assert "rounds of votes" not in as_markdown(team("group"))


def test_equal_answers_have_all_their_authors() -> None:
    run = export_of(real_run({"answers": ["same"]}, {"answers": ["same"]}))
    assert [one.authors for one in run.answers] == [("a1", "a2")]
    assert run.votes == ()
