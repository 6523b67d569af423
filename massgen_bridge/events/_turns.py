"""What a turn emits, and the frame that the runner and the executor write around it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from massgen_bridge.agent import AnswerRef, Turn, TurnResult, Usage
from massgen_bridge.errors import ErrorKind
from massgen_bridge.events._runs import RunResult, Seat
from massgen_bridge.messages import Frozen, JsonValue, ToolCall, ToolResult

# --- what a turn emits --------------------------------------------------------------------------
#
# `source` names the inner member of a group that an event is from, and where that is a team itself
# the member of it: `critics/ann`. It is None for the agent itself.


class TextDelta(Frozen):
    """A piece of the answer's text; with `source`, of what an inner member of a group says."""

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
    source: str | None = None


class ToolCallFinished(Frozen):
    """A tool call ended; matched to its start by `result.call_id`."""

    type: Literal["tool_call_finished"] = "tool_call_finished"
    result: ToolResult
    source: str | None = None


class HostedToolCall(Frozen):
    """The provider called a tool of its own, such as a search of the web, for the model.

    The host had no say in it: no permission was asked, and it counts for no limit of tool calls.
    """

    type: Literal["hosted_tool_call"] = "hosted_tool_call"
    name: str
    call_id: str = ""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    source: str | None = None


WaitReason = Literal["concurrency", "requests", "tokens", "provider", "breaker"]
_WAITS: dict[WaitReason, str] = {
    "concurrency": "for a place among the connection's calls",
    "requests": "to stay within the connection's requests a minute",
    "tokens": "to stay within the connection's tokens a minute",
    "provider": "as the provider has asked",
    "breaker": "since the connection has failed many times in a row",
}


class ModelCallStarted(Frozen):
    """A request is about to be sent to a model."""

    type: Literal["model_call_started"] = "model_call_started"
    model: str
    source: str | None = None


class ModelCallFinished(Frozen):
    """A model call ended well; `usage` covers this call alone and is None where unknown.

    `cost_usd` is what it cost in US dollars, None where the price is not known. The host fills it
    in by its price list; an agent that knows better says so itself. `fallback` names the connection
    that was asked in place of the agent's own, where another one was.
    """

    type: Literal["model_call_finished"] = "model_call_finished"
    model: str
    usage: Usage | None = None
    cost_usd: float | None = Field(default=None, ge=0)
    fallback: str | None = None
    source: str | None = None


class ModelRetried(Frozen):
    """A model call failed and is made again after `delay_s` seconds.

    `fallback` names the connection that is asked instead from now on, where it is another one.

    Text deltas since the last `ModelCallStarted` are void: a display drops them.
    """

    type: Literal["model_retried"] = "model_retried"
    attempt: int = Field(ge=1)
    delay_s: float = Field(ge=0)
    kind: ErrorKind
    message: str
    fallback: str | None = None
    source: str | None = None


class ModelWaiting(Frozen):
    """A model call waits before it is sent: until the next event, the turn is not taken for idle.

    `reason` says for what: a place among the calls at the same time (`concurrency`), the limits of
    requests or tokens a minute, the time that the provider has asked for, or the circuit breaker.
    `delay_s` is None where nobody knows how long.
    """

    type: Literal["model_waiting"] = "model_waiting"
    model: str
    reason: WaitReason
    delay_s: float | None = Field(default=None, ge=0)
    source: str | None = None

    @property
    def message(self) -> str:
        """In words: for what, and how long where that is known."""
        how_long = "" if self.delay_s is None else f" for {self.delay_s:.1f} s"
        return f"waits{how_long} {_WAITS[self.reason]}"


class PersonAsked(Frozen):
    """A person is asked: from here until the next event, the turn is not taken for idle.

    `time_limit_s` counts from the moment when the question is put; `default` says what happens
    then. None: there is no limit.
    """

    type: Literal["person_asked"] = "person_asked"
    time_limit_s: float | None = None
    default: str = ""
    source: str | None = None


class PersonReplied(Frozen):
    """A person has replied or, where `by_default` holds, did not and the default applies."""

    type: Literal["person_replied"] = "person_replied"
    by_default: bool = False
    reason: str = ""
    source: str | None = None


class LogLine(Frozen):
    """A line that the framework printed or logged."""

    type: Literal["log"] = "log"
    stream: Literal["stdout", "stderr", "log"]
    text: str
    source: str | None = None


class InnerRunStarted(Frozen):
    """A team begins, or goes on with, the run that gives its turn's result.

    `run_id` is the run's own; its journal is kept where that of the outer run is. Where the team
    is to `vote`, each of its members does, by the strategy `poll`.
    """

    type: Literal["inner_run_started"] = "inner_run_started"
    run_id: str
    purpose: Literal["answer", "vote"] = "answer"
    strategy: str
    seats: tuple[Seat, ...]
    source: str | None = None


class InnerRunFinished(Frozen):
    """The run within a turn has ended, with or without an answer."""

    type: Literal["inner_run_finished"] = "inner_run_finished"
    purpose: Literal["answer", "vote"] = "answer"
    result: RunResult
    source: str | None = None


TurnEvent = (
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
)

# --- the frame of a turn, written by the runner and the executor --------------------------------

Purpose = Literal[  # noqa: RUF041 - what votes use first, then what other strategies add
    Literal["answer", "evaluate", "improve", "repair"],
    Literal["rank", "break_tie", "present"],
    Literal["continue", "debate", "judge", "reduce", "speak", "chair", "conclude"],
]
BallotWay = Literal["tools", "schema", "text"]


class TurnStarted(Frozen):
    """An agent begins a turn; durable before the agent sees it.

    `attempt` counts its starts where the run was resumed; `mark` is that of a ballot in text;
    `follows` is the earlier turn of the same agent that it goes on from.
    """

    type: Literal["turn_started"] = "turn_started"
    purpose: Purpose
    round: int = Field(ge=0)
    turn: Turn
    shown: tuple[AnswerRef, ...] = ()
    ballot: BallotWay | None = None
    mark: str | None = None
    follows: str | None = None
    attempt: int = Field(default=1, ge=1)


class TurnDone(Frozen):
    """The turn's one terminal event, when it went well.

    `cost_usd` is what the tokens cost that none of its calls told, as far as that is known.
    """

    type: Literal["turn_done"] = "turn_done"
    result: TurnResult
    cost_usd: float | None = Field(default=None, ge=0)


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
