"""What a person at the terminal reads of a question.

Everything that others wrote stands behind a bar, wrapped so that no line of it begins at the
margin: nothing in an answer can pass for a heading or a prompt of ours.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from massgen_bridge.display.text import clean, one_line, steady
from massgen_bridge.messages import MediaPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from massgen_bridge.messages import Message
    from massgen_bridge.people import Question

__all__ = ["order_in", "question_text", "whom"]

_BAR = "  │ "
_NUMBER = re.compile(r"[0-9]+$")
_TITLES = {
    "answer": "your answer is asked for",
    "choice": "your choice is asked for",
    "order": "your order is asked for",
}


def question_text(question: Question) -> str:
    """All that is shown of a question, in lines."""
    width = shutil.get_terminal_size().columns
    return "".join(f"{line}\n" for line in _lines(question, width))


def whom(question: Question) -> str:
    """What can be typed for a choice."""
    numbers = [f"{n} {one_line(c)}" for n, c in _numbered(question.choices).items()]
    better = ["b write a better answer"] if question.may_improve else []
    return " · ".join([*numbers, *better, "a abstain"])


def order_in(typed: str, choices: Sequence[str]) -> tuple[str, ...]:
    """The choices that numbers or labels name, in the order typed; empty where one is unknown."""
    known = _numbered(choices)
    known |= {choice.lower(): choice for choice in choices}
    words = [word for word in re.split(r"[\s,>]+", typed) if word]
    found = tuple(known[word] for word in words if word in known)
    return found if len(found) == len(words) else ()


def _numbered(choices: Sequence[str]) -> dict[str, str]:
    """Choices by what is typed for them: a label's own number; what has none comes after all."""
    own = {choice: int(found[0]) for choice in choices if (found := _NUMBER.search(choice))}
    if len(set(own.values())) < len(own):
        own = {}
    last = max(own.values(), default=0)
    others = [choice for choice in choices if choice not in own]
    own |= {choice: number for number, choice in enumerate(others, start=last + 1)}
    return {str(own[choice]): choice for choice in choices}


def _lines(question: Question, width: int) -> Iterator[str]:
    rule = "─" * max(width - 1, 20)
    yield rule
    yield f"{one_line(question.agent_id)}: {_TITLES[question.kind]}"
    if question.instruction:
        yield from ("", "What you were told:", *_barred(question.instruction, width))
    for message in question.earlier:
        who = "Asked before:" if message.role == "user" else "Answered before:"
        yield from ("", who, *_barred(_readable(message), width))
    if question.task is not None:
        yield from ("", "The task:", *_barred(_readable(question.task), width))
    for answer in question.shown:
        part = f" (asked: {one_line(answer.asked)})" if answer.asked else ""
        yield from ("", f"{one_line(answer.label)}{part}:", *_barred(answer.text, width))
    yield ""
    yield from _asked(question)
    yield rule


def _asked(question: Question) -> Iterator[str]:
    if question.wish:
        yield from clean(question.wish).split("\n")
    if question.kind == "answer":
        yield ("End it with an empty line or Ctrl-D; /edit opens your editor, /abstain gives none.")
    elif question.kind == "choice":
        yield f"Type one of: {whom(question)}"
    else:
        labels = ", ".join(f"{n} {one_line(c)}" for n, c in _numbered(question.choices).items())
        yield f"Type their numbers in that order ({labels}); or a to abstain."
    if question.time_limit_s is not None:
        yield f"You have {question.time_limit_s:g} s; after that {question.default}."


def _readable(message: Message) -> str:
    media = [
        f"[{part.type} {part.name or part.url or ''}: not shown here]"
        for part in message.parts
        if isinstance(part, MediaPart)
    ]
    return "\n".join([message.text, *media])


def _barred(text: str, width: int) -> Iterator[str]:
    from rich.console import Console  # noqa: PLC0415 - Rich, only where somebody is asked

    from massgen_bridge.display.layout import wrapped  # noqa: PLC0415 - the same

    room = max(width - len(_BAR) - 1, 16)
    for line in wrapped(steady(text).strip("\n"), Console(width=room), room):
        yield f"{_BAR}{line}"
