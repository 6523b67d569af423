"""What one CrewAI agent is made of for one turn: its prompt, its model and its tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from crewai.core.providers.human_input import SyncHumanInputProvider
from crewai.tools import BaseTool
from pydantic import BaseModel, PrivateAttr

from massgen_bridge import JsonValue, Message, ToolCall, ToolResult, UnsupportedContent
from massgen_bridge.adapting import (
    ChatAnswer,
    chat_assistant,
    chat_messages,
    chat_response_format,
    chat_tools,
)
from massgen_bridge_crewai._llm import BridgeLLM, wire_call
from massgen_bridge_crewai._running import Running

__all__ = ["AgentLLM", "HistoryPrompt", "TurnTool", "turn_tools"]

# A tool that may be called only so often is never called beside another: results stay in order.
_ONE_BY_ONE = 2**31


class HistoryPrompt(SyncHumanInputProvider):
    """Puts the turn's history in place of the prompt that CrewAI would make of it.

    Args:
        messages: The history, as Chat Completions takes it.
    """

    def __init__(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self._messages = messages

    def setup_messages(self, context: Any) -> bool:
        """Fill in the messages, so that CrewAI does not."""
        context.messages.extend(dict(message) for message in self._messages)
        return True


class _Said(BaseModel):
    """An answer as CrewAI leaves it: a text it would search for tool calls, and trim."""

    text: str

    def __str__(self) -> str:
        return self.text


class AgentLLM(BridgeLLM):
    """The model of an agent that was made from YAML: it knows the turn's tools and schema."""

    _tool_names: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _parallel: bool | None = PrivateAttr(default=None)
    _said: dict[str, dict[str, Any]] = PrivateAttr(default_factory=dict)

    def offer(self, tools: Mapping[str, str], *, parallel: bool | None) -> None:
        """Say which tools there are.

        Args:
            tools: CrewAI's names of the turn's tools, by their names.
            parallel: Whether the model may call several at once.
        """
        self._tool_names, self._parallel = tools, parallel

    def call(  # noqa: PLR0917 - CrewAI's signature
        self,
        messages: str | list[Any],
        tools: list[Any] | None = None,
        callbacks: list[Any] | None = None,  # noqa: ARG002 - usage is counted by the turn
        available_functions: dict[str, Any] | None = None,  # noqa: ARG002 - never given
        from_task: Any = None,  # noqa: ARG002 - there is none
        from_agent: Any = None,  # noqa: ARG002 - the agent itself
        response_model: type[BaseModel] | None = None,  # noqa: ARG002 - the turn has the schema
    ) -> Any:
        """Ask the model; what it calls is put as a reference to the call, not as the call itself.

        Raises:
            TurnOver: The call failed, or may not be made.
        """
        turn = self._running.turn
        request = self._request(messages, None, None)
        extra: dict[str, Any] = {}
        if tools:
            extra["tools"] = chat_tools(turn.tools)
            if self._parallel is not None:
                extra["parallel_tool_calls"] = self._parallel
        if turn.output_schema is not None:
            extra["response_format"] = chat_response_format(turn.output_schema)
        # What the connection says as `sampling.extra` goes over everything else.
        answer = self._running.ask(self._access, extra | request, None)
        self._count(answer)
        if answer.calls and answer.stop_reason != "refusal":
            self._remember(answer)
            return [self._reference(call) for call in answer.calls]
        # The end that CrewAI asks for by itself has to be a text.
        return answer.text or " " if turn.tools and not tools else _Said(text=answer.text)

    def _reference(self, call: ToolCall) -> dict[str, Any]:
        # The host says of an unknown tool what it says; to CrewAI it is one of the others.
        name = self._tool_names.get(call.name) or next(iter(self._tool_names.values()))
        return wire_call(call.call_id, name, json.dumps({"call_id": call.call_id}))

    def _remember(self, answer: ChatAnswer) -> None:
        message = chat_assistant(answer.text, answer.calls)
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        self._said[answer.calls[0].call_id] = message

    def _wire_messages(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Media that tools gave, which CrewAI knows nothing of, follow their results."""
        wired: list[dict[str, Any]] = []
        shown: list[dict[str, Any]] = []
        for message in messages:
            if message["role"] != "tool":
                wired += shown
                shown = []
            wired.append(self._wire_message(message))
            result = self._running.results.get(message.get("tool_call_id", ""))
            if result is not None and result.media:
                shown += self._shown(result)
        return wired + shown

    def _shown(self, result: ToolResult) -> list[dict[str, Any]]:
        try:
            told = chat_messages((Message(role="tool", parts=(result,)),), self._traits.inputs)
        except UnsupportedContent as error:
            self._fail(error)
            raise
        return [message for message in told if message["role"] != "tool"]

    def _wire_message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What the model said and what the tools gave goes back as it was."""
        if calls := message.get("tool_calls"):
            return self._said.get(calls[0]["id"]) or dict(message)
        if (call_id := message.get("tool_call_id")) in self._running.results:
            content = self._running.results[call_id].content
            return {"role": "tool", "tool_call_id": call_id, "content": content}
        return super()._wire_message(message)


class _Reference(BaseModel):
    """The one argument of a tool, as CrewAI sees it."""

    call_id: str


class TurnTool(BaseTool):
    """One of the turn's tools: it is called through the turn, with what the model wrote."""

    args_schema: type[BaseModel] = _Reference
    max_usage_count: int | None = _ONE_BY_ONE
    _running: Running = PrivateAttr()

    def _run(self, call_id: str) -> JsonValue:
        calls = (call for answer in reversed(self._running.answers) for call in answer.calls)
        return self._running.call_tool(next(c for c in calls if c.call_id == call_id)).content


def turn_tools(running: Running) -> dict[str, TurnTool]:
    """The turn's tools as CrewAI's, by the turn's names; CrewAI itself knows no capitals."""
    tools: dict[str, TurnTool] = {}
    for number, definition in enumerate(running.turn.tools):
        tool = TurnTool(name=f"tool_{number}", description=definition.description)
        tool._running = running  # noqa: SLF001 - our own private attribute
        tools[definition.name] = tool
    return tools
