"""What a turn said: a vote, an answer, or neither."""

from __future__ import annotations

import json
import re
from typing import assert_never

from massgen_bridge.agent import TurnResult
from massgen_bridge.ballots.papers import (
    END,
    IMPROVE,
    RANKING,
    VOTE_TOOL,
    Abstention,
    Cast,
    Choice,
    Improvement,
    NextSpeaker,
    Paper,
    Promise,
    RankingCast,
    Spoiled,
    VoteCast,
)
from massgen_bridge.messages import MediaPart, ToolCall, ToolResult, unbroken

__all__ = ["read", "take_vote"]

_LONGEST_SHOWN = 80
_BETWEEN = re.compile(r"[\s,>]+")


def take_vote(paper: Paper, call: ToolCall) -> tuple[Choice | None, ToolResult]:
    """Check a call of the tool `vote`: the vote where it is valid, and what to tell the model."""
    chosen = call.arguments.get(RANKING if paper.ranks else "label")
    cast = _checked(paper, chosen, call.arguments.get("reason"))
    if call.malformed is not None:
        cast = Spoiled(problem="the arguments are no JSON object")
    match cast:
        case Spoiled():
            text = f"Not counted: {cast.problem}."
        case VoteCast():
            text = f"Counted for {cast.choice.label}."
        case RankingCast():
            text = f"Counted, {cast.ranking[0].label} first."
        case NextSpeaker():
            text = f"Counted for {cast.label or END}."
        case _:
            assert_never(cast)
    failed = isinstance(cast, Spoiled)
    result = ToolResult(
        call_id=call.call_id, name=call.name, content=text, is_error=failed, ends_turn=not failed
    )
    return (None if isinstance(cast, Spoiled) else cast), result


def read(paper: Paper | None, result: TurnResult, cast: Choice | None = None) -> Cast:
    """What a finished turn says; `cast` is the vote taken by tool during the turn, if any."""
    if cast is not None:
        return cast
    if result.abstained is not None:
        return Abstention(reason=unbroken(result.abstained))
    if paper is None:
        return _answer(result.text, result)
    match paper.way:
        case "tools":
            if paper.may_improve:
                return _answer(result.text, result)
            valid = "ranking" if paper.ranks else "label"
            return Spoiled(problem=f"the tool `{VOTE_TOOL}` was not called with a valid {valid}")
        case "schema":
            return _read_schema(paper, result)
        case "text":
            return _read_text(paper, result)
    assert_never(paper.way)


def _answer(text: str, result: TurnResult) -> Cast:
    """An answer: a text, or media that speak for themselves."""
    media = tuple(part for part in result.message.parts if isinstance(part, MediaPart))
    if not text.strip() and not media:
        return Spoiled(problem="it was empty")
    return Improvement(text=unbroken(text), media=media)


def _checked(paper: Paper, chosen: object, reason: object) -> Choice | Spoiled:
    why = unbroken(reason.strip()) if isinstance(reason, str) else ""
    if paper.ranks:
        return _ranked(paper, chosen, why)
    if not isinstance(chosen, str) or chosen not in paper.labels:
        return Spoiled(problem=f"{_shown(chosen)} is none of {', '.join(paper.labels)}")
    if paper.speakers:
        return NextSpeaker(label=chosen if chosen in paper.speakers else None, reason=why)
    return VoteCast(choice=next(c for c in paper.choices if c.label == chosen), reason=why)


def _ranked(paper: Paper, chosen: object, why: str) -> RankingCast | Spoiled:
    """All labels, each once; anything less says nothing of those that are left out."""
    if not isinstance(chosen, list):
        return Spoiled(problem=f"{_shown(chosen)} is no list of {', '.join(paper.labels)}")
    known = {choice.label: choice for choice in paper.choices}
    ranking: list[str] = []
    for label in chosen:
        if not isinstance(label, str) or label not in known:
            return Spoiled(problem=f"{_shown(label)} is none of {', '.join(paper.labels)}")
        if label in ranking:
            return Spoiled(problem=f"{label} stands in the ranking twice")
        ranking.append(label)
    missing = [label for label in known if label not in ranking]
    if missing:
        return Spoiled(problem=f"the ranking lacks {', '.join(missing)}")
    return RankingCast(ranking=tuple(known[label] for label in ranking), reason=why)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _read_schema(paper: Paper, result: TurnResult) -> Cast:
    value = result.structured
    if value is None:
        try:
            value = json.loads(result.text)
        except (ValueError, RecursionError):
            return Spoiled(problem="it is not the JSON object that was asked for")
    if not isinstance(value, dict):
        return Spoiled(problem="it is not the JSON object that was asked for")
    if value.get("vote") == IMPROVE and paper.may_improve:
        return Promise()
    chosen = value.get(RANKING if paper.ranks else "vote")
    return _checked(paper, chosen, value.get("reason"))


def _read_text(paper: Paper, result: TurnResult) -> Cast:
    text = result.text
    fence = rf"(?m)^[ \t]*```{{kind}}-{paper.mark}[ \t]*\r?\n"
    ballots = list(re.finditer(fence.format(kind="ballot") + r"([\s\S]*?)^[ \t]*```", text))
    answers = list(re.finditer(fence.format(kind="answer"), text))
    if len(ballots) + len(answers) != 1:
        return Spoiled(problem=f"exactly one block marked {paper.mark} was expected")
    if answers:
        if not paper.may_improve:
            return Spoiled(problem="only a ballot is possible now")
        # The last fence ends it: an answer may itself hold fenced code.
        body = text[answers[0].end() :]
        return _answer(re.sub(r"\r?\n[ \t]*```\s*\Z", "", body), result)
    return _read_fields(paper, ballots[0].group(1))


def _read_fields(paper: Paper, body: str) -> Cast:
    """The lines of a ballot; a reason may quote another ballot, so the outermost vote counts."""
    fields = [
        (key.strip().lower(), value.strip())
        for key, colon, value in (line.partition(":") for line in body.split("\n"))
        if colon
    ]
    wanted = RANKING if paper.ranks else "vote"
    votes = [value for key, value in fields if key == wanted]
    reason = next((value for key, value in fields if key == "reason"), None)
    vote_first = fields[:1] and fields[0][0] == wanted
    vote = None if not votes else votes[0] if vote_first else votes[-1]
    if not paper.ranks or vote is None:
        return _checked(paper, vote, reason)
    return _checked(paper, [label for label in _BETWEEN.split(vote) if label], reason)
