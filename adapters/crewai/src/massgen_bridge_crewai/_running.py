"""A turn under way: what CrewAI's threads want done is done in the event loop."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread
import openai
from anyio.from_thread import BlockingPortal
from crewai.hooks.dispatch import HookAborted

from massgen_bridge import (
    AgentCrashed,
    Connection,
    Emit,
    LimitReached,
    ModelCaller,
    ModelCallFinished,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallFinished,
    ToolCallStarted,
    ToolResult,
    Turn,
    TurnEvent,
    Usage,
)
from massgen_bridge.adapting import (
    ChatAnswer,
    ChatSdk,
    chat_as_understood,
    model_call_error,
    read_chat_answer,
)

__all__ = ["CHAT", "TURN_OVER", "ModelAccess", "Running", "TurnOver"]

CHAT = ChatSdk(openai, name="massgen_bridge_crewai_clients")
"""OpenAI's SDK, with the clients of all agents."""

TURN_OVER = "this turn is over"
"""What is raised in CrewAI's threads says no more than this."""

# CrewAI's own threads wait for what is done here, so there must always be one more.
_THREADS = anyio.CapacityLimiter(10_000)
# A turn that is cancelled waits so long for CrewAI's thread, which has nothing more to do.
_GRACE_S = 1.0

T = TypeVar("T")


class TurnOver(HookAborted):
    """Raised in CrewAI's threads where nothing more may happen.

    CrewAI lets this one kind of exception pass: no other attempt is made, and no handler of its
    own goes on without it.
    """

    def __init__(self) -> None:
        super().__init__(TURN_OVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAccess:
    """The way to an agent's model during one turn.

    Attributes:
        connection: The model.
        client: Sends the requests.
        options: Settings of each request.
        call_model: The retry policy.
        where: Names the connection and its model, for errors.
        agent_id: The agent.
    """

    connection: Connection
    client: openai.AsyncOpenAI
    options: Any
    call_model: ModelCaller
    where: str
    agent_id: str


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Running:
    """A turn under way.

    Attributes:
        turn: The turn.
        emit: Takes its events.
        answers: What the model said, in order.
        results: What the turn's tools gave, by call id.
        failure: Why the turn fails, whatever CrewAI makes of it.
        ended: Whether a tool has ended the turn.
        model_calls: How many model calls were begun.
        tool_calls: How many tool calls were begun.
        usages: Of the model calls that were counted.
    """

    turn: Turn
    emit: Emit
    answers: list[ChatAnswer] = field(default_factory=list)
    results: dict[str, ToolResult] = field(default_factory=dict)
    failure: Exception | None = None
    ended: bool = False
    model_calls: int = 0
    tool_calls: int = 0
    usages: list[Usage] = field(default_factory=list)
    _stopped: bool = False
    _portal: BlockingPortal | None = None
    _tools: anyio.Lock = field(default_factory=anyio.Lock)
    _untold: deque[TurnEvent] = field(default_factory=deque)
    _telling: anyio.Lock = field(default_factory=anyio.Lock)

    async def drive(self, prepare: Callable[[], Callable[[], T]]) -> T | None:
        """Run CrewAI in a thread; all that it does in the event loop ends with it.

        Args:
            prepare: Makes, in that thread, what is to be called there.

        Returns:
            What the call returned; None where a tool has ended the turn.

        Raises:
            Exception: Why the turn failed, or what CrewAI raised.
        """
        thread = _Thread(prepare)
        async with anyio.create_task_group() as tasks, BlockingPortal() as portal:
            self._portal = portal
            tasks.start_soon(thread)
            try:
                await thread.finished.wait()
                await self._tell_all()
            finally:
                self._stopped = True
                thread.leave(within_s=_GRACE_S)
                await portal.stop(cancel_remaining=True)
        if self.failure is not None:
            raise self.failure
        if self.ended:
            return None
        if thread.raised is not None:
            raise thread.raised
        return thread.outcome

    # --- called by CrewAI's threads ---------------------------------------------------------------

    def go_on(self) -> None:
        """Raise if nothing more may happen.

        Raises:
            TurnOver: The turn has ended, failed or been cancelled.
        """
        if self._stopped or self.ended or self.failure is not None:
            raise TurnOver

    def ask(self, model: ModelAccess, request: dict[str, Any], source: str | None) -> ChatAnswer:
        """Make one model call.

        Args:
            model: The way to the model.
            request: The body.
            source: The member who asks; None for the agent itself.

        Raises:
            TurnOver: It failed, or may not be made.
        """
        return self._in_loop(lambda: self._ask(model, request, source))

    def call_tool(self, call: ToolCall) -> ToolResult:
        """Call one of the turn's tools.

        Raises:
            TurnOver: It failed, or may not be called.
        """
        return self._in_loop(lambda: self._call_tool(call))

    def tell_soon(self, event: TurnEvent) -> None:
        """Tell of an event, in order with all others, without waiting until it is told."""
        if self._stopped or self._portal is None:
            return
        self._untold.append(event)
        self._portal.start_task_soon(self._tell_all)

    def fail(self, error: Exception) -> None:
        """Let the turn fail; the first reason counts."""
        if self.failure is None and not self._stopped:
            self.failure = error

    def _in_loop(self, work: Callable[[], Awaitable[T]]) -> T:
        self.go_on()
        # Without a portal nothing is under way yet.
        outcome = None if self._portal is None else self._tried(self._portal, work)
        if not outcome:
            # Raised here, so that it has no context: CrewAI looks there for reasons to try again.
            raise TurnOver
        return outcome[0]

    def _tried(self, portal: BlockingPortal, work: Callable[[], Awaitable[T]]) -> tuple[T] | None:
        try:
            return (portal.call(work),)
        except Exception as error:  # noqa: BLE001 - kept, and raised again in the turn's own task
            self.fail(error)
            return None

    # --- done in the event loop -------------------------------------------------------------------

    async def _ask(
        self, model: ModelAccess, request: dict[str, Any], source: str | None
    ) -> ChatAnswer:
        await self._tell_all()
        self.count_model_call()
        emit = self.emit if source is None else _from_member(self.emit, source)
        quirks, extra = model.connection.quirks, model.connection.sampling.extra
        body = chat_as_understood(request, quirks, kept=extra)

        async def attempt() -> ChatAnswer:
            try:
                async with await CHAT.stream(model.client, body, model.options) as chunks:
                    return await read_chat_answer(
                        chunks, emit, reasoning_field=quirks.reasoning_field
                    )
            except Exception as error:  # the SDK lets errors of its HTTP library through
                raise model_call_error(
                    error, where=model.where, agent_id=model.agent_id, sdk="openai"
                ) from error

        answer: ChatAnswer = await model.call_model(attempt, emit)
        self.answers.append(answer)
        if answer.usage is not None:
            self.usages.append(answer.usage)
        await emit(ModelCallFinished(model=model.connection.model, usage=answer.usage))
        if answer.calls and answer.stop_reason == "length":
            raise LimitReached(
                f"{model.where}: the output limit was reached in the middle of a tool call",
                agent_id=model.agent_id,
            )
        return answer

    def count_model_call(self) -> None:
        """Count a model call that is about to be made.

        Raises:
            LimitReached: The turn has made all that it may.
        """
        limit = self.turn.limits.max_model_calls
        if self.model_calls >= limit:
            raise LimitReached(
                f"the turn made {limit} model calls, as many as it may, and has not finished",
                agent_id=self.turn.agent_id,
            )
        self.model_calls += 1

    def count_tool_call(self) -> None:
        """Count a call of a tool that is not the turn's own.

        Raises:
            LimitReached: The turn has made all that it may.
        """
        limit = self.turn.limits.max_tool_calls
        if self.tool_calls >= limit:
            raise LimitReached(
                f"the turn made {limit} tool calls, as many as it may",
                agent_id=self.turn.agent_id,
            )
        self.tool_calls += 1

    async def _call_tool(self, call: ToolCall) -> ToolResult:
        async with self._tools:
            await self._tell_all()
            await self.emit(ToolCallStarted(call=call))
            result = await self.turn.call_tool(call)
            await self.emit(ToolCallFinished(result=result))
            self.results[call.call_id] = result
            self.ended = self.ended or result.ends_turn
        return result

    async def _tell_all(self) -> None:
        async with self._telling:
            while self._untold:
                await self.emit(self._untold.popleft())

    @property
    def usage(self) -> Usage | None:
        """Of all model calls; None where nobody counted."""
        return sum(self.usages[1:], self.usages[0]) if self.usages else None


class _Thread(Generic[T]):
    """What runs in CrewAI's thread, out of reach of the cancel scopes around it.

    Args:
        prepare: Makes, in that thread, what is to be called there.

    Attributes:
        finished: Set when the thread is done, or given up.
        outcome: What the call returned.
        raised: What it raised.
    """

    def __init__(self, prepare: Callable[[], Callable[[], T]]) -> None:
        self.finished = anyio.Event()
        self.outcome: T | None = None
        self.raised: Exception | None = None
        self._prepare = prepare
        self._context = contextvars.copy_context()
        self._scope = anyio.CancelScope(shield=True)

    async def __call__(self) -> None:
        with self._scope:
            try:
                self.outcome = await self._run(await self._run(self._prepare))
            except SystemExit as error:  # what CrewAI makes of a history that is too long
                self.raised = AgentCrashed(f"CrewAI gave up: {error}")
            except Exception as error:  # noqa: BLE001 - raised again, in the turn's own task
                self.raised = error
            finally:
                self.finished.set()

    def leave(self, *, within_s: float) -> None:
        """Give the thread up, if it is not done within so many seconds."""
        self._scope.deadline = anyio.current_time() + within_s

    async def _run(self, work: Callable[[], Any]) -> Any:
        # Nothing of ours stands below it there: CrewAI runs an event loop of its own, and blocks.
        return await anyio.to_thread.run_sync(
            self._context.run, work, abandon_on_cancel=True, limiter=_THREADS
        )


def _from_member(emit: Emit, source: str) -> Emit:
    async def tell(event: TurnEvent, /) -> None:
        if isinstance(event, TextDelta):
            event = TextDelta(text=event.text, source=source)
        elif isinstance(event, ReasoningDelta):
            event = ReasoningDelta(text=event.text, source=source)
        else:
            event = event.model_copy(update={"source": source})
        await emit(event)

    return tell
