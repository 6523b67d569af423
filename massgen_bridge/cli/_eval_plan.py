"""What `eval --dry-run` finds out: how many runs, for how many calls, at what cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from massgen_bridge.cli._plan import usual_course
from massgen_bridge.display.words import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.evaluation import Task

__all__ = ["EvalPlan", "eval_plan", "eval_plan_text"]


class EvalPlan(NamedTuple):
    """What an evaluation still takes: a rough guess, but for the number of runs.

    Attributes:
        runs: Runs of the team and of agents alone.
        model_calls: Model calls, if all goes as usual.
        tokens: Tokens in and out.
        usd: Dollars of the models whose price is known.
        free: Whether nobody charges for any of the models.
        unknown_models: Models whose price is not known.
    """

    runs: int
    model_calls: int
    tokens: int
    usd: float
    free: bool
    unknown_models: list[str]


def eval_plan(tasks: Iterable[Task]) -> EvalPlan:
    """What some tasks take; nothing is connected for it."""
    courses = [usual_course(task.contestant.prepared, task.question.asked) for task in tasks]
    return EvalPlan(
        runs=len(courses),
        model_calls=sum(one.calls for one in courses),
        tokens=round(sum(one.tokens for one in courses)),
        usd=sum(one.usd for one in courses),
        free=all(one.is_free for one in courses),
        unknown_models=sorted({model for one in courses for model in one.unpriced}),
    )


def eval_plan_text(plan: EvalPlan) -> str:
    """The plan in a line."""
    parts = [count(plan.runs, "run"), f"about {count(plan.model_calls, 'model call')}"]
    if plan.tokens:
        parts.append(f"about {count(plan.tokens, 'token')}")
    if plan.usd:
        parts.append(f"about ${plan.usd:.2g}")
    elif plan.free:
        parts.append("free")
    if plan.unknown_models:
        parts.append(f"prices not known for {', '.join(plan.unknown_models)}")
    return f"Would take {', '.join(parts)}."
