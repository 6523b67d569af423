"""From graded answers to what they show: a pure function, and the form in which it is printed."""

from __future__ import annotations

from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Literal, NamedTuple

from massgen_bridge.evaluation.results import Cell
from massgen_bridge.evaluation.statistics import (
    Verdict,
    accuracy_interval,
    difference_interval,
    judge,
    one_sided_p,
    questions_needed,
)
from massgen_bridge.messages import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_bridge.evaluation.dataset import Question
    from massgen_bridge.evaluation.evaluator import Task
    from massgen_bridge.evaluation.results import Graded, Opening

__all__ = ["Comparison", "Report", "Standing", "TagCount", "Unanswered", "make_report"]


class Standing(Frozen):
    """How one contestant did.

    Attributes:
        agent: The agent that answered alone; None for the team.
        answers: How many answers count: one for each question and repeat.
        right: How many of them are right.
        unanswered: How many runs gave no answer; they count as wrong.
        accuracy: The share of right answers.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        calls: Model calls of all runs together.
        input_tokens: Tokens of all prompts.
        output_tokens: Tokens of all answers, reasoning included.
        cost_usd: Dollars of the calls whose price is known; None where no call's is.
        unpriced_calls: Calls that used tokens and whose price is not known.
        median_s: Median wall time of a run in seconds.
    """

    agent: str | None
    answers: int
    right: int
    unanswered: int
    accuracy: float
    low: float
    high: float
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    unpriced_calls: int
    median_s: float


class Comparison(Frozen):
    """The team against one agent, on the same questions.

    Attributes:
        agent: The agent.
        difference: The team's accuracy less the agent's.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        only_team: Answers that were right from the team alone.
        only_agent: Answers that were right from the agent alone.
        p: Of the exact test, two-sided.
        questions_needed: About how many questions would tell a difference of this size; None
            where there is none.
    """

    agent: str
    difference: float
    low: float
    high: float
    only_team: int
    only_agent: int
    p: float
    questions_needed: int | None


class Unanswered(Frozen):
    """Why somebody gave no answer.

    Attributes:
        agent: The agent that was asked alone; None for the team.
        reason: The last one of several.
    """

    agent: str | None
    reason: str


class TagCount(Frozen):
    """How the questions of a tag were answered.

    Attributes:
        tag: The tag.
        answers: How many answers there are from each contestant.
        right: How many of them are right, in the order of `standings`.
    """

    tag: str
    answers: int
    right: tuple[int, ...]


class Report(Frozen):
    """What an evaluation has shown so far.

    Attributes:
        format: Of this report; another number where a reader of the old one would be misled.
        complete: Whether everything that was asked for is there.
        evaluation_id: Its id.
        config_file: The configuration, as it was named when the evaluation began.
        dataset: The data set, as it was named then.
        results: The file with all answers.
        questions: How many questions count: those that everybody has answered as often.
        questions_asked_for: How many there are to be.
        repeats: Answers to each question.
        strategy: How the team comes to an answer.
        standings: The agents, then the team.
        comparisons: The team against each agent.
        verdict: Whether the team is better than the best single agent; None where there is
            nothing to compare.
        any_agent_right: Answers that at least one agent alone had right; None without agents.
        tags: The questions of each tag.
        failures: Why there was no answer, for each contestant that gave none to some.
    """

    type: Literal["report"] = "report"
    format: Literal[1] = 1
    complete: bool
    evaluation_id: str
    config_file: str | None
    dataset: str
    results: str
    strategy: str
    questions: int
    questions_asked_for: int
    repeats: int
    standings: tuple[Standing, ...]
    comparisons: tuple[Comparison, ...] = ()
    verdict: Verdict | None = None
    any_agent_right: int | None = None
    tags: tuple[TagCount, ...] = ()
    failures: tuple[Unanswered, ...] = ()


class _Field(NamedTuple):
    """The answers that count: every contestant's to the same questions, as often."""

    questions: tuple[Question, ...]
    repeats: int
    graded: Mapping[Cell, Graded]

    def of(self, agent: str | None) -> list[Graded]:
        return [
            self.graded[Cell(question.key, repeat, agent)]
            for question in self.questions
            for repeat in range(1, self.repeats + 1)
        ]

    def right(self, agent: str | None) -> list[int]:
        """For each question, how many answers are right."""
        flags = [one.correct for one in self.of(agent)]
        return [sum(flags[at : at + self.repeats]) for at in range(0, len(flags), self.repeats)]


def make_report(
    opening: Opening,
    tasks: Sequence[Task],
    graded: Mapping[Cell, Graded],
    *,
    strategy: str,
    results: str,
) -> Report:
    """What the answers that are there show.

    Args:
        opening: What is evaluated.
        tasks: Everything that was asked for.
        graded: The answers.
        strategy: The team's.
        results: The file that holds the answers.
    """
    found = _field(tasks, graded)
    # In the order of the configuration, the team last; tasks begin with each of them in turn.
    named = {task.contestant.agent for task in tasks}
    order = {task.contestant.agent: None for task in tasks if task.contestant.agent is not None}
    everybody = (*order, *((None,) if None in named else ()))
    comparisons, verdict = _compared(found, everybody)
    return Report(
        complete=all(task.cell in graded for task in tasks),
        evaluation_id=opening.evaluation_id,
        config_file=opening.config_file,
        dataset=opening.dataset,
        results=results,
        strategy=strategy,
        questions=len(found.questions),
        questions_asked_for=len({task.question.key for task in tasks}),
        repeats=found.repeats,
        standings=tuple(_standing(found, one) for one in everybody) if found.questions else (),
        comparisons=comparisons,
        verdict=verdict,
        any_agent_right=_any_right(found, [one for one in everybody if one is not None]),
        tags=tuple(_tags(found, everybody)),
        failures=tuple(_failures(tasks, graded, everybody)),
    )


def _field(tasks: Sequence[Task], graded: Mapping[Cell, Graded]) -> _Field:
    """Of an evaluation that is not complete: the repeats that everybody has of a question."""
    most = max(task.repeat for task in tasks)
    missing = {(task.question.key, task.repeat) for task in tasks if task.cell not in graded}
    questions = {task.question.key: task.question for task in tasks}
    # A whole round of all questions is worth more than another answer to a few of them.
    for repeats in range(most, 0, -1):
        whole = tuple(
            question
            for key, question in questions.items()
            if not any((key, repeat) in missing for repeat in range(1, repeats + 1))
        )
        if len(whole) == len(questions) or (repeats == 1 and whole):
            return _Field(whole, repeats, graded)
    return _Field((), 1, graded)


def _standing(found: _Field, agent: str | None) -> Standing:
    answers, right = found.of(agent), found.right(agent)
    interval = accuracy_interval(right, found.repeats)
    known = [Decimal(str(one.cost_usd)) for one in answers if one.cost_usd is not None]
    return Standing(
        agent=agent,
        answers=len(answers),
        right=sum(right),
        unanswered=sum(one.answer is None for one in answers),
        accuracy=sum(right) / len(answers),
        low=interval.low,
        high=interval.high,
        calls=sum(one.calls for one in answers),
        input_tokens=sum(one.input_tokens for one in answers),
        output_tokens=sum(one.output_tokens for one in answers),
        cost_usd=float(sum(known, Decimal())) if known else None,
        unpriced_calls=sum(one.unpriced_calls for one in answers),
        median_s=round(median(one.duration_s for one in answers), 3),
    )


def _compared(
    found: _Field, everybody: Sequence[str | None]
) -> tuple[tuple[Comparison, ...], Verdict | None]:
    agents = [one for one in everybody if one is not None]
    if None not in everybody or not agents or not found.questions:
        return (), None
    team = found.right(None)
    against = {
        agent: [ours - theirs for ours, theirs in zip(team, found.right(agent), strict=True)]
        for agent in agents
    }
    comparisons = tuple(_comparison(found, agent, one) for agent, one in against.items())
    return comparisons, judge(list(against.values()))


def _comparison(found: _Field, agent: str, differences: Sequence[int]) -> Comparison:
    interval = difference_interval(differences, found.repeats)
    pairs = list(zip(found.of(None), found.of(agent), strict=True))
    tail = min(one_sided_p(differences), one_sided_p([-one for one in differences]))
    return Comparison(
        agent=agent,
        difference=sum(differences) / len(pairs),
        low=interval.low,
        high=interval.high,
        only_team=sum(ours.correct and not theirs.correct for ours, theirs in pairs),
        only_agent=sum(theirs.correct and not ours.correct for ours, theirs in pairs),
        p=min(1.0, 2 * tail),
        questions_needed=questions_needed(differences, found.repeats),
    )


def _any_right(found: _Field, agents: Sequence[str]) -> int | None:
    if not agents or not found.questions:
        return None
    each = [[one.correct for one in found.of(agent)] for agent in agents]
    return sum(any(flags) for flags in zip(*each, strict=True))


def _tags(found: _Field, everybody: Sequence[str | None]) -> Iterable[TagCount]:
    for tag in dict.fromkeys(tag for question in found.questions for tag in question.tags):
        of_tag = found._replace(questions=tuple(q for q in found.questions if tag in q.tags))
        yield TagCount(
            tag=tag,
            answers=len(of_tag.questions) * found.repeats,
            right=tuple(sum(of_tag.right(one)) for one in everybody),
        )


def _failures(
    tasks: Sequence[Task], graded: Mapping[Cell, Graded], everybody: Sequence[str | None]
) -> Iterable[Unanswered]:
    for agent in everybody:
        own = [graded[t.cell] for t in tasks if t.contestant.agent == agent and t.cell in graded]
        reasons = [one.message for one in own if one.answer is None and one.message]
        if reasons:
            yield Unanswered(agent=agent, reason=reasons[-1])
