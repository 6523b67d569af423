"""How an evaluation shows how far it is."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from massgen_bridge.cli._eval_progress import EvalProgress
from massgen_bridge.config import open_config
from massgen_bridge.evaluation import Evaluator, Graded, Opening, Question, Results, contestants_of
from massgen_bridge.evaluation.graders import ExactGrader
from massgen_bridge.plugins import PluginHost

OPENING = Opening(
    evaluation_id="1", bridge_version="0", config_digest="c", dataset="d", dataset_digest="d"
)


def evaluator() -> Evaluator:
    host = PluginHost()
    agents = [{"id": "ada", "backend": {"type": "scripted"}}]
    questions = [Question(id=n, question="?", expected="x", grader=ExactGrader()) for n in "abc"]
    return Evaluator(
        contestants_of(open_config({"version": 1, "agents": agents}, host), host),
        questions,
        repeats=1,
        results=Results(Path("nowhere"), OPENING),
    )


def graded(question: str, agent: str | None, answer: str | None, message: str = "") -> Graded:
    return Graded(
        question=question,
        repeat=1,
        agent=agent,
        run_id="r",
        status="answered",
        answer=answer,
        correct=answer == "x",
        message=message,
        calls=1,
        input_tokens=0,
        output_tokens=0,
        cost_usd=None,
        unpriced_calls=0,
        duration_s=2.0,
    )


def test_in_a_terminal_one_line_is_written_anew_and_failures_stay() -> None:
    out, now = StringIO(), iter([0.0, 10.0, 20.0])
    before = [graded("a", "ada", "x")]
    with EvalProgress(out, 70, evaluator().tasks, before, lambda: next(now)) as progress:
        progress.tell(graded("a", None, "y"))
        progress.tell(graded("b", "ada", None, "auth: no\x1b[2J key"))
    shown = [one.strip() for one in out.getvalue().replace("\n", "\r").split("\r") if one.strip()]
    assert shown == [
        "1 of 6  ada 1/1  THE TEAM 0/0",
        "2 of 6  ada 1/1  THE TEAM 0/1  about 40.0 s left",
        "b: ada: no answer: auth: no key (2.0 s)",
        "3 of 6  ada 1/2  THE TEAM 0/1  about 30.0 s left",
    ]
    assert out.getvalue().endswith("\r")  # nothing of the line is left
    assert all(len(one) < 70 for one in shown)


def test_elsewhere_each_answer_is_a_line() -> None:
    out = StringIO()
    with EvalProgress(out, None, evaluator().tasks, [], lambda: 0.0) as progress:
        progress.tell(graded("a", "ada", "x"))
        progress.tell(graded("a", None, "y"))
    assert out.getvalue() == "[1/6] a: ada: right (2.0 s)\n[2/6] a: THE TEAM: wrong (2.0 s)\n"
