"""The end of a run in lines: who won and why, who dissented, what failed, what it cost."""

from __future__ import annotations

from collections import Counter
from math import fsum
from typing import TYPE_CHECKING, Literal, NamedTuple

from massgen_bridge.display.state import RunView
from massgen_bridge.display.text import clean, clip, one_line
from massgen_bridge.display.words import (
    ADVICE,
    answer_words,
    cost_words,
    count,
    listing,
    made_of,
    name_of,
    names_of,
    phase_of,
    question_of,
    seconds,
    stage_words,
    tie_breaker,
    tokens,
    use_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from massgen_bridge.errors import ErrorKind
    from massgen_bridge.events import AnswerInfo, ErrorInfo, Record, RunResult, VoteInfo

__all__ = ["Line", "Tone", "outcome", "render_summary", "totals"]

Tone = Literal["plain", "head", "good", "bad", "dim"]

_QUESTION = 2000
_ANSWER = 160
_TOLD = 10  # voters on one side; the export has all of them


class Line(NamedTuple):
    """A line of a summary, not yet wrapped; `indent` counts spaces."""

    text: str
    tone: Tone = "plain"
    indent: int = 0


def render_summary(records: Iterable[Record]) -> str:
    """A finished (or broken off) run as plain text: everything, with the whole final answer."""
    view = RunView(records)
    lines = [*_opening(view), *_agents(view), *outcome(view)]
    if view.result is not None and view.result.answer is not None:
        lines += [Line(""), Line(clean(answer_words(view.result)).rstrip("\n")), Line("")]
    lines.append(totals(view))
    return "".join(f"{' ' * line.indent}{line.text}\n" for line in lines)


def outcome(view: RunView) -> Iterator[Line]:
    """Winner, votes, dissent and errors; all but the answer itself."""
    result = view.result
    if result is None:
        yield Line("This run has no end: it still goes on, or was broken off.", "bad")
        errors = tuple(a.error for a in view.agents.values() if a.error is not None)
    else:
        yield from _verdict(view, result)
        errors = result.errors
    yield from _errors(view, errors)


def totals(view: RunView) -> Line:
    """Calls, tokens, cost, time and the run's id."""
    result = view.result
    used = view.used() if result is None else result.used
    duration = view.last_at - view.started_at if result is None else result.duration_s
    parts = (
        use_words(used),
        seconds(duration),
        f"run {one_line(view.run_id)}",
    )
    return Line(" · ".join(parts), "dim")


def _opening(view: RunView) -> Iterator[Line]:
    if view.started is not None:
        yield Line(f"Question: {question_of(view.started.question, _QUESTION)}")
        config = view.started.config_file
        source = f" from {one_line(config)}" if config else ""
        yield Line(
            f"{count(len(view.agents), 'agent')}, strategy {one_line(view.started.strategy)}"
            f"{source}, massgen-bridge {one_line(view.started.bridge_version)}"
        )
        conversation = view.started.conversation
        if conversation is not None:
            name = f"Session {conversation.session}" if conversation.session else "A conversation"
            before = len(conversation.earlier) + conversation.forgotten
            yield Line(f"{name}, {count(before, 'turn')} before this one")


def _agents(view: RunView) -> Iterator[Line]:
    votes = view.votes()
    for agent in view.agents.values():
        what = made_of(agent.seat)
        facts = [phase_of(agent), count(votes[agent.id], "vote"), tokens(agent.ledger.usage)]
        facts += cost_words(agent.ledger.cost, names=False)
        facts.append(seconds(agent.elapsed_s(view.last_at)))
        yield Line(f"{name_of(view, agent.id)}, {what}: {', '.join(facts)}", indent=2)
        for (connection, model), calls in agent.stood_in.items():
            who = f"{one_line(connection)} (model {one_line(model)})"
            yield Line(f"{count(calls, 'call')} answered by the fallback {who}", indent=4)
    yield Line("")


def _verdict(view: RunView, result: RunResult) -> Iterator[Line]:
    winning = view.winning
    said = f": {one_line(result.message or result.status)}"
    if winning is None:
        told_below = any(error.message == result.message for error in result.errors)
        yield Line("No answer" if told_below else f"No answer{said}", "bad")
        return
    best = f" (best so far{said})" if result.status == "best_so_far" else ""
    for_it = [v for v in result.votes if (v.label, v.version) == (winning.label, winning.version)]
    poll = _poll(for_it, result.votes) if result.votes else ""
    yield Line(f"Winner: {names_of(view, winning.authors)}{poll}{best}", "good")
    yield from _after_the_vote(view, result)
    if len(winning.authors) > 1:
        yield Line(f"{names_of(view, winning.authors)} gave the same answer", indent=2)
    if winning.stop_reason != "end":
        yield Line(f"the answer is not whole: its model stopped ({winning.stop_reason})", "bad", 2)
    for stage in result.stages:
        yield Line(stage_words(view, stage), indent=2)
    if for_it:
        yield Line(f"for it: {_some(_voter(view, v) for v in for_it)}", indent=2)
    if result.dissent:
        for vote in for_it[:_TOLD]:
            yield Line(f"{name_of(view, vote.voter)}: {_reason(vote)}", "dim", 4)
        yield from _dissent(view, result, winning)
    yield from _without_vote(view, result)


def _after_the_vote(view: RunView, result: RunResult) -> Iterator[Line]:
    """What else made the answer what it is: a decision between equals, a presentation."""
    if result.tie_broken_by is not None:
        by = tie_breaker(view.agents, result.tie_broken_by)
        yield Line(f"tie broken by {by or name_of(view, result.tie_broken_by)}", indent=2)
    if result.presented:
        yield Line("it has presented its answer once more after the vote", indent=2)
    elif result.status == "answered" and result.message:
        yield Line(one_line(result.message), "bad", 2)


def _poll(for_it: Sequence[VoteInfo], votes: Sequence[VoteInfo]) -> str:
    """How the vote went; with the weights where votes weigh differently."""
    if votes[0].ranking:
        return f", first on {len(for_it)} of {count(len(votes), 'ballot')}"
    poll = f", {len(for_it)} of {count(len(votes), 'vote')}"
    if all(vote.weight == 1 for vote in votes):
        return poll
    mine, all_ = (fsum(vote.weight for vote in some) for some in (for_it, votes))
    return f"{poll}, by weight {mine:g} of {all_:g}"


def _voter(view: RunView, vote: VoteInfo) -> str:
    weight = "" if vote.weight == 1 else f", weight {vote.weight:g}"
    return f"{name_of(view, vote.voter)}{weight}"


def _dissent(view: RunView, result: RunResult, winning: AnswerInfo) -> Iterator[Line]:
    """Who voted for what else and why, and what that answer says."""
    for camp in result.dissent:
        for vote in camp.votes[:_TOLD]:
            own = " against its own answer" if vote.voter in winning.authors else ""
            voter, author = _voter(view, vote), name_of(view, vote.author)
            said = f"put {author} first{own}" if vote.ranking else f"voted{own} for {author}"
            yield Line(f"dissent: {voter} {said}: {_reason(vote)}", indent=2)
        if len(camp.votes) > _TOLD:
            more = [name_of(view, vote.voter) for vote in camp.votes[_TOLD:]]
            yield Line(f"dissent: likewise {_some(more)}", indent=2)
        if camp.text:
            yield Line(f"that answer: {clip(one_line(camp.text), _ANSWER)}", "dim", 4)


def _some(names: Iterable[str]) -> str:
    """Names, those of large teams not all."""
    told = list(names)
    more = len(told) - _TOLD
    return listing(told if more <= 0 else [*told[:_TOLD], f"{more} more"])


def _reason(vote: VoteInfo) -> str:
    return one_line(vote.reason) or "no reason given"


def _without_vote(view: RunView, result: RunResult) -> Iterator[Line]:
    voted = {vote.voter for vote in result.votes}
    for agent in view.agents.values() if voted else ():
        if agent.id not in voted and agent.problem is not None:
            text = f"no vote: {name_of(view, agent.id)}: {one_line(agent.problem)}"
            yield Line(text, "bad", 2)


def _errors(view: RunView, errors: Iterable[ErrorInfo]) -> Iterator[Line]:
    # The same failure in each round is told once, what a budget refused by the budget itself.
    spent = [agent for agent in view.agents.values() if agent.spent is not None]
    refused = {(agent.id, agent.spent.message) for agent in spent if agent.spent is not None}
    for agent in spent:
        if agent.spent is not None and agent.spent.agent_id is not None:
            yield Line(f"out of budget: {one_line(agent.spent.message)}", "bad")
    times = Counter(
        (e.agent_id, e.kind, one_line(e.message))
        for e in errors
        if (e.agent_id.partition("/")[0], e.message) not in refused  # or a member of a team
    )
    alike: dict[tuple[ErrorKind, str, int], list[str]] = {}
    for (agent_id, kind, message), number in times.items():
        alike.setdefault((kind, message, number), []).append(name_of(view, agent_id))
    for (kind, message, number), names in alike.items():
        each = "each " if len(names) > 1 else ""
        often = f" ({each}{number} times)" if number > 1 else ""
        yield Line(f"{_some(names)} failed{often}: {kind}: {message}", "bad")
        yield Line(f"what to do: {ADVICE[kind]}", indent=2)
