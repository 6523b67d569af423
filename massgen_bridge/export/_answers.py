"""The answers, each in full once, and what a newer version changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.display.words import count, seconds
from massgen_bridge.export._markup import Html, el, join
from massgen_bridge.export._prose import prose
from massgen_bridge.export._votes import changed
from massgen_bridge.export._words import answer_name

if TYPE_CHECKING:
    from massgen_bridge.export._pictures import Album
    from massgen_bridge.export.model import GivenAnswer, RunExport

__all__ = ["answers"]

_MOST_OPEN = 6
_LONG = 3_000
_STANDING = {
    "winner": "won",
    "standing": None,
    "replaced": "replaced by a newer version",
    "late": "given too late for the vote",
    "step": "a step on the way",
}


def answers(run: RunExport, album: Album) -> Html | None:
    """All answers but the winner's text, which the page opens with."""
    if not run.answers:
        return None
    few = len(run.answers) <= _MOST_OPEN
    return join(_answer(run, one, album, few=few) for one in run.answers)


def _answer(run: RunExport, one: GivenAnswer, album: Album, *, few: bool) -> Html:
    title = el("h3", answer_name(run, one), el("small", _facts(one)))
    differs = _since(run, one)
    if one.standing == "winner":
        there = el("p", el("a", "It stands at the head of this page.", href="#answer"))
        return el("article", title, there, differs, class_="answer won")
    more = [album.entry(entry) for entry in one.attachments]
    is_open = few and one.standing in {"standing", "step"} and len(one.text) < _LONG
    body = el("details", el("summary", "Read it"), prose(one.text), *more, open=is_open)
    return el("article", title, body, differs, class_="answer")


def _facts(one: GivenAnswer) -> str:
    given = "first answer" if one.round == 0 else f"round {one.round}"
    facts = [
        given if one.standing != "step" else None,
        f"at {seconds(one.at_s)}" if one.at_s is not None else None,
        count(one.votes, "vote") if one.votes else None,
        _STANDING[one.standing],
        f"not whole: its model stopped ({one.stop_reason})" if one.stop_reason != "end" else None,
    ]
    return " · ".join(fact for fact in facts if fact)


def _since(run: RunExport, one: GivenAnswer) -> Html | None:
    if one.before is None:
        return None
    ref = (one.before.label, one.before.version)
    old = next((a for a in run.answers if (a.label, a.version) == ref), None)
    if old is None or old.text == one.text:
        return None
    return changed(old.text, one.text, f"What changed since version {old.version}")
