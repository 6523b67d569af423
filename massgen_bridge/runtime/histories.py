"""What agents were asked and said in turns that showed them answers, from the records of a run.

A later turn can go on from such a turn. All of it stands in the records, so a run that is resumed
puts the same together again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from massgen_bridge.agent import AnswerRef
from massgen_bridge.ballots import Follow
from massgen_bridge.events import (
    ModelCallStarted,
    ModelRetried,
    TextDelta,
    TurnDone,
    TurnStarted,
    Voted,
)

if TYPE_CHECKING:
    from massgen_bridge.events import BallotWay, Record
    from massgen_bridge.messages import Message

__all__ = ["Histories"]

# What a later turn of the same agent may go on from; the prompts of other turns need not be kept.
_PURPOSES = frozenset({"evaluate", "improve", "repair"})


@dataclass(kw_only=True)
class _Told:
    """One turn: what it asked, and what it heard so far."""

    messages: tuple[Message, ...]
    shown: tuple[AnswerRef, ...]
    ballot: BallotWay | None
    follows: str | None
    pieces: list[str] = field(default_factory=list)
    before_call: int = 0
    finished: bool = False
    text: str = ""
    vote: str = ""

    @property
    def said(self) -> str:
        """The reply and the vote; of a turn that was stopped, what it had said until then."""
        text = self.text if self.finished else "".join(self.pieces)
        # A ballot that is text or a schema says the vote itself.
        vote = self.vote if self.ballot == "tools" or not text.strip() else ""
        return "\n\n".join(part.strip() for part in (text, vote) if part.strip())


class Histories:
    """Takes the records of a run, in order, and knows what was asked and said."""

    def __init__(self) -> None:
        self._turns: dict[str, _Told] = {}

    def add(self, record: Record) -> None:
        """Take in the next record."""
        event = record.event
        if isinstance(event, TurnStarted):
            if event.turn.shown and event.purpose in _PURPOSES:
                self._turns[event.turn.turn_id] = _begun(event)
            return
        told = self._turns.get(record.turn_id or "")
        if told is None:
            return
        match event:
            case TextDelta(text=text, source=None):
                told.pieces.append(text)
            case ModelCallStarted():
                told.before_call = len(told.pieces)
            case ModelRetried():
                del told.pieces[told.before_call :]
            case TurnDone(result=result):
                told.finished, told.text = True, result.text
                told.pieces.clear()
            case Voted(choice=choice, reason=reason):
                told.vote = f"I vote for {choice.label}: {reason}"
            case _:
                pass

    def of(self, turn_id: str) -> Follow | None:
        """The turn, to be gone on from; the one before, where nothing was said in it.

        Returns:
            None where the agent has said nothing yet.
        """
        told = self._turns.get(turn_id)
        while told is not None and not told.said:
            told = self._turns.get(told.follows or "")
        if told is None:
            return None
        return Follow(
            messages=told.messages, said=told.said, finished=told.finished, shown=told.shown
        )


def _begun(event: TurnStarted) -> _Told:
    return _Told(
        messages=event.turn.messages,
        shown=tuple(AnswerRef(label=s.label, version=s.version) for s in event.turn.shown),
        ballot=event.ballot,
        follows=event.follows,
    )
