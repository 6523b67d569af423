"""The page: one file of HTML that loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import listing
from massgen_bridge.export._answers import answers
from massgen_bridge.export._markup import Html, el, join
from massgen_bridge.export._pictures import Album
from massgen_bridge.export._prose import prose
from massgen_bridge.export._stages import stages
from massgen_bridge.export._tables import facts, money, tools, troubles, turns
from massgen_bridge.export._teams import teams
from massgen_bridge.export._timeline import timeline
from massgen_bridge.export._votes import dissent, lapsed, vote
from massgen_bridge.export._words import authors, before, dissent_title, figures, name, verdict

if TYPE_CHECKING:
    from massgen_bridge.export.model import RunExport

__all__ = ["as_html"]

_TITLE = 80
_HEADING = 240


def as_html(run: RunExport) -> str:
    """A run as one page: no script, no font, nothing from anywhere else.

    All text of agents is escaped, and the page's own policy lets a browser apply the style and show
    the pictures that stand in it and nothing more, whatever an answer says. The pictures of the
    question and the answers are 20 MB at most; words stand for others.
    """
    album = Album()
    opening, answer = _opening(run, album), _answer(run, album)  # the first to have pictures
    sections = _sections(run, album)
    style, policy = _style(has_pictures=album.has_pictures)
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", clip(one_line(run.question), _TITLE) or f"Run {run.run_id}"),
        Html(f"<style>{style}</style>"),
    )
    contents = el(
        "nav",
        el("ul", *(el("li", el("a", title, href=f"#{key}")) for key, title, _ in sections)),
        aria_label="On this page",
    )
    body = el(
        "body",
        el("a", "Skip to the answer", href="#answer", class_="skip"),
        opening,
        contents,
        el("main", answer, *(_section(key, title, part) for key, title, part in sections)),
        el("footer", facts(run), el("p", "This page runs no script and loads nothing.")),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


@cache
def _style(*, has_pictures: bool) -> tuple[str, str]:
    """The style and the policy that allows it alone, and pictures where the page has some."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    pictures = "; img-src data:" if has_pictures else ""
    return style, (
        f"default-src 'none'; style-src 'sha256-{digest}'{pictures}; base-uri 'none';"
        " form-action 'none'"
    )


def _opening(run: RunExport, album: Album) -> Html:
    heading = clip(one_line(run.question), _HEADING) or f"Run {run.run_id}"
    is_whole = heading == run.question.strip()
    whole = el("details", el("summary", "The whole question"), el("pre", run.question, dir="auto"))
    counted = [el("div", el("dt", words), el("dd", number)) for number, words in figures(run)]
    return el(
        "header",
        el("p", f"{_team(run)} on one question", class_="kicker"),
        el("h1", heading, dir="auto"),
        None if is_whole or not run.question else whole,
        *(album.entry(one) for one in run.attachments if one.picture is not None),
        _earlier(run),
        el("p", verdict(run), class_=f"verdict {run.status}"),
        el("dl", *counted, class_="counted"),
    )


def _earlier(run: RunExport) -> Html | None:
    """The conversation that the question goes on from."""
    if not run.earlier:
        return None
    told = (
        (
            el("pre", turn.question, dir="auto"),
            el("p", f"With {listing([one.words for one in turn.attachments])}.")
            if turn.attachments
            else None,
            el("blockquote", el("pre", turn.answer, class_="prose", dir="auto")),
        )
        for turn in run.earlier
    )
    return el("details", el("summary", before(run)), *(part for parts in told for part in parts))


def _team(run: RunExport) -> str:
    names = [name(agent.seat.agent_id) for agent in run.agents]
    most = 6
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return listing(names) if names else "No agents"


def _answer(run: RunExport, album: Album) -> Html:
    winner = run.winner
    if winner is None:
        title, text = "No answer", el("p", verdict(run))
    else:
        title = f"The answer, by {authors(winner.authors, winner.label)}"
        text = join((prose(winner.text), *(album.entry(one) for one in winner.attachments)))
    return el("section", el("h2", title), text, id="answer", class_="hero")


def _sections(run: RunExport, album: Album) -> list[tuple[str, str, Html]]:
    """Each section with something in it: its anchor, its title, what it shows."""
    ballots, earlier = vote(run), lapsed(run)
    given = [
        ("course", "How it went", join((timeline(run), turns(run)))),
        ("stages", "The stages of the vote", stages(run)),
        ("vote", "The vote", join((ballots, earlier)) if ballots or earlier else None),
        ("dissent", dissent_title(run), dissent(run)),
        ("answers", "All answers", answers(run, album)),
        ("teams", "What teams did", teams(run)),
        ("cost", "What it cost", money(run)),
        ("tools", "Tools", tools(run)),
        ("troubles", "What did not go well", troubles(run)),
    ]
    return [(key, title, part) for key, title, part in given if part is not None]


def _section(key: str, title: str, part: Html) -> Html:
    return el("section", el("h2", title), part, id=key)
