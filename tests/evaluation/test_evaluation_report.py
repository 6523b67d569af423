"""What answers show: which of them count, what they cost, and where nothing is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from massgen_bridge.config import open_config
from massgen_bridge.evaluation import (
    Cell,
    Evaluator,
    Graded,
    Opening,
    Question,
    Report,
    Results,
    contestants_of,
    make_report,
)
from massgen_bridge.evaluation.graders import NumberGrader
from massgen_bridge.plugins import PluginHost

OPENING = Opening(
    evaluation_id="1", bridge_version="0", config_digest="c", dataset="d", dataset_digest="d"
)


def evaluator(questions: int, repeats: int = 1) -> Evaluator:
    host = PluginHost()
    agents = [{"id": name, "backend": {"type": "scripted"}} for name in ("ada", "lin")]
    config = open_config({"version": 1, "agents": agents}, host)
    asked = [
        Question(id=f"q{n}", question="?", expected=n, grader=NumberGrader())
        for n in range(questions)
    ]
    results = Results(Path("nowhere"), OPENING)
    return Evaluator(contestants_of(config, host), asked, repeats=repeats, results=results)


def graded(cell: Cell, *, correct: bool = True, usd: float | None = None) -> Graded:
    return Graded(
        question=cell.question,
        repeat=cell.repeat,
        agent=cell.agent,
        run_id="r",
        status="answered",
        answer="1",
        correct=correct,
        calls=2,
        input_tokens=10,
        output_tokens=1,
        cost_usd=usd,
        unpriced_calls=0 if usd is not None else 2,
        duration_s=1.0,
    )


def report_on(work: Evaluator, answers: dict[Cell, Graded]) -> Report:
    return make_report(OPENING, work.tasks, answers, strategy="consensus", results="r.jsonl")


def test_nobody_is_always_asked_first() -> None:
    firsts = [task.contestant.agent for task in evaluator(3).tasks][::3]
    assert firsts == ["ada", "lin", None]


def test_only_questions_that_everybody_has_answered_count() -> None:
    work = evaluator(3)
    answers = {task.cell: graded(task.cell) for task in work.tasks}
    del answers[Cell("q1", 1, "lin")]
    report = report_on(work, answers)
    assert (report.complete, report.questions, report.questions_asked_for) == (False, 2, 3)
    assert [one.answers for one in report.standings] == [2, 2, 2]


def test_only_repeats_that_everybody_has_of_all_questions_count() -> None:
    work = evaluator(2, repeats=3)
    answers = {task.cell: graded(task.cell) for task in work.tasks}
    del answers[Cell("q1", 3, None)]
    report = report_on(work, answers)
    assert (report.complete, report.questions, report.repeats) == (False, 2, 2)


def test_without_answers_there_is_no_verdict() -> None:
    report = report_on(evaluator(2), {})
    assert (report.questions, report.standings, report.verdict) == (0, (), None)


def test_what_is_known_of_the_cost_is_told_and_what_is_not() -> None:
    work = evaluator(2)
    answers = {task.cell: graded(task.cell, usd=0.25) for task in work.tasks}
    answers[Cell("q1", 1, None)] = graded(Cell("q1", 1, None))
    ada, _, team = report_on(work, answers).standings
    assert (ada.cost_usd, ada.unpriced_calls) == (0.5, 0)
    assert (team.cost_usd, team.unpriced_calls) == (0.25, 2)


def test_repeats_are_compared_question_by_question() -> None:
    work = evaluator(2, repeats=2)
    wrong = {Cell("q0", 2, None), Cell("q1", 1, "ada"), Cell("q1", 2, "ada")}
    answers = {t.cell: graded(t.cell, correct=t.cell not in wrong) for t in work.tasks}
    report = report_on(work, answers)
    assert [one.right for one in report.standings] == [2, 4, 3]
    assert [one.difference for one in report.comparisons] == pytest.approx([0.25, -0.25])
    assert [(one.only_team, one.only_agent) for one in report.comparisons] == [(2, 1), (0, 1)]
    assert report.any_agent_right == 4
