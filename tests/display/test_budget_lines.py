"""What people are told of budgets, in every display."""

from __future__ import annotations

from display.scenes import Scene, drawn
from display.test_plain import lines_of

from massgen_bridge.display.summary import render_summary
from massgen_bridge.events import (
    AnswerInfo,
    BudgetReached,
    ErrorInfo,
    TurnFailed,
    TurnLost,
    VoteInfo,
)
from massgen_bridge.export import as_html, as_markdown, export_of

RUN = BudgetReached(budget="tokens", limit=40, used=87)
OWN = BudgetReached(agent_id="a2", budget="model_calls", limit=1, used=1)


def refused(scene: Scene, reached: BudgetReached) -> Scene:
    """The second agent's vote is refused."""
    scene.start("a2.2", "evaluate", 1).add(reached)
    who = {"agent_id": "a2", "turn_id": "a2.2"}
    scene.add(TurnFailed(kind="limit", message=reached.message), "a2.2")
    return scene.add(TurnLost(**who, kind="limit", message=reached.message), "a2.2")


def played(reached: BudgetReached) -> Scene:
    scene = Scene().start("a1.1").answer("a1.1", "one").start("a2.1").answer("a2.1", "two")
    scene.start("a1.2", "evaluate", 1).vote("a1.2", "agent1", "so")
    refused(scene, reached)
    of_run = reached.agent_id is None
    return scene.finish(
        status="best_so_far" if of_run else "answered",
        budget=reached.budget if of_run else None,
        message=reached.message if of_run else None,
        answer="one",
        votes=(VoteInfo(voter="a1", author="a1", label="agent1", version=1),),
        answers=(AnswerInfo(label="agent1", version=1, authors=("a1",), text="one", votes=1),),
        errors=(ErrorInfo(agent_id="a2", turn_id="a2.2", kind="limit", message=reached.message),),
    )


def test_lines_tell_it_once_and_blame_no_agent() -> None:
    lines = "\n".join(lines_of(played(RUN).records))

    told = "the run has used its budget of 40 tokens (87 tokens used)"
    assert f"budget: {told}; no further model call begins" in lines
    assert "a2 (agent2): stopped, it is out of budget" in lines
    assert "failed" not in lines


def test_lines_tell_of_an_agents_budget_by_its_name() -> None:
    lines = "\n".join(lines_of(played(OWN).records))

    assert "a2 (agent2): a2 has used its budget of 1 model call" in lines
    assert "failed" not in lines


def test_a_summary_says_which_budget_ended_the_run() -> None:
    text = render_summary(played(RUN).records)

    told = "the run has used its budget of 40 tokens (87 tokens used)"
    assert f"(best so far: {told})" in text
    assert "a2 (agent2), scripted m: out of budget" in text
    assert "failed" not in text
    assert "what to do" not in text


def test_a_summary_says_who_had_no_budget_left() -> None:
    text = render_summary(played(OWN).records)

    assert "out of budget: a2 has used its budget of 1 model call\n" in text
    assert "failed" not in text


def test_a_panel_says_why_an_agent_is_out() -> None:
    scene = refused(Scene().start("a2.1").answer("a2.1", "two"), OWN)

    text = "\n".join(drawn(scene.view, 100, 24))
    assert "out of budget" in text
    assert "a2 has used its budget of 1 model call" in text


def test_an_export_holds_the_budgets_that_were_used_up() -> None:
    for reached in (RUN, OWN):
        export = export_of(played(reached).records)
        (spent,) = export.budgets
        assert (spent.agent_id, spent.budget) == (reached.agent_id, reached.budget)
        assert (spent.limit, spent.used) == (reached.limit, reached.used)
        assert export.failures == ()
        assert export.without_vote == {"a2": reached.message}
        assert f"Budget: {reached.message}." in as_markdown(export)
        assert f"Budget: {reached.message}." in as_html(export)
