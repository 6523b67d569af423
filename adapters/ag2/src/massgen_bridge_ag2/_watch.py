"""What happens inside a user's own agent, as AG2's middleware and stream tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ag2.annotations import Context
from ag2.events import (
    BaseEvent,
    ClientToolCallEvent,
    ModelMessageChunk,
    ModelReasoning,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolErrorEvent,
)
from ag2.events import ToolResult as AG2Result
from ag2.events import Usage as AG2Usage
from ag2.middleware import BaseMiddleware, LLMCall, ToolExecution, ToolResultType

from massgen_bridge import (
    LimitReached,
    ModelCallFinished,
    ModelCallStarted,
    ModelRetried,
    ReasoningDelta,
    StopReason,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    Truncated,
    Usage,
)
from massgen_bridge.adapting import check_finish, model_call_error, tool_call_from_json
from massgen_bridge_ag2._calls import Course
from massgen_bridge_ag2._convert import told_result

__all__ = ["Watcher"]

# The reasons to stop of the providers that AG2 has a client for, where not the usual end.
_STOP_REASONS: Mapping[str, StopReason] = {
    "content_filter": "refusal",
    "length": "length",
    "max_output_tokens": "length",
    "max_tokens": "length",
    "refusal": "refusal",
}
# Clients that always say why a model stopped; silence means a broken stream.
_TELL_WHY = frozenset({"anthropic", "openai"})


class Watcher:
    """Tells of one turn of a user's agent, and holds it to the turn's limits.

    Args:
        course: The turn.
        agent_id: The agent's id.
        where: Names the user's agent, for errors.
        model: The model's name.
        redirected: Whether its model calls are the turn's own, which tell of themselves.

    Attributes:
        model_error: What the last model call that failed raised.
        stop_reason: Why the model stopped at last.
    """

    def __init__(
        self, course: Course, *, agent_id: str, where: str, model: str, redirected: bool
    ) -> None:
        self.model_error: Exception | None = None
        self.stop_reason: StopReason = "end"
        self._course = course
        self._agent_id = agent_id
        self._where = where
        self._model = model
        self._redirected = redirected
        self._retries = 0
        self._streamed = False
        self._tool_calls = 0

    def __call__(self, event: BaseEvent, context: Context) -> BaseMiddleware:
        """The middleware of one turn, as AG2 wants it made."""
        return _Watching(event, context, self)

    async def hear(self, event: ModelMessageChunk, context: Context) -> None:  # noqa: ARG002 - AG2's signature
        """A piece of a model's answer."""
        self._streamed = True
        await self._course.emit(TextDelta(text=event.content))

    async def hear_thought(self, event: ModelReasoning, context: Context) -> None:  # noqa: ARG002 - AG2's signature
        """A piece of a model's reasoning."""
        await self._course.emit(ReasoningDelta(text=event.content))

    async def model_call(
        self, call: LLMCall, events: Sequence[BaseEvent], context: Context
    ) -> ModelResponse:
        """Make a model call of the agent's own model, and tell of it."""
        course = self._course
        if course.failure is not None:
            raise course.failure
        if self._redirected:
            response = await call(events, context)
            self.stop_reason = _stop_reason(response)
            return response
        await self._begin()
        try:
            response = await call(events, context)
        except Exception as error:  # the model client may raise anything; raised again
            self.model_error = error
            raise
        self.stop_reason = _stop_reason(response)
        await self._finish(response)
        return response

    async def _begin(self) -> None:
        course, limit = self._course, self._course.turn.limits.max_model_calls
        if self.model_error is not None:  # the agent's own middleware tries again
            self._retries += 1
            known = model_call_error(
                self.model_error, where=self._where, agent_id=self._agent_id, sdk="openai"
            )
            await course.emit(
                ModelRetried(attempt=self._retries, delay_s=0, kind=known.kind, message=str(known))
            )
        self.model_error, self._streamed = None, False
        if course.model_calls >= limit:
            course.failure = LimitReached(
                f"{self._where}: it made {limit} model calls, as many as it may",
                agent_id=self._agent_id,
            )
            raise course.failure
        course.model_calls += 1
        await course.emit(ModelCallStarted(model=self._model))

    async def _finish(self, response: ModelResponse) -> None:
        course = self._course
        if response.provider in _TELL_WHY:
            try:
                check_finish(response.finish_reason)
            except Truncated as error:
                # AG2 takes a stream that broke off for a whole answer.
                course.failure = Truncated(f"{self._where}: {error}", agent_id=self._agent_id)
                raise course.failure from error
        if response.content and not self._streamed:
            await course.emit(TextDelta(text=response.content))
        usage = _usage(response.usage)
        if usage is not None:
            course.usages.append(usage)
        await course.emit(ModelCallFinished(model=self._model, usage=usage))

    async def tool_call(
        self, execute: ToolExecution, event: ToolCallEvent, context: Context
    ) -> ToolResultType:
        """Make a call of one of the agent's own tools, and tell of it."""
        course, limit = self._course, self._course.turn.limits.max_tool_calls
        call = tool_call_from_json(
            call_id=event.id, name=event.name, arguments=event.arguments or ""
        )
        if self._tool_calls >= limit and course.failure is None:
            course.failure = LimitReached(
                f"{self._where}: it made {limit} tool calls, as many as it may",
                agent_id=self._agent_id,
            )
        if course.failure is not None:
            raise course.failure
        self._tool_calls += 1
        await course.emit(ToolCallStarted(call=call))
        result = await execute(event, context)
        if isinstance(result, ToolErrorEvent):
            # AG2 would send the model a traceback, with the paths of files on this machine.
            words = f"{type(result.error).__name__}: {result.error}"
            result.result = AG2Result(TextInput(words))
        if isinstance(result, ClientToolCallEvent):  # left to a caller, and there is none
            return result
        await course.emit(ToolCallFinished(result=told_result(result)))
        return result


class _Watching(BaseMiddleware):
    def __init__(self, event: BaseEvent, context: Context, watcher: Watcher) -> None:
        super().__init__(event, context)
        self._watcher = watcher

    async def on_llm_call(
        self, call_next: LLMCall, events: Sequence[BaseEvent], context: Context
    ) -> ModelResponse:
        return await self._watcher.model_call(call_next, events, context)

    async def on_tool_execution(
        self, call_next: ToolExecution, event: ToolCallEvent, context: Context
    ) -> ToolResultType:
        return await self._watcher.tool_call(call_next, event, context)


def _usage(usage: AG2Usage) -> Usage | None:
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        return None
    return Usage(
        input_tokens=int(usage.prompt_tokens or 0),
        cached_tokens=int(usage.cache_read_input_tokens or 0),
        output_tokens=int(usage.completion_tokens or 0),
        reasoning_tokens=int(usage.thinking_tokens or 0),
        calls=1,
    )


def _stop_reason(response: ModelResponse) -> StopReason:
    return _STOP_REASONS.get(response.finish_reason or "", "end")
