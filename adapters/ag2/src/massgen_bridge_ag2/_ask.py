"""One question to one AG2 agent, whose model calls and tool calls are the turn's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ag2 import Agent, MemoryStream
from ag2.events import (
    ModelMessage,
    ModelResponse,
    ToolCallEvent,
    ToolCallsEvent,
    Usage,
)

from massgen_bridge import (
    JsonValue,
    Message,
    StopReason,
    TextPart,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from massgen_bridge.adapting import (
    ChatAnswer,
    chat_assistant,
    chat_messages,
    chat_response_format,
    chat_tools,
    structured_answer,
)
from massgen_bridge_ag2._calls import TurnCalls, sourced
from massgen_bridge_ag2._model import TurnModel
from massgen_bridge_ag2._tools import TurnTools

__all__ = ["Asked"]


class Asked(TurnModel):
    """One question to an AG2 agent; AG2 takes it for the model that the agent uses.

    The history goes to the model as the host has it. AG2's own form of it would lose names and add
    an empty system message.

    Args:
        calls: Makes the model calls.
        messages: The history, as Chat Completions takes it; it grows.
        tools: The tools that the model can call.
        schema: What the answer is held to.
        source: The member of a group that is asked; None for the agent itself.
        targets: To whom the member can give the word.

    Attributes:
        history: What was added to the conversation.
        stop_reason: Why the model stopped at last.
        handoff: To whom the member gave the word, and why.
    """

    def __init__(
        self,
        calls: TurnCalls,
        messages: list[dict[str, Any]],
        *,
        tools: Sequence[ToolDefinition] = (),
        schema: dict[str, JsonValue] | None = None,
        source: str | None = None,
        targets: Sequence[str] = (),
    ) -> None:
        super().__init__(calls)
        self._messages = messages
        self._schema = schema
        self._emit = sourced(calls.course.emit, source)
        self._tools = TurnTools(calls.course, tools, emit=self._emit, targets=targets)
        self._body = self._fixed()
        self.history: list[Message] = []
        self.stop_reason: StopReason = "end"

    @property
    def text(self) -> str:
        """What the agent has said at last; with a hand-off, beside it."""
        said = (one.text for one in reversed(self.history) if one.role == "assistant")
        return next(said, "")

    @property
    def handoff(self) -> tuple[str, str] | None:
        """To whom the word was given, and why."""
        return self._tools.handoff

    async def of(self, agent: Agent[Any], question: str) -> None:
        """Ask.

        Args:
            agent: Runs the loop of model calls and tool calls.
            question: What AG2 is told that the question is; the model gets the messages.

        Raises:
            AgentError: The turn failed.
        """
        stream = MemoryStream()
        # Before AG2's own subscribers: what is sent reaches them in the order of subscription.
        stream.where(ToolCallEvent).subscribe(self._tools.take)
        tools = [self._tools] if self._tools.definitions else []
        await agent.ask(question, stream=stream, config=self, tools=tools)
        self._collect()
        course = self._calls.course
        if course.failure is not None:
            raise course.failure

    def structured(self) -> JsonValue | None:
        """The value that the answer stands for, where it was held to a schema.

        Raises:
            ProtocolFailed: It is no JSON.
        """
        if self._schema is None or self.stop_reason in {"refusal", "tool"}:
            return None
        access = self._calls.access
        return structured_answer(
            self.text, stop_reason=self.stop_reason, where=access.where, agent_id=access.agent_id
        )

    async def __call__(self, *_: Any, **__: Any) -> ModelResponse:
        """Make the next model call; what AG2 knows of history and tools, the host knows better.

        Raises:
            AgentError: The turn failed.
        """
        self._collect()
        if (failure := self._calls.course.failure) is not None:
            raise failure
        if self._tools.done:
            self.stop_reason = "tool"
            return ModelResponse(message=ModelMessage(self.text))
        answer = await self._calls.ask(self._body | {"messages": self._messages}, emit=self._emit)
        return self._response(answer)

    # --- between the two --------------------------------------------------------------------------

    def _fixed(self) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if self._tools.definitions:
            body["tools"] = chat_tools(self._tools.definitions)
            parallel = self._calls.access.options.parallel_tool_calls
            if parallel is not None:
                body["parallel_tool_calls"] = parallel
        if self._schema is not None:
            body["response_format"] = chat_response_format(self._schema)
        return body

    def _collect(self) -> None:
        """Add the results of the model's tool calls, once there are any."""
        tools = self._tools
        if not tools.calls:
            return
        results = tuple(
            tools.results.get(key) or _unanswered(call) for key, call in tools.calls.items()
        )
        tools.calls.clear()
        tools.results.clear()
        told = Message(role="tool", parts=results)
        self.history.append(told)
        inputs = self._calls.access.connection.traits.inputs
        self._messages += chat_messages((told,), inputs)

    def _response(self, answer: ChatAnswer) -> ModelResponse:
        # A refusal stands in place of what the model was about to do.
        calls = () if answer.stop_reason == "refusal" else answer.calls
        self.stop_reason = answer.stop_reason
        text = (TextPart(text=answer.text),) if answer.text else ()
        self.history.append(Message(role="assistant", parts=(*text, *calls)))
        message = chat_assistant(answer.text, calls)
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        self._messages.append(message)
        # A server may use an id twice, and AG2 matches results by it.
        made = [_event(call) for call in calls]
        self._tools.calls = {event.id: call for event, call in zip(made, calls, strict=True)}
        return ModelResponse(
            message=ModelMessage(answer.text) if answer.text else None,
            tool_calls=ToolCallsEvent(made),
            usage=Usage(),
            model=self.model,
            provider="openai",
            finish_reason=answer.stop_reason,
        )


def _event(call: ToolCall) -> ToolCallEvent:
    return ToolCallEvent(call.name, arguments=json.dumps(call.arguments))


def _unanswered(call: ToolCall) -> ToolResult:
    return ToolResult(call_id=call.call_id, name=call.name, content="not called", is_error=True)
