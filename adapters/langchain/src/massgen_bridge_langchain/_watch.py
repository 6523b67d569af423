"""What happens inside a user's graph, told by LangChain's callbacks."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, LLMResult
from langgraph.constants import TAG_NOSTREAM

from massgen_bridge import (
    LimitReached,
    Limits,
    MediaPart,
    ModelCallFinished,
    ModelCallStarted,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallFinished,
    ToolCallStarted,
    ToolResult,
    Truncated,
    TurnEvent,
    Usage,
)
from massgen_bridge_langchain._convert import (
    finish_of,
    reasoning_of,
    text_of,
    tool_result,
    usage_of,
)
from massgen_bridge_langchain._model import BRIDGE_MODEL

__all__ = ["Watcher"]

# Nodes that LangChain's own agents call their model in: the graph's main voice.
_MAIN_NODES = frozenset({"agent", "model"})
# Packages of providers that always say why a model stopped; silence means a broken stream.
_TELL_WHY = frozenset({"anthropic", "openai"})


class _Stopped(Exception):
    """The turn is over; raised in threads that LangGraph left running."""


class _ModelCall:
    """A model call under way."""

    def __init__(self, *, model: str, source: str | None, silent: bool) -> None:
        self.model = model
        self.source = source
        self.silent = silent
        self.streamed = False


class Watcher(BaseCallbackHandler):
    """Keeps the events of one turn, in order, until the turn's own task tells them.

    The methods also run in threads, where LangGraph calls blocking nodes.

    Args:
        limits: The turn's limits on calls.
        deltas: Whether to tell the text of the models as it comes.

    Attributes:
        events: What has not been told yet.
        usages: Of the model calls that were counted.
        failure: Why the turn fails, whatever the graph makes of it.
        model_error: What the last model call that failed raised.
        tool_error: What the last tool that failed raised.
    """

    run_inline = True
    raise_error = True

    def __init__(self, limits: Limits, *, deltas: bool) -> None:
        super().__init__()
        self.events: deque[TurnEvent] = deque()
        self.usages: list[Usage] = []
        self.failure: LimitReached | Truncated | None = None
        self.model_error: BaseException | None = None
        self.tool_error: BaseException | None = None
        self._stopped = False
        self._limits = limits
        self._deltas = deltas
        self._model_calls = 0
        self._tool_calls = 0
        self._running: dict[UUID, _ModelCall] = {}
        self._tools: dict[UUID, ToolCall] = {}

    def stop(self) -> None:
        """End what still runs in threads, at the next thing it does; nothing else can."""
        self._stopped = True

    def go_on(self) -> None:
        """Raise why nothing more may happen, if there is a reason."""
        if self._stopped:
            raise _Stopped
        if self.failure is not None:
            raise self.failure

    # --- model calls ------------------------------------------------------------------------------

    def on_chat_model_start(
        self,
        serialized: dict[str, Any] | None,
        messages: list[list[BaseMessage]],  # noqa: ARG002 - LangChain's signature
        *,
        run_id: UUID,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A chat model is about to be called."""
        self._start(serialized, run_id, tags, metadata or {}, kwargs)

    def on_llm_start(
        self,
        serialized: dict[str, Any] | None,
        prompts: list[str],  # noqa: ARG002 - LangChain's signature
        *,
        run_id: UUID,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A model that completes text is about to be called."""
        self._start(serialized, run_id, tags, metadata or {}, kwargs)

    def _start(
        self,
        serialized: Mapping[str, Any] | None,
        run_id: UUID,
        tags: list[str] | None,
        metadata: Mapping[str, Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        limit = self._limits.max_model_calls
        if self._model_calls >= limit:
            # Kept, because the graph's own code may catch what is raised in it.
            self.failure = LimitReached(f"the graph made {limit} model calls, as many as it may")
            if BRIDGE_MODEL not in metadata:  # the bridge's own asks before it sends a request
                raise self.failure
        self._model_calls += 1
        name = metadata.get("ls_model_name") or kwargs.get("name") or (serialized or {}).get("name")
        call = _ModelCall(
            model=str(name or "unknown"),
            source=_source(metadata),
            silent=not self._deltas or TAG_NOSTREAM in (tags or ()),
        )
        self._running[run_id] = call
        self.events.append(ModelCallStarted(model=call.model))

    def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: Any = None,
        run_id: UUID,
        **kwargs: Any,  # noqa: ARG002 - LangChain's signature
    ) -> None:
        """A piece of a model's answer."""
        self.go_on()
        call = self._running.get(run_id)
        if call is None or call.silent:
            return
        if isinstance(chunk, ChatGenerationChunk) and isinstance(chunk.message, AIMessage):
            self._say(call, chunk.message)
        elif isinstance(token, str) and token:
            call.streamed = True
            self.events.append(TextDelta(text=token, source=call.source))

    def _say(self, call: _ModelCall, message: AIMessage) -> None:
        if reasoning := reasoning_of(message):
            self.events.append(ReasoningDelta(text=reasoning, source=call.source))
        if text := text_of(message):
            call.streamed = True
            self.events.append(TextDelta(text=text, source=call.source))

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002 - LangChain's signature
        """A model's answer is complete."""
        call = self._running.pop(run_id, None)
        if call is None:
            return
        generation = next((g for several in response.generations for g in several), None)
        message = getattr(generation, "message", None)
        usage = None
        if isinstance(message, AIMessage):
            if not (call.streamed or call.silent):
                self._say(call, message)
            self._check_end(call, message)
            usage = usage_of(message)
        if usage is not None:
            self.usages.append(usage)
        self.events.append(ModelCallFinished(model=call.model, usage=usage))

    def _check_end(self, call: _ModelCall, message: AIMessage) -> None:
        metadata = message.response_metadata
        said_why = finish_of(message) or metadata.get("status")
        if metadata.get("model_provider") in _TELL_WHY and not said_why:
            self.failure = Truncated(
                f"the stream of {call.model!r} ended before its answer was finished"
            )

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002 - LangChain's signature
        """A model call failed; the graph may go on in another way."""
        self.model_error = error
        self._running.pop(run_id, None)

    # --- tool calls -------------------------------------------------------------------------------

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """One of the graph's own tools is about to be called."""
        self.go_on()
        limit = self._limits.max_tool_calls
        if self._tool_calls >= limit:
            self.failure = LimitReached(f"the graph made {limit} tool calls, as many as it may")
            raise self.failure
        self._tool_calls += 1
        arguments = inputs if inputs is not None else {"input": input_str}
        call = ToolCall(
            call_id=kwargs.get("tool_call_id") or str(run_id),
            name=(serialized or {}).get("name") or kwargs.get("name") or "tool",
            arguments=json.loads(json.dumps(arguments, default=str)),
        )
        self._tools[run_id] = call
        self.events.append(ToolCallStarted(call=call))

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002 - LangChain's signature
        """One of the graph's own tools returned."""
        if isinstance(output, ToolMessage):
            given = tool_result(output)
            self._finish_tool(run_id, given.content, media=given.media, is_error=given.is_error)
        else:
            self._finish_tool(run_id, str(output))

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002 - LangChain's signature
        """One of the graph's own tools raised; the graph may tell its model of it."""
        self.tool_error = error
        self._finish_tool(run_id, f"{type(error).__name__}: {error}", is_error=True)

    def _finish_tool(
        self,
        run_id: UUID,
        content: str,
        *,
        media: tuple[MediaPart, ...] = (),
        is_error: bool = False,
    ) -> None:
        call = self._tools.pop(run_id, None)
        if call is not None:
            result = ToolResult(
                call_id=call.call_id,
                name=call.name,
                content=content,
                media=media,
                is_error=is_error,
            )
            self.events.append(ToolCallFinished(result=result))


def _source(metadata: Mapping[str, Any]) -> str | None:
    """The member of the graph that speaks: None for its main model.

    Inside a member that is an agent itself, the node is called `model`; then the member's own
    name counts, which stands before it in LangGraph's path of names.
    """
    path = str(metadata.get("langgraph_checkpoint_ns") or "").split("|")
    names = [step.partition(":")[0] for step in path]
    named = [name for name in names if name and name not in _MAIN_NODES]
    return named[-1] if named else None
