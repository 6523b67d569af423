"""What a turn emits and what a run records.

A run is a sequence of `Record` values. The same records go to the journal, to the display, to
`--output jsonl`, to sinks and to `bridge_events`. Three groups of events exist:

- turn events, emitted by agents while they work;
- happenings, the only input of a strategy: durable before anything follows from them;
- run events, which frame the two.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from massgen_bridge.budget import BudgetName
from massgen_bridge.events._happenings import (
    Abstained,
    Answered,
    AnswerRejected,
    BallotSpoiled,
    BudgetReached,
    DeadlinePassed,
    Happening,
    ImprovementPromised,
    Ranked,
    SpeakerChosen,
    TieBroken,
    TurnHappening,
    TurnIdle,
    TurnLost,
    Voted,
)
from massgen_bridge.events._runs import (
    AnswerInfo,
    AnswerListed,
    Conversation,
    Dissent,
    ErrorInfo,
    Exchange,
    OuterTurn,
    RunFinished,
    RunResult,
    RunResumed,
    RunStarted,
    RunStatus,
    Seat,
    StageClosed,
    StageInfo,
    StageStanding,
    TeamRole,
    VoteInfo,
)
from massgen_bridge.events._turns import (
    BallotWay,
    HostedToolCall,
    InnerRunFinished,
    InnerRunStarted,
    LogLine,
    ModelCallFinished,
    ModelCallStarted,
    ModelRetried,
    ModelWaiting,
    PersonAsked,
    PersonReplied,
    Purpose,
    ReasoningDelta,
    TextDelta,
    ToolCallFinished,
    ToolCallJudged,
    ToolCallStarted,
    TurnCancelled,
    TurnDone,
    TurnEvent,
    TurnFailed,
    TurnStarted,
    WaitReason,
)
from massgen_bridge.events._used import AgentUse, Cost, Use
from massgen_bridge.messages import Frozen

__all__ = [
    "SCHEMA_VERSION",
    "Abstained",
    "AgentUse",
    "AnswerInfo",
    "AnswerListed",
    "AnswerRejected",
    "Answered",
    "BallotSpoiled",
    "BallotWay",
    "BudgetName",
    "BudgetReached",
    "Conversation",
    "Cost",
    "DeadlinePassed",
    "Dissent",
    "ErrorInfo",
    "Event",
    "Exchange",
    "Happening",
    "HostedToolCall",
    "ImprovementPromised",
    "InnerRunFinished",
    "InnerRunStarted",
    "LogLine",
    "ModelCallFinished",
    "ModelCallStarted",
    "ModelRetried",
    "ModelWaiting",
    "OuterTurn",
    "PersonAsked",
    "PersonReplied",
    "Purpose",
    "Ranked",
    "ReasoningDelta",
    "Record",
    "RunFinished",
    "RunResult",
    "RunResumed",
    "RunStarted",
    "RunStatus",
    "Seat",
    "SpeakerChosen",
    "StageClosed",
    "StageInfo",
    "StageStanding",
    "TeamRole",
    "TextDelta",
    "TieBroken",
    "ToolCallFinished",
    "ToolCallJudged",
    "ToolCallStarted",
    "TurnCancelled",
    "TurnDone",
    "TurnEvent",
    "TurnFailed",
    "TurnHappening",
    "TurnIdle",
    "TurnLost",
    "TurnStarted",
    "Use",
    "VoteInfo",
    "Voted",
    "WaitReason",
]

SCHEMA_VERSION: Literal[1] = 1

Event = Annotated[
    TextDelta
    | ReasoningDelta
    | ToolCallStarted
    | ToolCallFinished
    | HostedToolCall
    | ModelCallStarted
    | ModelCallFinished
    | ModelRetried
    | ModelWaiting
    | PersonAsked
    | PersonReplied
    | LogLine
    | InnerRunStarted
    | InnerRunFinished
    | TurnStarted
    | TurnDone
    | TurnFailed
    | TurnCancelled
    | ToolCallJudged
    | Answered
    | AnswerRejected
    | Voted
    | Ranked
    | SpeakerChosen
    | ImprovementPromised
    | Abstained
    | BallotSpoiled
    | TurnLost
    | TurnIdle
    | TieBroken
    | BudgetReached
    | DeadlinePassed
    | AnswerListed
    | StageClosed
    | RunStarted
    | RunResumed
    | RunFinished,
    Field(discriminator="type"),
]


class Record(Frozen):
    """One line of a run: `at` is Unix time in seconds, `seq` counts from 1 without a hole."""

    v: Literal[1] = SCHEMA_VERSION
    run_id: str
    seq: int = Field(ge=1)
    at: float
    agent_id: str | None = None
    turn_id: str | None = None
    event: Event
