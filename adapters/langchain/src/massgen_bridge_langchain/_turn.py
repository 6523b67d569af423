"""Where LangChain's agent loop meets a turn: its model and its tool calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio
from langchain.agents.middleware import AgentMiddleware, AgentState
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.errors import GraphBubbleUp
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command
from pydantic import Field, SkipValidation

from massgen_bridge import (
    Emit,
    InputKind,
    LimitReached,
    ModelCaller,
    ModelCallFinished,
    ToolCall,
    ToolCallFinished,
    ToolCallStarted,
    ToolResult,
    Turn,
    Usage,
)
from massgen_bridge.adapting import NOT_CALLED
from massgen_bridge_langchain._answer import read_answer
from massgen_bridge_langchain._convert import (
    finish_of,
    stop_reason_of,
    tool_message,
    tool_result,
    usage_of,
)
from massgen_bridge_langchain._errors import agent_error
from massgen_bridge_langchain._media import portable_result
from massgen_bridge_langchain._model import BridgeChatModel

__all__ = ["END_ID", "RUNNING", "Running", "TurnModel", "TurnTools"]

# The message that ends LangChain's loop when a tool has ended the turn; no part of the history.
END_ID = "massgen-bridge-end"


@dataclass(slots=True, kw_only=True)
class Running:
    """A turn under way.

    Attributes:
        settings: Parameters of each model call.
        tools: The turn's tools in OpenAI's form.
        tool_settings: Further parameters of a call with tools.
        inputs: Kinds of media that the model takes.
        tool_names: Names of the turn's tools; the agent's middleware may have others.
        malformed: By call id, the text of arguments that were no JSON object.
        results: By call id, what the turn's tools gave.
        ended: Whether a tool has ended the turn.
    """

    turn: Turn
    emit: Emit
    settings: dict[str, Any]
    tools: list[dict[str, Any]]
    tool_settings: dict[str, Any]
    inputs: frozenset[InputKind]
    tool_names: frozenset[str]
    model_calls: int = 0
    own_tool_calls: int = 0
    usages: list[Usage] = field(default_factory=list)
    malformed: dict[str, str] = field(default_factory=dict)
    results: dict[str, ToolResult] = field(default_factory=dict)
    ended: bool = False
    lock: anyio.Lock = field(default_factory=anyio.Lock)


RUNNING: ContextVar[Running] = ContextVar("massgen_bridge_langchain_running")
"""The turn that the current task belongs to; LangGraph's tasks inherit it."""


class TurnModel(BridgeChatModel):
    """Makes each call of the agent loop as a call of the turn that it belongs to.

    The stream is read here and not by LangGraph's mode `messages`: deltas stay in order with all
    other events, and wait for whoever takes them.

    Attributes:
        agent_id: The agent it works for.
        where: Names the connection and its model, for errors.
        call_model: The retry policy.
    """

    agent_id: str
    where: str
    call_model: SkipValidation[ModelCaller] = Field(exclude=True, repr=False)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - told of the whole answer
        **kwargs: Any,
    ) -> ChatResult:
        running = RUNNING.get()
        if running.ended:
            return _result(AIMessage("", id=END_ID))
        limit = running.turn.limits.max_model_calls
        if running.model_calls >= limit:
            raise LimitReached(
                f"the turn made {limit} model calls, as many as it may, and the model still "
                "calls tools",
                agent_id=self.agent_id,
            )
        running.model_calls += 1
        settings = {**kwargs, **running.settings}
        if tools := [*kwargs.get("tools", ()), *running.tools]:
            settings |= running.tool_settings | {"tools": tools}

        async def attempt() -> AIMessage:
            return await self._attempt(running, messages, stop, settings)

        message = await self.call_model(attempt, running.emit)
        usage = usage_of(message)
        if usage is not None:
            running.usages.append(usage)
        await running.emit(ModelCallFinished(model=self.model, usage=usage))
        return _result(self._checked(message))

    async def _attempt(
        self,
        running: Running,
        messages: list[BaseMessage],
        stop: list[str] | None,
        settings: dict[str, Any],
    ) -> AIMessage:
        malformed: dict[str, str] = {}
        items: Any = self._astream(messages, stop=stop, **settings)
        try:
            async with aclosing(items) as stream:
                message = await read_answer(stream, running.emit, malformed)
        except Exception as error:  # the SDK lets errors of its HTTP library through
            mapped = agent_error(
                error, agent_id=self.agent_id, where=self.where, in_model_call=True
            )
            if mapped is None:
                raise
            raise mapped from error
        running.malformed |= malformed
        return message

    def _checked(self, message: AIMessage) -> AIMessage:
        stop_reason = stop_reason_of(finish_of(message))
        if message.tool_calls and stop_reason == "length":
            raise LimitReached(
                f"{self.where}: the output limit was reached in the middle of a tool call",
                agent_id=self.agent_id,
            )
        if stop_reason == "refusal" or "refusal" in message.additional_kwargs:
            # A refusal stands in place of what the model was about to do.
            message.tool_calls = []
        return message


def _result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])


class TurnTools(AgentMiddleware[AgentState[Any], None]):
    """Makes the tool calls of the agent loop through the turn that they belong to."""

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Make one tool call.

        LangGraph starts the calls of a message at once, in order. They are made one after the
        other: what a turn does never depends on which tool happens to be faster.
        """
        running = RUNNING.get()
        call = _tool_call(request, running)
        async with running.lock:
            if running.ended:
                return _failed(call, NOT_CALLED)
            await running.emit(ToolCallStarted(call=call))
            if request.tool is not None and call.name not in running.tool_names:
                return await self._call_own_tool(call, request, handler)
            result = await running.turn.call_tool(call)
            await running.emit(ToolCallFinished(result=result))
            running.results[call.call_id] = result
            running.ended = result.ends_turn
        return tool_message(portable_result(result, running.inputs))

    async def _call_own_tool(
        self,
        call: ToolCall,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Call a tool that the agent's middleware brings along."""
        running = RUNNING.get()
        limit = running.turn.limits.max_tool_calls
        if running.own_tool_calls >= limit:
            raise LimitReached(f"the turn made {limit} tool calls, as many as it may")
        running.own_tool_calls += 1
        try:
            output = await handler(request)
        except GraphBubbleUp:
            raise
        except Exception as error:  # noqa: BLE001 - a tool may raise anything, the model is told
            output = _failed(call, f"{type(error).__name__}: {error}")
        result = ToolResult(call_id=call.call_id, name=call.name, content="")
        if isinstance(output, ToolMessage):  # else a change of the state
            given = tool_result(output)
            result = given.model_copy(update={"call_id": call.call_id, "name": call.name})
        await running.emit(ToolCallFinished(result=result))
        return output


def _tool_call(request: ToolCallRequest, running: Running) -> ToolCall:
    asked = request.tool_call
    call_id = asked["id"] or ""
    if call_id in running.malformed:
        return ToolCall(call_id=call_id, name=asked["name"], malformed=running.malformed[call_id])
    return ToolCall(call_id=call_id, name=asked["name"], arguments=asked["args"])


def _failed(call: ToolCall, reason: str) -> ToolMessage:
    return tool_message(
        ToolResult(call_id=call.call_id, name=call.name, content=reason, is_error=True)
    )
