"""The interface of an agent: the one thing that every adapter implements.

An agent gets a `Turn` (the whole history, tools, an output schema, limits), tells what happens
through `emit`, and returns a `TurnResult`. It fails by raising an `AgentError` and lets
cancellation pass through. It never knows who else takes part in the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

from pydantic import Field, PrivateAttr

from massgen_bridge.errors import ToolFailed, UnsupportedContent
from massgen_bridge.messages import (
    Frozen,
    JsonValue,
    MediaPart,
    Message,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from massgen_bridge.connection import Connection
    from massgen_bridge.events import TurnEvent

__all__ = [
    "Agent",
    "AnswerRef",
    "Capabilities",
    "Emit",
    "FinishedTurn",
    "InputKind",
    "Limits",
    "ShownAnswer",
    "Source",
    "StopReason",
    "ToolCaller",
    "ToolDefinition",
    "Turn",
    "TurnResult",
    "Usage",
]

InputKind = Literal["image", "audio", "video", "document"]

StopReason = Literal["end", "length", "tool", "refusal"]
"""Why the model stopped: done, output limit hit, turn ended by a tool, or a refusal."""


class Usage(Frozen):
    """Tokens of one or more model calls, with one meaning for every provider.

    `input_tokens` counts the whole prompt, cached or not; `cached_tokens` is the part of it that
    came from a cache, `cache_write_tokens` the part that was written to one, where the provider
    tells. `output_tokens` counts everything generated; `reasoning_tokens` is the part
    of it spent on reasoning. `calls` is the number of model calls that the figures cover.
    """

    input_tokens: int = Field(default=0, ge=0)
    cached_tokens: int = Field(default=0, ge=0)
    cache_write_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    reasoning_tokens: int = Field(default=0, ge=0)
    calls: int = Field(default=0, ge=0)

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            calls=self.calls + other.calls,
        )

    def __sub__(self, other: Usage) -> Usage:
        """What is left without `other`; no figure falls below zero."""
        names = type(self).model_fields
        return Usage(**{name: max(0, getattr(self, name) - getattr(other, name)) for name in names})


class Capabilities(Frozen):
    """What an agent can do; the host never asks for more.

    Attributes:
        streaming: Text arrives in deltas while it is made.
        tools: The model can call the tools of a turn.
        structured: The model can be held to the output schema of a turn.
        history: Earlier messages of a turn reach the model as such.
        inputs: Kinds of media that reach the model unchanged.
        tool_media: Those of them that reach it in the result of a tool call, too; the host says
            in words what it keeps back of the others.
        group: The agent is itself a group of agents (events then carry `source`).
        cancellation: `cooperative` stops within the grace time in process; `process` needs a
            process of its own to be stopped.
    """

    streaming: bool = True
    tools: bool = False
    structured: bool = False
    history: bool = True
    inputs: frozenset[InputKind] = frozenset()
    tool_media: frozenset[InputKind] = frozenset()
    group: bool = False
    cancellation: Literal["cooperative", "process"] = "cooperative"

    def check(self, turn: Turn) -> None:
        """Refuse a turn that wants more than this; an agent calls it before it does anything.

        Raises:
            UnsupportedContent: The turn has tools, an output schema or media beyond this.
        """
        if turn.tools and not self.tools:
            raise UnsupportedContent("this agent cannot call tools")
        if turn.output_schema is not None and not self.structured:
            raise UnsupportedContent("this agent cannot be held to an output schema")
        self.check_media(turn)

    def check_media(self, turn: Turn) -> None:
        """Refuse a turn with media that are not among `inputs`, or `tool_media` in tool results.

        Raises:
            UnsupportedContent: It has some.
        """
        for message in turn.messages:
            for part in message.parts:
                if isinstance(part, MediaPart):
                    _check_carried(part, self.inputs, "")
                elif isinstance(part, ToolResult):
                    for one in part.media:
                        _check_carried(one, self.tool_media, " in the result of a tool")


def _check_carried(part: MediaPart, kinds: frozenset[InputKind], where: str) -> None:
    if part.type not in kinds:
        carried = ", ".join(sorted(kinds)) or "text alone"
        raise UnsupportedContent(
            f"this agent cannot carry {part.type!r}{where} (it carries: {carried})"
        )


class ToolDefinition(Frozen):
    """A tool as the model sees it.

    `input_schema` is a JSON Schema of type object. `ends_turn` says that a successful call makes
    no further model call needed; the `ToolResult` has the last word.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str
    input_schema: dict[str, JsonValue]
    ends_turn: bool = False


class Limits(Frozen):
    """What one turn may use; None sets no limit."""

    max_output_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Most tokens of one model call's output. Default: the connection's.",
    )
    max_model_calls: int = Field(default=16, ge=1, description="Most model calls.")
    max_tool_calls: int = Field(default=64, ge=0, description="Most tool calls.")
    idle_s: float | None = Field(
        default=300.0, gt=0, description="Longest time without any event, in seconds."
    )
    wall_s: float | None = Field(default=None, gt=0, description="Longest turn, in seconds.")


class ToolCaller(Protocol):
    """How a turn reaches the host's tools."""

    async def __call__(self, call: ToolCall) -> ToolResult:
        """Run one tool call behind the permission policy."""


class AnswerRef(Frozen):
    """One version of one agent's answer, by the label that the agents know it by."""

    label: str
    version: int = Field(ge=1)


class ShownAnswer(AnswerRef):
    """An answer as it is shown to another agent.

    `asked` is the part of the task that its author was given, None for the whole task. `media` are
    the pictures and the like that belong to it.
    """

    text: str
    asked: str | None = None
    media: tuple[MediaPart, ...] = ()


class Turn(Frozen):
    """One piece of work for an agent: a serialisable value with one live way back, `call_tool`.

    `messages` is the whole history, system message first where there is one; the host owns it.
    `output_schema` is a JSON Schema that the final text must satisfy as JSON. `session` is a
    token that the agent returned from an earlier turn. `task` is the run's question as the user
    gave it and `shown` the answers that this turn is about: both stand in `messages` already, and
    are here for agents that are plain code. `earlier` says how many of `messages`, behind the
    system message, are the conversation with the user before.
    """

    run_id: str
    turn_id: str
    agent_id: str
    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...] = ()
    output_schema: dict[str, JsonValue] | None = None
    limits: Limits = Field(default_factory=Limits)
    session: str | None = None
    task: Message | None = None
    shown: tuple[ShownAnswer, ...] = ()
    earlier: int = Field(default=0, ge=0)

    _call_tool: ToolCaller | None = PrivateAttr(default=None)
    _connection: Connection | None = PrivateAttr(default=None)

    @property
    def question(self) -> str:
        """The text of the last user message; empty when there is none."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    async def call_tool(self, call: ToolCall) -> ToolResult:
        """Call a tool of this turn: the only way, because the permission policy stands behind it.

        A tool that fails, is denied or gets wrong arguments gives a result with `is_error`.

        Raises:
            ToolFailed: The turn has no tools, or the tool broke beyond mending.
            LimitReached: `limits.max_tool_calls` is used up.
        """
        if self._call_tool is None:
            raise ToolFailed(f"tool {call.name!r} was called in a turn without tools")
        return await self._call_tool(call)

    def connection_for(self, connection: Connection) -> Connection:
        """How this turn reaches the agent's model.

        Where the host stands between an agent and its model, each turn has an address and a key
        of its own, which end with the turn. An adapter makes every model call of a turn by what
        this returns; it is `connection` itself where the agent may call the model directly.

        Args:
            connection: The connection of the agent's `AgentContext`.
        """
        return self._connection or connection

    def bind(self, call_tool: ToolCaller, *, connection: Connection | None = None) -> Self:
        """The same turn with its ways back to the host; for executors.

        Args:
            call_tool: Calls the turn's tools.
            connection: How the turn reaches its model; None: by the agent's own connection.
        """
        bound = self.model_copy()
        bound._call_tool = call_tool  # noqa: SLF001 - our own private attribute
        bound._connection = connection or self._connection  # noqa: SLF001 - likewise
        return bound


class Source(Frozen):
    """Something that an answer rests on, as a provider's own search told it.

    `text` is the passage that is quoted, where the provider gives one.
    """

    url: str | None = None
    title: str = ""
    text: str = ""


class TurnResult(Frozen):
    """What a turn gave: deltas were advisory, this counts.

    `message` is the final assistant message. `new_messages` holds everything that the turn adds
    to the history (tool calls, tool results, the final message), in order. `structured` is the
    decoded JSON of a turn with an output schema. `usage` is None where nobody counted. `sources`
    lists what the answer rests on, each once. `abstained` says why the agent gives neither answer
    nor vote; such a turn has not failed, and its message does not count.
    """

    message: Message
    new_messages: tuple[Message, ...] = ()
    stop_reason: StopReason = "end"
    structured: JsonValue | None = None
    usage: Usage | None = None
    sources: tuple[Source, ...] = ()
    session: str | None = None
    abstained: str | None = None

    @property
    def text(self) -> str:
        """The text of the final message."""
        return self.message.text


class FinishedTurn(Frozen):
    """A turn that an agent finished before the run was resumed."""

    turn: Turn
    result: TurnResult


class Emit(Protocol):
    """How an agent tells what happens; cheap, to be awaited, never fails.

    Only a model call that no budget is left for ends the turn, when it is told to begin.
    """

    async def __call__(self, event: TurnEvent, /) -> None:
        """Hand over one event of the running turn."""


@runtime_checkable
class Agent(Protocol):
    """An agent of any framework. One object serves many turns, also at the same time."""

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """

    async def aclose(self) -> Any:
        """Give back clients, files and processes; no turn runs any more."""
