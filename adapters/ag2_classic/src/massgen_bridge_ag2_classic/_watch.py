"""What happens inside a user's own agents: told as it comes, and held to the turn's limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from autogen import ConversableAgent
from pydantic import ValidationError

from massgen_bridge import (
    AgentError,
    LimitReached,
    ModelCallFinished,
    ModelCallStarted,
    Said,
    TextDelta,
    ToolCall,
    ToolCallFinished,
    ToolCallStarted,
    ToolResult,
    Truncated,
    Usage,
)
from massgen_bridge_ag2_classic._running import Running, Stopped

__all__ = ["Watcher"]


class Watcher:
    """Keeps what the agents of one turn say. It works in the turn's thread.

    Args:
        running: The turn.
        question: What the conversation begins with, which nobody there has said.

    Attributes:
        said: What was said, in order.
        failure: Why the turn fails, whatever the agents make of it.
    """

    def __init__(self, running: Running, question: object) -> None:
        self.said: list[Said] = []
        self.failure: AgentError | None = None
        self._running = running
        self._question = question
        self._begun = False
        self._speaker: str | None = None
        self._streamed: str | None = None
        self._tools: list[ToolCall] = []
        self._tool_calls = 0
        self._model_calls = 0

    def take(self, event: Any) -> None:
        """Take an event of AG2."""
        if self._running.stopped:
            raise Stopped
        content: Any = getattr(event, "content", None)
        match getattr(event, "type", None):
            case "text":
                self._say(content.sender, content.content)
            case "stream":
                self._stream(content.content)
            case "execute_function":
                self._begin_tool(content)
            case "executed_function":
                self._end_tool(content)
            case _:
                pass

    def _say(self, sender: str, text: object) -> None:
        begun, self._begun = self._begun, True
        if not begun and text == self._question:
            return
        if not isinstance(text, str) or not text.strip():
            return
        streamed, self._streamed = self._streamed, None
        self.said.append(Said(speaker=sender, text=text))
        if streamed is None:
            self._running.tell(TextDelta(text=text, source=sender))

    def _stream(self, text: str) -> None:
        # Events of a stream do not say whose they are; outside of the calls that are watched, a
        # manager asks its model who is to speak.
        if self._speaker is not None and text:
            self._streamed = (self._streamed or "") + text
            self._running.tell(TextDelta(text=text, source=self._speaker))

    # --- tools ------------------------------------------------------------------------------------

    def _begin_tool(self, event: Any) -> None:
        self._tool_calls += 1
        self._hold("tool calls", self._tool_calls, self._running.turn.limits.max_tool_calls)
        arguments = event.arguments if isinstance(event.arguments, dict) else {}
        call = ToolCall(
            call_id=event.call_id or f"call_{uuid4().hex}",
            name=event.func_name or "tool",
            arguments={name: _plain(value) for name, value in arguments.items()},
        )
        self._tools.append(call)
        self._running.tell(ToolCallStarted(call=call, source=event.recipient))

    def _end_tool(self, event: Any) -> None:
        if not self._tools:
            return  # one that did not exist, or whose arguments were no JSON
        call = self._tools.pop()
        result = ToolResult(
            call_id=call.call_id,
            name=call.name,
            content=str(event.content),
            is_error=not event.is_exec_success,
        )
        self._running.tell(ToolCallFinished(result=result, source=event.recipient))

    # --- model calls ------------------------------------------------------------------------------

    @contextmanager
    def watching(self, agents: Sequence[object]) -> Iterator[None]:
        """Watch the model calls of these agents within the block."""
        watched = [one for one in agents if isinstance(one, ConversableAgent) and one.client]
        clients = [one.client for one in watched]
        for agent, client in zip(watched, clients, strict=True):
            stand_in: Any = _Watched(client, agent.name, self)
            agent.client = stand_in
        try:
            yield
        finally:
            for agent, client in zip(watched, clients, strict=True):
                agent.client = client

    def call(self, client: Any, name: str, config: dict[str, Any]) -> Any:
        """Make a model call of an agent, told and checked.

        Args:
            client: AG2's own client.
            name: The agent.
            config: Of the call.
        """
        if self._running.stopped:
            raise Stopped
        self._model_calls += 1
        self._hold("model calls", self._model_calls, self._running.turn.limits.max_model_calls)
        model = _model_of(client)
        self._streamed = None
        self._running.tell(ModelCallStarted(model=model, source=name))
        self._speaker = name
        try:
            response = client.create(**config)
        except ValidationError as error:
            # So AG2 takes a stream that ends without a reason, though it means nothing by it.
            if any("finish_reason" in one["loc"] for one in error.errors()):
                self._fail(_cut_off(model, name))
            raise
        finally:
            self._speaker = None
        usage = _usage(getattr(response, "usage", None))
        if usage is not None:
            self._running.usages.append(usage)
        self._running.tell(ModelCallFinished(model=model, usage=usage, source=name))
        choices = getattr(response, "choices", None) or ()
        if any(not getattr(choice, "finish_reason", "stop") for choice in choices):
            self._fail(_cut_off(model, name))
        return response

    def _hold(self, what: str, count: int, limit: int) -> None:
        if count > limit:
            self._fail(LimitReached(f"the turn made {limit} {what}, as many as it may"))

    def _fail(self, failure: AgentError) -> None:
        """End the turn; AG2 and the code of users would swallow an ordinary exception."""
        self.failure = failure
        self._running.stopped = True
        raise Stopped


class _Watched:
    """AG2's client of an agent, watched."""

    def __init__(self, client: Any, name: str, watcher: Watcher) -> None:
        self._client = client
        self._name = name
        self._watcher = watcher

    def create(self, **config: Any) -> Any:
        return self._watcher.call(self._client, self._name, config)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _model_of(client: Any) -> str:
    configs = getattr(client, "_config_list", None) or [{}]
    return str(configs[0].get("model") or "unknown")


def _cut_off(model: str, name: str) -> Truncated:
    return Truncated(f"the stream of {model!r} ended before {name!r} had finished its answer")


def _usage(usage: Any) -> Usage | None:
    read = getattr(usage, "prompt_tokens", None)
    if read is None:
        return None
    return Usage(
        input_tokens=read, output_tokens=getattr(usage, "completion_tokens", None) or 0, calls=1
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
