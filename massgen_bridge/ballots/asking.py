"""Puts a command of a strategy into messages, tools and a schema for the agent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from massgen_bridge.agent import AnswerRef, ToolDefinition
from massgen_bridge.ballots.earlier import Earlier
from massgen_bridge.ballots.papers import BALLOT, END, IMPROVE, RANKING, VOTE_TOOL, Draft, Paper
from massgen_bridge.ballots.showing import Follow, in_parts, show_changes, show_outcome, show_task
from massgen_bridge.events import BallotWay, Purpose
from massgen_bridge.messages import JsonValue, Message, Part, TextPart
from massgen_bridge.strategy import Speaker, StartTurn

__all__ = ["SPEAKER", "compose"]

SPEAKER = "Who speaks next."
"""What a schema says of itself that asks for a speaker."""

_REASON_LENGTH = 120
_CHOICES: frozenset[Purpose] = frozenset({"evaluate", "judge", "rank", "chair", "break_tie"})
_NOTHING = Earlier()
_ALONE = "Reply with that answer alone, complete in itself."


def compose(
    command: StartTurn,
    question: Message,
    *,
    system: str,
    way: BallotWay,
    mark: str,
    earlier: Earlier = _NOTHING,
    follow: Follow | None = None,
) -> Draft:
    """Put a command of the strategy into messages, tools and a schema for the agent.

    Args:
        command: What the strategy wants.
        question: The task.
        system: The agent's own system message, empty without one.
        way: How it votes.
        mark: The mark of this turn.
        earlier: The conversation before the question.
        follow: The turn that this one goes on from.
    """
    purpose = _meant(command)
    paper = _paper(purpose, command, way, mark) if purpose in _CHOICES else None
    wish = _wish(purpose, command) if paper is None else _ask_choice(purpose, paper, command)
    wish = (wish + _problem(command)).lstrip("\n")
    if follow is not None and follow.messages:
        asked = in_parts(*_loose(show_changes(follow, command, mark)), wish)
        messages = (*follow.before, Message(role="user", parts=asked))
    else:
        matter = _matter(purpose, command, question, mark, follow)
        if wish:
            # A question that stands alone reaches the agent just as it is.
            gap = "\n\n" if matter is question.parts else ""
            matter = (*matter, TextPart(text=gap + wish))
        messages = _messages(system, earlier, mark, matter)
    if paper is None:
        return Draft(messages=messages)
    match way:
        case "tools":
            return Draft(messages=messages, tools=(_vote_tool(paper),), paper=paper)
        case "schema":
            return Draft(messages=messages, output_schema=_schema(paper), paper=paper)
        case "text":
            return Draft(messages=messages, paper=paper)
    assert_never(way)


def _loose(parts: Iterable[Part]) -> Iterable[str | Part]:
    """Parts of text as their texts."""
    return (part.text if isinstance(part, TextPart) else part for part in parts)


def _matter(
    purpose: Purpose, command: StartTurn, question: Message, mark: str, follow: Follow | None
) -> tuple[Part, ...]:
    """What the turn is about: the task and the answers to it."""
    if purpose == "present":
        return show_outcome(command, question, mark)
    if command.shown or purpose in _CHOICES:
        return show_task(purpose, command, question, mark, follow)
    return question.parts


def _meant(command: StartTurn) -> Purpose:
    """The purpose of the turn or, in a repair, of the turn that it repairs."""
    if command.purpose != "repair":
        return command.purpose
    return command.repairs or ("evaluate" if command.shown else "answer")


def _paper(purpose: Purpose, command: StartTurn, way: BallotWay, mark: str) -> Paper:
    if purpose == "chair":
        speakers = tuple(speaker.label for speaker in command.speakers)
        return Paper(way=way, speakers=speakers, may_end=command.may_end, mark=mark)
    return Paper(
        way=way,
        choices=tuple(AnswerRef(label=s.label, version=s.version) for s in command.shown),
        may_improve=command.may_improve,
        mark=mark,
        ranks=purpose == "rank",
    )


def _messages(
    system: str, earlier: Earlier, mark: str, parts: tuple[Part, ...]
) -> tuple[Message, ...]:
    told = (Message(role="system", parts=(TextPart(text=system),)),) if system else ()
    asked = Message(role="user", parts=(*earlier.within(mark), *parts))
    return (*told, *earlier.before, asked)


# --- for a text -----------------------------------------------------------------------------------


def _wish(purpose: Purpose, command: StartTurn) -> str:
    """What the agent is to write; empty where that is an answer to the whole task."""
    match purpose:
        case "continue":
            step = command.instruction or "Write a better answer to the task, building on that."
            return f"Your step: {step} Reply with what comes of it alone, complete in itself."
        case "debate":
            own = any(answer.label == command.label for answer in command.shown)
            yours = f"The position of {command.label} is your own. " if own else ""
            return (
                f"{yours}Weigh the others, then write the best answer to the task that you can "
                f"stand for now, whether that defends, corrects or changes it. {_ALONE}"
            )
        case "reduce":
            return f"Write one answer to the task out of all of these. {_ALONE}"
        case "speak":
            return _wish_to_speak(command)
        case "conclude":
            return f"Nobody speaks any more. Write the answer to the task that follows. {_ALONE}"
        case "present":
            return (
                "Carry out what is left to do for the task, then present the final answer. "
                f"{_ALONE}"
            )
        case "answer":
            return f"Your part of this: {command.instruction}" if command.instruction else ""
        case _:
            return f"Write a better answer to the task than those above. {_ALONE}"


def _wish_to_speak(command: StartTurn) -> str:
    own = next((s for s in command.speakers if s.label == command.label), None)
    you = _named(own) if own is not None else str(command.label)
    others = ", ".join(_named(s) for s in command.speakers if s is not own)
    around = f" with {others}" if others else ""
    end = (
        " If nothing is left to add, end it with a line that says only: " + command.stop_phrase
        if command.stop_phrase is not None
        else ""
    )
    return (
        f"You are {you} and talk about the task{around}. "
        f"Reply with your next contribution alone.{end}"
    )


def _named(speaker: Speaker) -> str:
    return f"{speaker.label} ({speaker.role})" if speaker.role else speaker.label


def _problem(command: StartTurn) -> str:
    if command.problem is None:
        return ""
    return f"\n\nYour last reply could not be used: {command.problem}. Please do it again."


# --- for a vote -----------------------------------------------------------------------------------


def _ask_choice(purpose: Purpose, paper: Paper, command: StartTurn) -> str:
    if paper.speakers:
        return _ask_speaker(paper, command)
    return _ask_ranking(paper) if paper.ranks else _ask_vote(purpose, paper)


def _ask_vote(purpose: Purpose, paper: Paper) -> str:
    labels = ", ".join(paper.labels)
    better = ""
    if paper.may_improve:
        better = {
            "tools": " Or, if you can give a clearly better answer, write that answer alone.",
            "schema": f' Or give "{IMPROVE}" as "vote" if you can write a clearly better answer.',
            "text": " Or, if you can write a clearly better answer, reply with that answer between "
            f"a line ```answer-{paper.mark} and a last line ```.",
        }[paper.way]
    which = "of them" if purpose == "break_tie" else "answer"
    question = f"Which {which} solves the task best? Choose one of: {labels}."
    return f"{question} {_how(paper)}{better}"


def _ask_ranking(paper: Paper) -> str:
    labels = ", ".join(paper.labels)
    wish = f"Put these answers in order, the one that solves the task best first: {labels}."
    return f"{wish} {_how(paper)}"


def _ask_speaker(paper: Paper, command: StartTurn) -> str:
    speakers = ", ".join(_named(speaker) for speaker in command.speakers)
    end = f", or {END} if nothing is left to add" if paper.may_end else ""
    question = f"You chair this conversation. Who speaks next? Choose one of: {speakers}{end}."
    return f"{question} {_how(paper)}"


def _how(paper: Paper) -> str:
    """How a choice is given."""
    match paper.way:
        case "tools":
            given = f"the {RANKING} of all labels" if paper.ranks else "its label"
            return f"Call the tool `{VOTE_TOOL}` with {given} and a short reason."
        case "schema":
            given = f'all labels in order as "{RANKING}"' if paper.ranks else 'its label as "vote"'
            return f'Give {given} and a short "reason".'
        case "text":
            line, own = (
                f"vote: {paper.labels[0]}",
                "the label that you choose in place of the first one",
            )
            if paper.ranks:
                line, own = (
                    f"{RANKING}: {', '.join(paper.labels)}",
                    "each label once, in your order",
                )
            return (
                f"Reply with one block of exactly this form:\n\n```ballot-{paper.mark}\n"
                f"{line}\nreason: one short sentence\n```\n\nwith {own}."
            )
    assert_never(paper.way)


def _vote_tool(paper: Paper) -> ToolDefinition:
    what = "for who speaks next" if paper.speakers else "for the answer that solves the task best"
    if paper.ranks:
        what = "by putting all answers in order, the best one first"
    given = RANKING if paper.ranks else "label"
    return ToolDefinition(
        name=VOTE_TOOL,
        description=f"Vote {what}. Call it once.",
        input_schema={
            "type": "object",
            "properties": {
                given: _all_of(paper.labels) if paper.ranks else _one_of(paper.labels),
                "reason": {"type": "string", "description": "Why, in one sentence."},
            },
            "required": [given, "reason"],
            "additionalProperties": False,
        },
        ends_turn=True,
    )


def _schema(paper: Paper) -> dict[str, JsonValue]:
    asked = RANKING if paper.ranks else "vote"
    what = (
        _all_of(paper.labels)
        if paper.ranks
        else _one_of([*paper.labels, *([IMPROVE] if paper.may_improve else [])])
    )
    return {
        "type": "object",
        "title": BALLOT,
        **({"description": SPEAKER} if paper.speakers else {}),
        "properties": {asked: what, "reason": {"type": "string", "maxLength": _REASON_LENGTH}},
        "required": [asked, "reason"],
        "additionalProperties": False,
    }


def _one_of(choices: Iterable[str]) -> JsonValue:
    return {"type": "string", "enum": list(choices)}


def _all_of(choices: Sequence[str]) -> JsonValue:
    # That each stands there once cannot be said in what strict providers accept.
    number = len(choices)
    return {
        "type": "array",
        "description": "All labels, the best answer first, each once.",
        "items": _one_of(choices),
        "minItems": number,
        "maxItems": number,
    }
