"""A run as Markdown: what agents wrote stands between fences, so that nothing in it acts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from massgen_bridge.display.markdown import markdown_table, markdown_text
from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import count, listing, seconds
from massgen_bridge.export._markup import safe_text
from massgen_bridge.export._pictures import caption, file_name
from massgen_bridge.export._stages import STAGE_HEAD, stage_rows, stage_title
from massgen_bridge.export._teams import team_votes, title_of, with_teams
from massgen_bridge.export._words import (
    answer_name,
    authors,
    before,
    config_name,
    cost,
    dissent_title,
    figures,
    moment,
    name,
    outcome,
    retried,
    tie,
    verdict,
    voter_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.export.model import Attachment, GivenAnswer, RunExport

__all__ = ["as_markdown"]

_TITLE = 120
_SAID = 300
_TICKS = re.compile("`+")
# Names and reasons: what Markdown or HTML would act on.


def as_markdown(run: RunExport, *, folder: str | None = None) -> str:
    """A run with its answer, votes, dissent, time line and cost, as GitHub renders it.

    Args:
        run: The run.
        folder: Where its pictures are, from where the text is; without it they are only named.
    """
    parts = [
        f"# {markdown_text(clip(one_line(run.question), _TITLE)) or 'A run'}",
        f"**{markdown_text(verdict(run))}**",
        "\n".join(
            f"- {markdown_text(words)}: {markdown_text(number)}" for number, words in figures(run)
        ),
    ]
    if one_line(run.question) != run.question or len(run.question) > _TITLE:
        parts += ["## The question", _fenced(run.question)]
    parts += [_entry(one, folder) for one in run.attachments if folder and one.picture is not None]
    for number, turn in enumerate(run.earlier, 1):
        parts += [f"## {before(run)}"] if number == 1 else []
        parts += [f"{number}. Asked:", _fenced(turn.question), "Answered:", _fenced(turn.answer)]
    if run.winner is not None:
        whose = authors(run.winner.authors, run.winner.label)
        parts += [f"## The answer, by {markdown_text(whose)}", *_text_of(run.winner, folder)]
    for title, section in (
        ("The stages of the vote", _stages(run)),
        ("The vote", _vote(run)),
        (dissent_title(run), _dissent(run)),
        ("How it went", _turns(run)),
        ("All answers", _answers(run, folder)),
        ("What teams did", _teams(run)),
        ("What it cost", _money(run)),
        ("What did not go well", _troubles(run)),
        ("The run", _facts(run)),
    ):
        said = list(section)
        parts += [f"## {title}", *said] if said else []
    return "\n\n".join(parts) + "\n"


def _stages(run: RunExport) -> Iterator[str]:
    for stage in run.stages:
        yield f"### {markdown_text(stage_title(stage))}"
        yield markdown_table(STAGE_HEAD, stage_rows(run, stage))


def _vote(run: RunExport) -> Iterator[str]:
    if not run.votes:
        return
    broken = tie(run)
    if broken:
        yield markdown_text(broken)
    rows = [
        (voter_of(one), answer_name(run, one), clip(one_line(one.reason), _SAID))
        for one in run.votes
    ]
    rows += [
        (voter, "no vote", clip(one_line(why), _SAID)) for voter, why in run.without_vote.items()
    ]
    yield markdown_table(("Voter", "Ranked first" if run.stages else "Voted for", "Why"), rows)
    for one in run.rounds:
        void = [vote for vote in one.votes if not vote.counted]
        if void:
            yield f"Round {one.number}: {count(len(void), 'vote')} lapsed."


def _dissent(run: RunExport) -> Iterator[str]:
    for one in run.dissent:
        voters = listing(name(vote.voter) for vote in one.votes)
        whose = authors(one.authors, one.label)
        yield f"{markdown_text(voters)} preferred the answer of {markdown_text(whose)}:"
        yield "\n".join(
            f"- {markdown_text(name(vote.voter))}: "
            f"{markdown_text(clip(one_line(vote.reason), _SAID)) or 'no reason given'}"
            for vote in one.votes
        )


def _turns(run: RunExport) -> Iterator[str]:
    rows = [
        (
            name(turn.agent_id),
            turn.purpose,
            str(turn.round),
            seconds(turn.start_s),
            seconds(turn.end_s),
            outcome(turn),
        )
        for turn in run.turns
    ]
    if rows:
        yield markdown_table(("Agent", "Turn", "Round", "From", "To", "Outcome"), rows)


def _answers(run: RunExport, folder: str | None) -> Iterator[str]:
    for one in run.answers:
        yield f"### {markdown_text(answer_name(run, one))}"
        yield markdown_text(_about(one))
        if one.standing != "winner":
            yield from _text_of(one, folder)


def _text_of(one: GivenAnswer, folder: str | None) -> list[str]:
    """An answer, and what belongs to it."""
    return [_fenced(one.text), *(_entry(entry, folder) for entry in one.attachments)]


def _entry(one: Attachment, folder: str | None) -> str:
    if one.picture is None or folder is None:
        return f"- {markdown_text(one.words)}"
    return f"![{markdown_text(caption(one))}]({quote(f'{folder}/{file_name(one.picture)}')})"


def _about(one: GivenAnswer) -> str:
    facts = ["First answer" if one.round == 0 else f"Round {one.round}"]
    facts += [f"at {seconds(one.at_s)}"] if one.at_s is not None else []
    facts += [count(one.votes, "vote")] if one.votes else []
    standing = {"winner": "winner, see above", "step": "a step on the way"}
    facts.append(standing.get(one.standing, one.standing))
    return ", ".join(facts)


def _teams(run: RunExport) -> Iterator[str]:
    for turn, team in with_teams(run):
        yield f"{markdown_text(title_of(turn, team))}. Its run is {markdown_text(team.run_id)}."
        votes = list(team_votes(run, team))
        if votes:
            yield markdown_table(("Member", "Voted for", "Why"), votes)


def _money(run: RunExport) -> Iterator[str]:
    rows = [
        (
            name(one.seat.agent_id),
            one.seat.model or one.seat.kind,
            f"{one.calls:,}",
            f"{one.usage.input_tokens:,}",
            f"{one.usage.output_tokens:,}",
            cost(one.cost),
        )
        for one in run.agents
    ]
    usage = run.usage
    whole = (
        f"{run.calls:,}",
        f"{usage.input_tokens:,}",
        f"{usage.output_tokens:,}",
        cost(run.cost),
    )
    rows.append(("All", "", *whole))
    yield markdown_table(("Agent", "Model", "Calls", "Tokens in", "Tokens out", "Cost"), rows)


def _troubles(run: RunExport) -> Iterator[str]:
    lines = [
        f"{name(one.agent_id)} failed ({one.kind}): {clip(one_line(one.message), _SAID)}. "
        f"What to do: {one.advice}."
        for one in run.failures
    ]
    lines += [
        f"{name(one.agent_id)}: {one.what} refused: {clip(one_line(one.reason), _SAID)}"
        for one in run.refusals
    ]
    lines += [
        f"{name(turn.agent_id)} {retried(wait)}: {clip(one_line(wait.message), _SAID)}"
        for turn in run.turns
        for wait in turn.waits
    ]
    lines += [
        f"The run was broken off at {seconds(one.start_s)}"
        f" and resumed {seconds(one.end_s - one.start_s)} later."
        for one in run.breaks
    ]
    lines += [f"Budget: {one_line(one.message)}." for one in run.budgets]
    if run.deadline_s is not None:
        lines.append(f"The time limit of {seconds(run.deadline_s)} ended the run.")
    if lines:
        yield "\n".join(f"- {markdown_text(line)}" for line in lines)


def _facts(run: RunExport) -> Iterator[str]:
    known = {
        "Run": run.run_id,
        "Started": moment(run.started_at),
        "Strategy": run.strategy,
        "Configuration": config_name(run),
        "Attachments": ", ".join(one.words for one in run.attachments),
        "Made with": f"massgen-bridge {run.bridge_version}" if run.bridge_version else None,
    }
    yield "\n".join(
        f"- {key}: {markdown_text(one_line(value))}" for key, value in known.items() if value
    )


def _fenced(text: str) -> str:
    shown = safe_text(text)
    longest = max((len(run) for run in _TICKS.findall(shown)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{shown.rstrip()}\n{ticks}"
