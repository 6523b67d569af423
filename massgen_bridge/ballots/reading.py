"""What a turn said: a vote, an answer, or neither."""

from __future__ import annotations

import json
import re
from typing import assert_never

from massgen_bridge.agent import TurnResult
from massgen_bridge.ballots.papers import (
    END,
    IMPROVE,
    VOTE_TOOL,
    Abstention,
    Cast,
    Improvement,
    NextSpeaker,
    Paper,
    Promise,
    Spoiled,
    VoteCast,
)
from massgen_bridge.messages import ToolCall, ToolResult

__all__ = ["read", "take_vote"]

_LONGEST_SHOWN = 80


def take_vote(paper: Paper, call: ToolCall) -> tuple[VoteCast | NextSpeaker | None, ToolResult]:
    """Check a call of the tool `vote`: the vote where it is valid, and what to tell the model."""
    cast = _checked(paper, call.arguments.get("label"), call.arguments.get("reason"))
    if call.malformed is not None:
        cast = Spoiled(problem="the arguments are no JSON object")
    match cast:
        case Spoiled():
            text = f"Not counted: {cast.problem}."
        case VoteCast():
            text = f"Counted for {cast.choice.label}."
        case NextSpeaker():
            text = f"Counted for {cast.label or END}."
        case _:
            assert_never(cast)
    failed = isinstance(cast, Spoiled)
    result = ToolResult(
        call_id=call.call_id, name=call.name, content=text, is_error=failed, ends_turn=not failed
    )
    return (None if isinstance(cast, Spoiled) else cast), result


def read(
    paper: Paper | None, result: TurnResult, cast: VoteCast | NextSpeaker | None = None
) -> Cast:
    """What a finished turn says; `cast` is the vote taken by tool during the turn, if any."""
    if cast is not None:
        return cast
    if result.abstained is not None:
        return Abstention(reason=_whole(result.abstained))
    if paper is None:
        return _answer(result.text)
    match paper.way:
        case "tools":
            if paper.may_improve:
                return _answer(result.text)
            return Spoiled(problem=f"the tool `{VOTE_TOOL}` was not called with a valid label")
        case "schema":
            return _read_schema(paper, result)
        case "text":
            return _read_text(paper, result.text)
    assert_never(paper.way)


def _answer(text: str) -> Cast:
    return Improvement(text=_whole(text)) if text.strip() else Spoiled(problem="it was empty")


def _whole(text: str) -> str:
    """The text as a journal can keep it, so that a replay sees what the run saw."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _checked(paper: Paper, label: object, reason: object) -> VoteCast | NextSpeaker | Spoiled:
    why = _whole(reason.strip()) if isinstance(reason, str) else ""
    if not isinstance(label, str) or label not in paper.labels:
        shown = repr(label)
        shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
        return Spoiled(problem=f"{shown} is none of {', '.join(paper.labels)}")
    if paper.speakers:
        return NextSpeaker(label=label if label in paper.speakers else None, reason=why)
    return VoteCast(choice=next(c for c in paper.choices if c.label == label), reason=why)


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
    return _checked(paper, value.get("vote"), value.get("reason"))


def _read_text(paper: Paper, text: str) -> Cast:
    fence = rf"(?m)^[ \t]*```{{kind}}-{paper.mark}[ \t]*\r?\n"
    ballots = list(re.finditer(fence.format(kind="ballot") + r"([\s\S]*?)^[ \t]*```", text))
    answers = list(re.finditer(fence.format(kind="answer"), text))
    if len(ballots) + len(answers) != 1:
        return Spoiled(problem=f"exactly one block marked {paper.mark} was expected")
    if answers:
        if not paper.may_improve:
            return Spoiled(problem="only a vote is possible now")
        # The last fence ends it: an answer may itself hold fenced code.
        body = text[answers[0].end() :]
        return _answer(re.sub(r"\r?\n[ \t]*```\s*\Z", "", body))
    return _read_fields(paper, ballots[0].group(1))


def _read_fields(paper: Paper, body: str) -> Cast:
    """The lines of a ballot; a reason may quote another ballot, so the outermost vote counts."""
    fields = [
        (key.strip().lower(), value.strip())
        for key, colon, value in (line.partition(":") for line in body.split("\n"))
        if colon
    ]
    votes = [value for key, value in fields if key == "vote"]
    reason = next((value for key, value in fields if key == "reason"), None)
    vote_first = fields[:1] and fields[0][0] == "vote"
    vote = None if not votes else votes[0] if vote_first else votes[-1]
    return _checked(paper, vote, reason)
