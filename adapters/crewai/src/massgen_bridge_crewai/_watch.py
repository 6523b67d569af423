"""What happens inside crews and flows, as CrewAI tells it in the thread where it happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from crewai.events.stream_context import add_stream_sink
from crewai.events.types.llm_events import (
    LLMCallCompletedEvent,
    LLMCallStartedEvent,
    LLMCallType,
    LLMStreamChunkEvent,
    LLMThinkingChunkEvent,
)
from crewai.events.types.tool_usage_events import (
    ToolUsageErrorEvent,
    ToolUsageFinishedEvent,
    ToolUsageStartedEvent,
)
from crewai.hooks.dispatch import InterceptionPoint, scoped_hooks
from crewai.types.usage_metrics import UsageMetrics

from massgen_bridge import (
    LimitReached,
    ModelCallFinished,
    ModelCallStarted,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallFinished,
    ToolCallStarted,
    ToolResult,
    Truncated,
    Usage,
)
from massgen_bridge_crewai._llm import BridgeLLM
from massgen_bridge_crewai._running import Running, TurnOver

__all__ = ["Watcher"]

# Providers that always say why a model stopped; silence means a broken stream.
_TELL_WHY = frozenset({"anthropic", "openai"})

T = TypeVar("T")


class Watcher:
    """Tells of one turn of a crew or flow, and stops it where nothing more may happen.

    CrewAI's bus serves the whole process and hands most events to threads, in any order. Its
    stream sinks and its hooks belong to a context, and are called where things happen.

    Args:
        running: The turn.
    """

    def __init__(self, running: Running) -> None:
        self._running = running
        self._ends: dict[str, str] = {}

    def watched(self, work: Callable[[], T]) -> Callable[[], T]:
        """The same work under the eyes of this watcher; to be called in the thread of the turn."""
        add_stream_sink(self._take)
        hooks: Any = {
            InterceptionPoint.PRE_MODEL_CALL: [self._before_model_call],
            InterceptionPoint.PRE_TOOL_CALL: [self._before_tool_call],
        }
        return scoped_hooks(hooks)(work)

    def _before_model_call(self, context: Any) -> None:
        self._running.go_on()
        if not isinstance(context.llm, BridgeLLM):  # it counts its calls itself
            self._counted(self._running.count_model_call)

    def _before_tool_call(self, _context: Any) -> None:
        self._running.go_on()
        self._counted(self._running.count_tool_call)

    def _counted(self, count: Callable[[], None]) -> None:
        try:
            count()
        except LimitReached as error:
            self._running.fail(error)
        self._running.go_on()

    # --- events -----------------------------------------------------------------------------------

    def _take(self, teller: Any, event: Any) -> None:
        """Take one event of CrewAI's; for most there is none of ours."""
        source = event.agent_role
        match event:
            case LLMStreamChunkEvent():
                self._running.go_on()
                if event.chunk and not event.tool_call:
                    self._running.tell_soon(TextDelta(text=event.chunk, source=source))
            case LLMThinkingChunkEvent():
                self._running.go_on()
                self._running.tell_soon(ReasoningDelta(text=event.chunk, source=source))
            case LLMCallStartedEvent():
                self._running.go_on()
                self._running.tell_soon(
                    ModelCallStarted(model=event.model or "unknown", source=source)
                )
            case LLMCallCompletedEvent():
                self._end_model_call(teller, event)
            case ToolUsageStartedEvent():
                self._running.go_on()
                self._running.tell_soon(ToolCallStarted(call=_call(event), source=source))
            case ToolUsageFinishedEvent():
                self._end_tool(event, str(event.output), is_error=event.failure is not None)
            case ToolUsageErrorEvent():
                self._end_tool(event, str(event.error), is_error=True)
            case _:
                pass

    def _end_model_call(self, llm: Any, event: LLMCallCompletedEvent) -> None:
        is_answer = event.call_type is LLMCallType.LLM_CALL
        if is_answer and event.finish_reason is None and llm.provider in _TELL_WHY:
            self._running.fail(
                Truncated(f"the stream of {event.model!r} ended before its answer was finished")
            )
            raise TurnOver
        usage = _usage(event.usage)
        if usage is not None:
            self._running.usages.append(usage)
        self._running.tell_soon(
            ModelCallFinished(model=event.model or "unknown", usage=usage, source=event.agent_role)
        )

    def _end_tool(self, event: Any, content: str, *, is_error: bool) -> None:
        if event.started_event_id is None:
            return
        result = ToolResult(
            call_id=event.started_event_id,
            name=event.tool_name,
            content=content,
            is_error=is_error,
        )
        self._running.tell_soon(ToolCallFinished(result=result, source=event.agent_role))


def _call(event: ToolUsageStartedEvent) -> ToolCall:
    given = event.tool_args
    if isinstance(given, str):
        return ToolCall(call_id=event.event_id, name=event.tool_name, malformed=given)
    arguments = json.loads(json.dumps(given, default=str))
    return ToolCall(call_id=event.event_id, name=event.tool_name, arguments=arguments)


def _usage(counted: dict[str, Any] | None) -> Usage | None:
    metrics = UsageMetrics.from_provider_dict(counted)
    if metrics is None:
        return None
    return Usage(
        input_tokens=metrics.prompt_tokens,
        cached_tokens=metrics.cached_prompt_tokens,
        output_tokens=metrics.completion_tokens,
        reasoning_tokens=metrics.reasoning_tokens,
        calls=1,
    )
