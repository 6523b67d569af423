"""Teams of one that say what they were shown: what the tests of sessions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge import Team

if TYPE_CHECKING:
    from massgen_bridge import Session, Turn


class Echo:
    """Answers with its number; keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[Turn] = []

    def __call__(self, turn: Turn) -> str:
        if turn.question.startswith("Fail"):
            raise ValueError("no")
        self.seen.append(turn)
        return f"answer to {turn.question}"

    def texts(self) -> list[list[str]]:
        return [[message.text for message in turn.messages] for turn in self.seen]


def alone(agent: Any, **more: Any) -> Team:
    return Team(strategy="single").add("ada", agent, **more)


def said(session: Session) -> list[tuple[str, str | None]]:
    return [(turn.question.text, turn.answer) for turn in session.turns]
