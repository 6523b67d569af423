"""What is asked of an agent, and what it can say to that."""

from __future__ import annotations

import hashlib
from typing import Literal

from massgen_bridge.agent import AnswerRef, Capabilities, ToolDefinition
from massgen_bridge.events import BallotWay
from massgen_bridge.messages import Frozen, JsonValue, MediaPart, Message

__all__ = [
    "BALLOT",
    "END",
    "IMPROVE",
    "RANKING",
    "VOTE_TOOL",
    "Abstention",
    "BallotChoice",
    "Cast",
    "Choice",
    "Draft",
    "Improvement",
    "NextSpeaker",
    "Paper",
    "Promise",
    "RankingCast",
    "Spoiled",
    "VoteCast",
    "mark_of",
    "way_for",
]

BallotChoice = Literal["auto", "tools", "schema", "text"]
VOTE_TOOL = "vote"
BALLOT = "Ballot"
RANKING = "ranking"
IMPROVE = "improve"
END = "end"


class Paper(Frozen):
    """A ballot paper: what one agent may choose from in one turn.

    That is one of the answers in `choices` or, where there are `speakers`, one of their labels;
    then `may_end` allows to end the conversation, too. `ranks` asks for all choices in order.
    """

    way: BallotWay
    choices: tuple[AnswerRef, ...] = ()
    may_improve: bool = False
    mark: str
    speakers: tuple[str, ...] = ()
    may_end: bool = False
    ranks: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """What can be voted for, in the order shown."""
        if self.speakers:
            return (*self.speakers, *([END] if self.may_end else []))
        return tuple(choice.label for choice in self.choices)


class Draft(Frozen):
    """What a turn asks of its agent; `paper` is None where no vote is wanted."""

    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...] = ()
    output_schema: dict[str, JsonValue] | None = None
    paper: Paper | None = None


class VoteCast(Frozen):
    """A valid vote."""

    choice: AnswerRef
    reason: str


class RankingCast(Frozen):
    """A valid ranking: all that was shown, the best one first."""

    ranking: tuple[AnswerRef, ...]
    reason: str


class NextSpeaker(Frozen):
    """A valid choice of who speaks next; None ends the conversation."""

    label: str | None
    reason: str


class Improvement(Frozen):
    """An answer, or a better one; `media` belong to it."""

    text: str
    media: tuple[MediaPart, ...] = ()


class Abstention(Frozen):
    """The wish to give neither vote nor answer."""

    reason: str


class Promise(Frozen):
    """The wish to write a better answer in one more turn."""


class Spoiled(Frozen):
    """Neither vote nor answer; `problem` tells the agent what to mend."""

    problem: str


Choice = VoteCast | RankingCast | NextSpeaker
"""What a ballot can say, where it is valid."""

Cast = Choice | Improvement | Promise | Spoiled | Abstention


def way_for(capabilities: Capabilities, choice: BallotChoice) -> BallotWay:
    """The way in which an agent votes: as configured, else the surest that it can do."""
    if choice != "auto":
        return choice
    if capabilities.tools:
        return "tools"
    return "schema" if capabilities.structured else "text"


def mark_of(secret: str, turn_id: str) -> str:
    """The turn's mark: 8 hex digits that no author of an answer can know."""
    return hashlib.sha256(f"{secret}\n{turn_id}".encode()).hexdigest()[:8]
