"""The report of an evaluation for people: as text, and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.agent import Usage
from massgen_bridge.cli._tables import table
from massgen_bridge.display.markdown import markdown_table, markdown_text
from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import count, dollars, seconds, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.evaluation import Comparison, Report, Standing

__all__ = ["eval_markdown", "eval_text", "name_of", "verdict_of"]

_LONG = 200
_WHO = ("", "RIGHT", "ACCURACY", "95 % INTERVAL", "NO ANSWER")
_SPENT = ("CALLS", "TOKENS", "COST", "MEDIAN TIME")
_AGAINST = ("TEAM AGAINST", "DIFFERENCE", "95 % INTERVAL", "ONLY TEAM RIGHT", "ONLY AGENT RIGHT")
_P = "P"


def name_of(agent: str | None) -> str:
    """What a contestant is called: an agent by its id, the team in a way that no id can have."""
    return "THE TEAM" if agent is None else one_line(agent)


def eval_text(report: Report) -> str:
    """The report as plain text."""
    parts = [_title(report) + "\n"]
    if report.standings:
        parts.append(table((*_WHO, *_SPENT), _standings(report)))
    if report.comparisons:
        parts.append(table((*_AGAINST, _P), _comparisons(report)))
    parts.append("".join(f"{line}\n" for line in _said(report)))
    if len(report.tags) > 1:
        head = ("RIGHT BY TAG", "ANSWERS", *(name_of(one.agent) for one in report.standings))
        parts.append(table(head, _tags(report)))
    parts.append(f"All answers: {report.results}\n")
    return "\n".join(parts)


def eval_markdown(report: Report) -> str:
    """The report as Markdown, to be published."""
    parts = [f"# {markdown_text(_title(report))}", *(markdown_text(line) for line in _said(report))]
    if report.standings:
        head = tuple(one.capitalize() if one else "Who" for one in (*_WHO, *_SPENT))
        parts.append(markdown_table(head, _standings(report), numbers=True))
    if report.comparisons:
        head = tuple(one.capitalize() for one in (*_AGAINST, _P))
        parts.append(markdown_table(head, _comparisons(report), numbers=True))
    if len(report.tags) > 1:
        head = ("Right by tag", "Answers", *(name_of(one.agent) for one in report.standings))
        parts.append(markdown_table(head, _tags(report), numbers=True))
    return "\n\n".join(parts) + "\n"


def verdict_of(report: Report) -> str | None:
    """In a sentence whether the team beats its best agent; None where nothing is compared."""
    asked = count(report.questions, "question")
    match report.verdict:
        case "better":
            return f"Better: on {asked} the team beats every single agent, so also the best one."
        case "worse":
            level = 0.05 / len(report.comparisons)
            beaten = [
                one_line(one.agent)
                for one in report.comparisons
                if one.difference < 0 and one.p <= level
            ]
            return f"Worse: on {asked} the team is beaten by {', '.join(beaten)} alone."
        case "undecided":
            return (
                f"Cannot be told: {asked} do not show whether the team is better or worse than"
                " its best agent."
                if report.questions != 1
                else "Cannot be told from 1 question."
            )
        case None:
            return None


def _title(report: Report) -> str:
    asked = f"{count(report.questions, 'question')} of {one_line(report.dataset)}"
    if report.questions < report.questions_asked_for:
        asked = f"{report.questions} of {count(report.questions_asked_for, 'question')}"
        asked += f" of {one_line(report.dataset)}"
    times = f", {report.repeats} answers each" if report.repeats > 1 else ""
    return f"{one_line(report.config_file or 'configuration')} ({report.strategy}): {asked}{times}"


def _said(report: Report) -> Iterable[str]:
    """What the figures mean, in sentences."""
    if not report.standings:
        yield "Nothing can be compared yet: no question was answered by everybody."
    verdict = verdict_of(report)
    if verdict is not None:
        yield verdict
    if report.verdict == "undecided":
        hint = _needed(report)
        if hint:
            yield hint
    if report.any_agent_right is not None and len(report.standings) > 1 + bool(report.comparisons):
        answers = report.standings[0].answers
        yield (
            f"At least one agent alone was right on {report.any_agent_right} of {answers}: so far a"
            " perfect choice among those answers would get."
        )
    if not report.complete and report.standings:
        yield "Not complete: only questions that everybody has answered are counted."
    for one in report.failures:
        yield f"{name_of(one.agent)} gave no answer to some: {clip(one_line(one.reason), _LONG)}"


def _needed(report: Report) -> str | None:
    """How many questions would do, for the agent that is hardest to tell from the team."""
    best = max(one.accuracy for one in report.standings if one.agent is not None)
    hardest = [
        one
        for one, standing in zip(report.comparisons, report.standings, strict=False)
        if standing.accuracy == best
    ]
    needed = [one for one in hardest if one.questions_needed is not None]
    if not needed:
        return None
    one = max(needed, key=lambda one: one.questions_needed or 0)
    questions = max(one.questions_needed or 0, report.questions + 1)
    return (
        f"A difference of {_points(one.difference)} against {one_line(one.agent)} takes about"
        f" {questions:,} questions to be told."
    )


def _standings(report: Report) -> list[tuple[str, ...]]:
    return [_standing(one) for one in report.standings]


def _standing(one: Standing) -> tuple[str, ...]:
    used = Usage(input_tokens=one.input_tokens, output_tokens=one.output_tokens)
    return (
        name_of(one.agent),
        f"{one.right}/{one.answers}",
        f"{one.accuracy:.0%}",
        f"{one.low:.0%} to {one.high:.0%}",
        str(one.unanswered),
        f"{one.calls:,}",
        tokens(used),
        dollars(one.cost_usd, one.unpriced_calls),
        seconds(one.median_s),
    )


def _comparisons(report: Report) -> list[tuple[str, ...]]:
    return [_comparison(one) for one in report.comparisons]


def _comparison(one: Comparison) -> tuple[str, ...]:
    return (
        one_line(one.agent),
        _points(one.difference),
        f"{one.low * 100:+.0f} to {one.high * 100:+.0f}",
        str(one.only_team),
        str(one.only_agent),
        "<0.001" if one.p < 0.001 else f"{one.p:.3f}",  # noqa: PLR2004 - as papers print it
    )


def _points(difference: float) -> str:
    return f"{difference * 100:+.0f} points"


def _tags(report: Report) -> list[tuple[str, ...]]:
    return [
        (one_line(one.tag), str(one.answers), *(str(right) for right in one.right))
        for one in report.tags
    ]
