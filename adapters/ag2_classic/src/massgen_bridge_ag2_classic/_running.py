"""One turn, seen from the thread in which AG2 works, and from the event loop around it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
from anyio import from_thread, to_thread

from massgen_bridge import (
    AgentCrashed,
    Emit,
    InputKind,
    JsonValue,
    LimitReached,
    Message,
    ReasoningDelta,
    StopReason,
    TextDelta,
    ToolCall,
    ToolCallFinished,
    ToolCallStarted,
    ToolResult,
    Turn,
    TurnEvent,
    TurnResult,
    Usage,
    assistant,
)
from massgen_bridge.adapting import ChatAnswer, ChatLoop, structured_answer

__all__ = ["Model", "Running", "Stopped", "in_thread", "instructed"]

T = TypeVar("T")


class Stopped(BaseException):
    """The turn is over: nothing goes on in its thread.

    No `Exception`, for AG2 and the code of users swallow those.
    """


class Model(ChatLoop):
    """The agent's model, asked for one answer after the other by AG2's agents."""

    async def answer(self, request: dict[str, Any], emit: Emit, turn: Turn) -> ChatAnswer:
        """Make one model call of a turn, under the host's policy.

        Raises:
            AgentError: It failed.
        """
        return await self._answer(request, emit, turn.connection_for(self.connection))

    def decoded(self, turn: Turn, running: Running, text: str) -> JsonValue | None:
        """The value of an answer that the turn wants as JSON; None where it wants none.

        Raises:
            ProtocolFailed: It is no JSON.
        """
        if turn.output_schema is None or running.ended or running.stop_reason == "refusal":
            return None
        return structured_answer(
            text, stop_reason=running.stop_reason, where=self.where, agent_id=self.agent_id
        )


class Running:
    """A turn under way. Its methods are called in the thread in which AG2 works.

    Args:
        turn: The turn.
        emit: Takes its events.
        model: The agent's model; None for agents that have models of their own.

    Attributes:
        history: What the turn adds to the history.
        usages: Of the model calls that were counted.
        stop_reason: Why the last answer of a model ended.
        ended: Whether a tool has ended the turn.
        stopped: Whether nothing may happen any more.
    """

    def __init__(self, turn: Turn, emit: Emit, model: Model | None = None) -> None:
        self.turn = turn
        self.emit = emit
        self.history: list[Message] = []
        self.usages: list[Usage] = []
        self.stop_reason: StopReason = "end"
        self.ended = False
        self.stopped = False
        self._model = model
        self._model_calls = 0
        self._own_tool_calls = 0

    @property
    def usage(self) -> Usage | None:
        """What all model calls took together; None where nobody counted."""
        return sum(self.usages[1:], self.usages[0]) if self.usages else None

    @property
    def inputs(self) -> frozenset[InputKind]:
        """Kinds of media that the agent's model takes."""
        return frozenset() if self._model is None else self._model.connection.traits.inputs

    def result(self, *, text: str | None = None, structured: JsonValue | None = None) -> TurnResult:
        """What the turn gave.

        Args:
            text: The answer, where it is not all of what was said last.
            structured: Its value.
        """
        last = next(one for one in reversed(self.history) if one.role == "assistant")
        if text is not None and text != last.text and not self.ended:
            self.history[-1] = last = assistant(text)
        return TurnResult(
            message=last,
            new_messages=tuple(self.history),
            stop_reason="tool" if self.ended else self.stop_reason,
            structured=structured,
            usage=self.usage,
        )

    def do(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Do something in the event loop, and wait for it.

        Raises:
            Stopped: The turn is over, or was cancelled meanwhile.
        """
        if self.stopped:
            raise Stopped
        try:
            return from_thread.run(self._cancellable, work, args)
        except Exception as error:  # raised again, unless the turn was stopped
            if self.stopped:  # what anyio makes of a cancellation in a thread
                raise Stopped from error
            raise

    async def _cancellable(self, work: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        try:
            # The turn may have been cancelled while its thread was busy.
            await anyio.lowlevel.checkpoint()
            return await work(*args)
        except anyio.get_cancelled_exc_class():
            self.stopped = True
            raise

    def ask_model(
        self, request: dict[str, Any], *, source: str | None, silent: bool = False
    ) -> ChatAnswer:
        """Make one model call.

        Args:
            request: Its body.
            source: The member whose call it is.
            silent: Whether its words are no part of the conversation.

        Raises:
            AgentError: It failed, or the turn has made as many as it may.
        """
        return self.do(self._ask_model, request, self._told_by(source, silent=silent))

    async def _ask_model(self, request: dict[str, Any], emit: Emit) -> ChatAnswer:
        limit = self.turn.limits.max_model_calls
        if self._model_calls >= limit:
            raise LimitReached(
                f"the turn made {limit} model calls, as many as it may; "
                "`limits.max_model_calls` says how many",
                agent_id=self.turn.agent_id,
            )
        self._model_calls += 1
        if self._model is None:
            raise AgentCrashed("there is no model to ask", agent_id=self.turn.agent_id)
        answer = await self._model.answer(request, emit, self.turn)
        if answer.usage is not None:
            self.usages.append(answer.usage)
        return answer

    def call_tool(self, call: ToolCall, *, source: str | None) -> ToolResult:
        """Make one call of the turn's tools.

        Raises:
            AgentError: The tool broke, or the turn has made as many calls as it may.
        """
        return self.do(self._call_tool, call, source)

    async def _call_tool(self, call: ToolCall, source: str | None) -> ToolResult:
        await self.emit(ToolCallStarted(call=call, source=source))
        result = await self.turn.call_tool(call)
        await self.emit(ToolCallFinished(result=result, source=source))
        self.ended = self.ended or result.ends_turn
        return result

    def own_tool(
        self,
        call: ToolCall,
        work: Callable[[], Awaitable[ToolResult]],
        *,
        source: str | None,
    ) -> ToolResult:
        """Do something that the agent itself brings along, told as a tool call.

        Raises:
            LimitReached: The turn has made as many tool calls as it may.
        """
        return self.do(self._own_tool, call, work, source)

    async def _own_tool(
        self, call: ToolCall, work: Callable[[], Awaitable[ToolResult]], source: str | None
    ) -> ToolResult:
        limit = self.turn.limits.max_tool_calls
        if self._own_tool_calls >= limit:
            raise LimitReached(
                f"the turn made {limit} tool calls, as many as it may", agent_id=self.turn.agent_id
            )
        self._own_tool_calls += 1
        await self.emit(ToolCallStarted(call=call, source=source))
        result = await work()
        await self.emit(ToolCallFinished(result=result, source=source))
        return result

    def tell(self, event: TurnEvent) -> None:
        """Tell of an event."""
        self.do(self.emit, event)

    def _told_by(self, source: str | None, *, silent: bool) -> Emit:
        """An `emit` that says who speaks."""
        emit = self.emit
        if source is None and not silent:
            return emit

        async def told(event: TurnEvent, /) -> None:
            if silent and isinstance(event, TextDelta | ReasoningDelta):
                return
            await emit(event.model_copy(update={"source": source}))

        return told


def instructed(first: str, messages: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """What an agent is told before all else, and the conversation behind it.

    Args:
        first: Stands before the system message of the conversation.
        messages: The conversation, as Chat Completions has it.
    """
    if messages and messages[0]["role"] == "system":
        told = (first, messages[0]["content"])
        return "\n\n".join(text for text in told if text), messages[1:]
    return first, messages


async def in_thread(running: Running, work: Callable[[], T], *, abandon: bool = False) -> T:
    """Let AG2 work in a thread until it is done or the turn is cancelled.

    Args:
        running: The turn; it is stopped in the end.
        work: What blocks; it reaches the event loop through `running` alone.
        abandon: Whether the thread is left to itself when the turn is cancelled, for it may be
            blocked by what cannot be stopped.

    Raises:
        AgentCrashed: It stopped though nobody had asked for it.
    """
    try:
        # One thread a turn: turns must not wait for each other.
        return await to_thread.run_sync(
            work, abandon_on_cancel=abandon, limiter=anyio.CapacityLimiter(math.inf)
        )
    except Stopped:
        await anyio.lowlevel.checkpoint()  # raises the cancellation
        raise AgentCrashed("the turn stopped by itself", agent_id=running.turn.agent_id) from None
    finally:
        running.stopped = True
