"""The vote: who voted for what and why, and what the minority saw differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.agent import AnswerRef
from massgen_bridge.display.text import one_line
from massgen_bridge.display.words import count, listing
from massgen_bridge.export._changes import changes
from massgen_bridge.export._markup import Html, el, join, scrolling
from massgen_bridge.export._prose import prose
from massgen_bridge.export._words import answer_name, authors, by_answer, name, tie, voter_of
from massgen_bridge.export.model import VoteCast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge.events import Dissent
    from massgen_bridge.export.model import GivenAnswer, Round, RunExport

__all__ = ["changed", "dissent", "lapsed", "vote"]

_MOST_COLUMNS = 12
_LEAST_SHARED = 0.2


def vote(run: RunExport) -> Html | None:
    """The vote that counted: a matrix, and the reasons by answer."""
    if not run.votes:
        return None
    camps = by_answer(run.votes)
    standing = [a for a in run.answers if a.standing in {"winner", "standing"}]
    last = {ref for vote in run.votes for ref in vote.ranking}
    if last:
        standing = [a for a in standing if AnswerRef(label=a.label, version=a.version) in last]
    if len(standing) > _MOST_COLUMNS:
        standing = [a for a in standing if (a.label, a.version) in camps]
    broken = tie(run)
    return join(
        (
            el("p", broken) if broken else None,
            _matrix(run, standing),
            el("div", *(_camp(run, votes) for votes in camps.values()), class_="camps"),
        )
    )


def _matrix(run: RunExport, columns: Sequence[GivenAnswer]) -> Html:
    heads = [
        el(
            "th",
            el("span", answer_name(run, one), class_="turned" if len(columns) > 6 else None),  # noqa: PLR2004 - more need more room
            scope="col",
            class_="won" if one.standing == "winner" else None,
        )
        for one in columns
    ]
    cast = {vote.voter: vote for vote in run.votes}
    there = {*cast, *run.without_vote}
    voters = [agent.seat.agent_id for agent in run.agents if agent.seat.agent_id in there]
    voters += [voter for voter in cast if voter not in voters]
    rows = [_row(run, voter, cast.get(voter), columns) for voter in voters]
    totals = [
        el("td", str(one.votes), class_="won" if one.standing == "winner" else None)
        for one in columns
    ]
    table = el(
        "table",
        el("thead", el("tr", el("th", "Voter", scope="col"), *heads)),
        el("tbody", *rows),
        el("tfoot", el("tr", el("th", "First" if run.stages else "Votes", scope="row"), *totals)),
        class_="matrix",
    )
    legend = "Each row is a voter, each column an answer; ◉ is a vote for one's own."
    if run.stages:
        legend = "Each row is a voter, each column an answer of the run-off, with its place."
    return join((el("p", legend, class_="note"), scrolling(table, "Votes")))


def _row(run: RunExport, voter: str, cast: VoteCast | None, columns: Sequence[GivenAnswer]) -> Html:
    head = el("th", name(voter) if cast is None else voter_of(cast), scope="row")
    if cast is None:
        why = one_line(run.without_vote.get(voter, ""))
        text = f"no vote: {why}" if why else "no vote"
        return el("tr", head, el("td", text, colspan=len(columns) or None, class_="none"))
    cells = []
    for one in columns:
        won = "won" if one.standing == "winner" else None
        if cast.ranking:
            cells.append(_place(one, cast, won))
            continue
        if (one.label, one.version) != (cast.label, cast.version):
            cells.append(el("td", class_=won))
            continue
        own = voter in one.authors
        mark = el("span", "◉" if own else "●", aria_hidden="true")
        words = "voted for this, its own answer" if own else "voted for this"
        cells.append(el("td", mark, el("span", words, class_="hidden"), class_=won, title=words))
    return el("tr", head, *cells)


def _place(one: GivenAnswer, cast: VoteCast, won: str | None) -> Html:
    """On which place of a ranking an answer stands."""
    ref = AnswerRef(label=one.label, version=one.version)
    if ref not in cast.ranking:
        return el("td", class_=won)
    place = cast.ranking.index(ref) + 1
    own = ", its own answer" if cast.voter in one.authors else ""
    return el("td", str(place), class_=won, title=f"place {place}{own}")


def _camp(run: RunExport, votes: Sequence[VoteCast]) -> Html:
    first = votes[0]
    won = run.winner is not None and (first.label, first.version) == (
        run.winner.label,
        run.winner.version,
    )
    return el(
        "section",
        el(
            "h3",
            f"For the answer of {answer_name(run, first)}",
            el("small", count(len(votes), "vote")),
        ),
        el("ul", *(_reason(vote) for vote in votes), class_="reasons"),
        class_="camp won" if won else "camp",
    )


def _reason(vote: VoteCast) -> Html:
    own = vote.voter in vote.authors
    who = el("cite", name(vote.voter), " (own answer)" if own else None)
    if not one_line(vote.reason):
        return el("li", el("q", "no reason given", class_="none"), who)
    return el("li", el("q", vote.reason, dir="auto"), who)


def lapsed(run: RunExport) -> Html | None:
    """Votes of earlier rounds, which a better answer made void."""
    earlier = [one for one in run.rounds if any(not vote.counted for vote in one.votes)]
    if not earlier:
        return None
    return join(_lapsed_round(run, one) for one in earlier)


def _lapsed_round(run: RunExport, one: Round) -> Html:
    void = [vote for vote in one.votes if not vote.counted]
    why = "a better answer came" if one.improved else "they did not count"
    camps = (_camp(run, votes) for votes in by_answer(void).values())
    return el(
        "details",
        el("summary", f"Round {one.number}: {count(len(void), 'vote')} lapsed, since {why}"),
        el("div", *camps, class_="camps"),
    )


# --- dissent --------------------------------------------------------------------------------------


def dissent(run: RunExport) -> Html | None:
    """What the minority held, and how the answer that it preferred differs from the winner's."""
    if run.winner is None or not run.votes:
        return None
    if not run.dissent:
        return el("p", f"Nobody dissented: all {count(len(run.votes), 'vote')} are for one answer.")
    return join(_minority(run, one, run.winner) for one in run.dissent)


def _minority(run: RunExport, one: Dissent, winner: GivenAnswer) -> Html:
    voters = listing(name(vote.voter) for vote in one.votes)
    whose = f"the answer of {answer_name(run, _cast(one))}"
    if {vote.voter for vote in one.votes} <= set(one.authors):
        whose = "its own answer" if len(one.votes) == 1 else "their own answer"
    reasons = [
        el(
            "li",
            el("q", vote.reason, dir="auto") if one_line(vote.reason) else "no reason given",
            el(
                "cite",
                name(vote.voter),
                ", against its own answer" if vote.voter in winner.authors else None,
            ),
        )
        for vote in one.votes
    ]
    return el(
        "section",
        el("h3", f"{voters} preferred {whose}"),
        el("ul", *reasons, class_="reasons"),
        _preferred(one, winner),
        class_="camp against",
    )


def _preferred(one: Dissent, winner: GivenAnswer) -> Html | None:
    """How that answer differs from the winner's; where hardly anything is the same, all of it."""
    title = f"What sets it apart from the answer of {authors(winner.authors, winner.label)}"
    apart = changed(winner.text, one.text, title)
    if apart is not None or not one.text:
        return apart
    return el("details", el("summary", "Read that answer"), prose(one.text))


def _cast(one: Dissent) -> VoteCast:
    return VoteCast(voter="", label=one.label, version=one.version, authors=one.authors)


def changed(old: str, new: str, title: str) -> Html | None:
    """What was taken out of a text and put into it; None where hardly anything is the same."""
    if not old or not new:
        return None
    found = changes(old, new)
    same = sum(len(one.text) for one in found or () if one.kind == "same")
    if found is None or same < _LEAST_SHARED * max(len(old), len(new)):
        return None
    tags = {"same": "span", "gone": "del", "new": "ins"}
    pieces = [el(tags[one.kind], one.text) for one in found]
    return el(
        "details",
        el("summary", title),
        el("div", *pieces, class_="changes", dir="auto"),
    )
