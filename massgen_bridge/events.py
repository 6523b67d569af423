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

from massgen_bridge.agent import AnswerRef, StopReason, Turn, TurnResult, Usage
from massgen_bridge.errors import ErrorKind, RunFailed
from massgen_bridge.messages import Frozen, JsonValue, Message, ToolCall, ToolResult

__all__ = [
    "SCHEMA_VERSION",
    "AnswerInfo",
    "AnswerListed",
    "AnswerRejected",
    "Answered",
    "BallotSpoiled",
    "BallotWay",
    "DeadlinePassed",
    "Dissent",
    "ErrorInfo",
    "Event",
    "Happening",
    "ImprovementPromised",
    "LogLine",
    "ModelCallFinished",
    "ModelCallStarted",
    "ModelRetried",
    "Purpose",
    "ReasoningDelta",
    "Record",
    "RunFinished",
    "RunResult",
    "RunResumed",
    "RunStarted",
    "RunStatus",
    "Seat",
    "SpeakerChosen",
    "TextDelta",
    "TieBroken",
    "ToolCallFinished",
    "ToolCallJudged",
    "ToolCallStarted",
    "TurnCancelled",
    "TurnDone",
    "TurnEvent",
    "TurnFailed",
    "TurnLost",
    "TurnStarted",
    "VoteInfo",
    "Voted",
]

SCHEMA_VERSION: Literal[1] = 1

# --- what a turn emits --------------------------------------------------------------------------


class TextDelta(Frozen):
    """A piece of the answer's text; `source` names the inner member of a group."""

    type: Literal["text_delta"] = "text_delta"
    text: str
    source: str | None = None


class ReasoningDelta(Frozen):
    """A piece of the model's reasoning, where the provider shows it."""

    type: Literal["reasoning_delta"] = "reasoning_delta"
    text: str
    source: str | None = None


class ToolCallStarted(Frozen):
    """A tool is about to be called."""

    type: Literal["tool_call_started"] = "tool_call_started"
    call: ToolCall


class ToolCallFinished(Frozen):
    """A tool call ended; matched to its start by `result.call_id`."""

    type: Literal["tool_call_finished"] = "tool_call_finished"
    result: ToolResult


class ModelCallStarted(Frozen):
    """A request is about to be sent to a model."""

    type: Literal["model_call_started"] = "model_call_started"
    model: str


class ModelCallFinished(Frozen):
    """A model call ended well; `usage` covers this call alone and is None where unknown."""

    type: Literal["model_call_finished"] = "model_call_finished"
    model: str
    usage: Usage | None = None


class ModelRetried(Frozen):
    """A model call failed and is made again after `delay_s` seconds.

    Text deltas since the last `ModelCallStarted` are void: a display drops them.
    """

    type: Literal["model_retried"] = "model_retried"
    attempt: int = Field(ge=1)
    delay_s: float = Field(ge=0)
    kind: ErrorKind
    message: str


class LogLine(Frozen):
    """A line that the framework printed or logged."""

    type: Literal["log"] = "log"
    stream: Literal["stdout", "stderr", "log"]
    text: str


TurnEvent = (
    TextDelta
    | ReasoningDelta
    | ToolCallStarted
    | ToolCallFinished
    | ModelCallStarted
    | ModelCallFinished
    | ModelRetried
    | LogLine
)

# --- the frame of a turn, written by the runner and the executor --------------------------------

Purpose = Literal[  # noqa: RUF041 - what votes use first, then what other strategies add
    Literal["answer", "evaluate", "improve", "repair"],
    Literal["continue", "debate", "judge", "reduce", "speak", "chair", "conclude"],
]
BallotWay = Literal["tools", "schema", "text"]


class TurnStarted(Frozen):
    """An agent begins a turn; durable before the agent sees it.

    `attempt` counts its starts where the run was resumed; `mark` is that of a ballot in text.
    """

    type: Literal["turn_started"] = "turn_started"
    purpose: Purpose
    round: int = Field(ge=0)
    turn: Turn
    shown: tuple[AnswerRef, ...] = ()
    ballot: BallotWay | None = None
    mark: str | None = None
    attempt: int = Field(default=1, ge=1)


class TurnDone(Frozen):
    """The turn's one terminal event, when it went well."""

    type: Literal["turn_done"] = "turn_done"
    result: TurnResult


class TurnFailed(Frozen):
    """The turn's one terminal event, when it failed."""

    type: Literal["turn_failed"] = "turn_failed"
    kind: ErrorKind
    message: str
    retryable: bool = False


class TurnCancelled(Frozen):
    """The turn's one terminal event, when it was stopped."""

    type: Literal["turn_cancelled"] = "turn_cancelled"
    reason: str


class ToolCallJudged(Frozen):
    """Plugins had an opinion on a tool call; written before the call is made or denied.

    `by` is the plugin that decided; `arguments` are those that the call was made with where a
    plugin changed them.
    """

    type: Literal["tool_call_judged"] = "tool_call_judged"
    call_id: str
    action: Literal["deny", "ask", "edit", "allow"]
    by: str
    reason: str = ""
    arguments: dict[str, JsonValue] | None = None


# --- happenings: the only input of a strategy ---------------------------------------------------


class Answered(Frozen):
    """An agent gave an answer (its first one, or a better one)."""

    type: Literal["answered"] = "answered"
    agent_id: str
    turn_id: str
    text: str
    stop_reason: StopReason = "end"


class AnswerRejected(Frozen):
    """A `bridge_answer` hook refused an answer."""

    type: Literal["answer_rejected"] = "answer_rejected"
    agent_id: str
    turn_id: str
    reason: str


class Voted(Frozen):
    """An agent voted for an answer that it has seen."""

    type: Literal["voted"] = "voted"
    agent_id: str
    turn_id: str
    choice: AnswerRef
    reason: str = ""


class SpeakerChosen(Frozen):
    """The chair of a conversation named who speaks next; `label` is None where it ends."""

    type: Literal["speaker_chosen"] = "speaker_chosen"
    agent_id: str
    turn_id: str
    label: str | None = None
    reason: str = ""


class ImprovementPromised(Frozen):
    """An agent said by schema that it will write a better answer."""

    type: Literal["improvement_promised"] = "improvement_promised"
    agent_id: str
    turn_id: str


class BallotSpoiled(Frozen):
    """What an agent returned is neither a vote nor an answer."""

    type: Literal["ballot_spoiled"] = "ballot_spoiled"
    agent_id: str
    turn_id: str
    problem: str


class TurnLost(Frozen):
    """A turn failed or was cancelled by something other than the strategy."""

    type: Literal["turn_lost"] = "turn_lost"
    agent_id: str
    turn_id: str
    kind: ErrorKind
    message: str


class TieBroken(Frozen):
    """A tie was decided, by the plugin named in `by` or by the order of the configuration."""

    type: Literal["tie_broken"] = "tie_broken"
    winner: AnswerRef
    by: str


class DeadlinePassed(Frozen):
    """The time of the run is up."""

    type: Literal["deadline_passed"] = "deadline_passed"
    after_s: float


Happening = (
    Answered
    | AnswerRejected
    | Voted
    | SpeakerChosen
    | ImprovementPromised
    | BallotSpoiled
    | TurnLost
    | TieBroken
    | DeadlinePassed
)

# --- the frame of a run -------------------------------------------------------------------------


class Seat(Frozen):
    """One agent's place in a run: its id, and the label under which the others know it.

    `model` and `provider` name its model and who serves it, where it has one.
    """

    agent_id: str
    label: str
    kind: str
    model: str | None = None
    provider: str | None = None


class AnswerListed(Frozen):
    """An answer stands for election; `authors` are agent ids, several where equal ones merged."""

    type: Literal["answer_listed"] = "answer_listed"
    answer: AnswerRef
    authors: tuple[str, ...]
    text: str


class AnswerInfo(Frozen):
    """An answer at the end of a run; `votes` counts the valid votes for this version."""

    label: str
    version: int
    authors: tuple[str, ...]
    text: str
    votes: int = 0
    stop_reason: StopReason = "end"


class VoteInfo(Frozen):
    """A valid vote at the end of a run: `voter` and `author` are agent ids."""

    voter: str
    author: str
    label: str
    version: int
    reason: str = ""


class Dissent(Frozen):
    """An answer that did not win, and the votes for it: what a minority held against the winner.

    `authors` and `text` are those of the answer; empty where it stood no longer at the end.
    """

    label: str
    version: int
    authors: tuple[str, ...] = ()
    text: str = ""
    votes: tuple[VoteInfo, ...]


class ErrorInfo(Frozen):
    """A failure during a run that cost an agent its turn."""

    agent_id: str
    turn_id: str
    kind: ErrorKind
    message: str


RunStatus = Literal["answered", "best_so_far", "failed", "cancelled"]


class RunResult(Frozen):
    """What a run gave; `--output json` prints it, with the `dissent` that follows from it.

    Attributes:
        status: `answered`; `best_so_far` when a deadline or a limit ended it early; `failed`;
            `cancelled`.
        answer: The winning text, None without one.
        winner: Agent id of its (first) author.
        winning: Label and version of the winning answer.
        tie_broken_by: What decided a tie, None where there was none.
        calls: Model calls made, retries and failures included.
        duration_s: Wall time in seconds.
    """

    run_id: str
    status: RunStatus
    answer: str | None = None
    winner: str | None = None
    winning: AnswerRef | None = None
    votes: tuple[VoteInfo, ...] = ()
    answers: tuple[AnswerInfo, ...] = ()
    errors: tuple[ErrorInfo, ...] = ()
    tie_broken_by: str | None = None
    usage: Usage = Usage()
    calls: int = 0
    duration_s: float = 0.0
    message: str | None = None

    @property
    def dissent(self) -> tuple[Dissent, ...]:
        """What others than the winner got votes, the most votes first; no model is asked."""
        if self.winning is None:
            return ()
        won = (self.winning.label, self.winning.version)
        known = {(answer.label, answer.version): answer for answer in self.answers}
        camps: dict[tuple[str, int], tuple[VoteInfo, ...]] = {}
        for vote in self.votes:
            ref = (vote.label, vote.version)
            camps[ref] = (*camps.get(ref, ()), vote)
        camps.pop(won, None)
        found = []
        for (label, version), votes in sorted(camps.items(), key=lambda camp: -len(camp[1])):
            answer = known.get((label, version))
            who, text = (answer.authors, answer.text) if answer else ((), "")
            found.append(Dissent(label=label, version=version, authors=who, text=text, votes=votes))
        return tuple(found)

    def require_answer(self) -> str:
        """The answer.

        Raises:
            RunFailed: There is none; the text says why.
        """
        if self.answer is None:
            raise RunFailed(f"run {self.run_id} {self.status}: {self.message or 'no answer'}")
        return self.answer


class RunStarted(Frozen):
    """The first record of a run; holds no secret."""

    type: Literal["run_started"] = "run_started"
    bridge_version: str
    question: Message
    seats: tuple[Seat, ...]
    strategy: str
    strategy_options: dict[str, JsonValue] = Field(default_factory=dict)
    config_file: str | None = None


class RunResumed(Frozen):
    """The run goes on in another process; a turn without terminal event is started again."""

    type: Literal["run_resumed"] = "run_resumed"
    bridge_version: str


class RunFinished(Frozen):
    """The last record of a run; only one that was cancelled can be resumed after it."""

    type: Literal["run_finished"] = "run_finished"
    result: RunResult


Event = Annotated[
    TextDelta
    | ReasoningDelta
    | ToolCallStarted
    | ToolCallFinished
    | ModelCallStarted
    | ModelCallFinished
    | ModelRetried
    | LogLine
    | TurnStarted
    | TurnDone
    | TurnFailed
    | TurnCancelled
    | ToolCallJudged
    | Answered
    | AnswerRejected
    | Voted
    | SpeakerChosen
    | ImprovementPromised
    | BallotSpoiled
    | TurnLost
    | TieBroken
    | DeadlinePassed
    | AnswerListed
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
