"""An agent that is one model behind a Chat Completions endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import openai

from massgen_bridge import AgentContext, Emit, Message, ToolResult, Turn
from massgen_bridge.adapting import (
    ModelLoop,
    chat_limit_parameter,
    chat_response_format,
    chat_tools,
)
from massgen_bridge_openai._clients import CLIENTS, request_options, stream
from massgen_bridge_openai._convert import assistant_message, chat_messages
from massgen_bridge_openai._options import OpenAIOptions
from massgen_bridge_openai._stream import Answer, read_answer

__all__ = ["ChatAgent"]


class ChatAgent(ModelLoop[openai.AsyncOpenAI, Answer]):
    """One model, asked by Chat Completions."""

    sdk: ClassVar[str] = "openai"

    def __init__(self, context: AgentContext) -> None:
        super().__init__(context, CLIENTS)
        self._options: OpenAIOptions = context.options
        self._request_options = request_options(self.connection)

    def first_request(self, turn: Turn) -> dict[str, Any]:
        """The body of the turn's first model call; the messages grow with the turn.

        Raises:
            UnsupportedContent: The history has a part that the protocol has no form for.
        """
        connection = self.connection
        sampling = connection.sampling
        request: dict[str, Any] = {
            "model": connection.model,
            "messages": chat_messages(turn.messages, connection.traits.inputs),
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._output_limit(turn),
            **{
                name: value
                for name in ("temperature", "top_p", "seed")
                if (value := getattr(sampling, name)) is not None
            },
        }
        if turn.tools:
            request["tools"] = chat_tools(turn.tools)
            if self._options.parallel_tool_calls is not None:
                request["parallel_tool_calls"] = self._options.parallel_tool_calls
        if turn.output_schema is not None:
            request["response_format"] = chat_response_format(turn.output_schema)
        return request | sampling.extra

    async def ask(self, client: openai.AsyncOpenAI, request: dict[str, Any], emit: Emit) -> Answer:
        """Send one request and read its answer."""
        async with await stream(client, request, self._request_options) as chunks:
            return await read_answer(chunks, emit)

    def go_on(self, request: dict[str, Any], answer: Answer, results: Sequence[ToolResult]) -> None:
        """Add the model's message and the results of its calls."""
        message = assistant_message(answer.text, answer.calls)
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        told = chat_messages((Message(role="tool", parts=tuple(results)),), ())
        request["messages"] += [message, *told]

    def _output_limit(self, turn: Turn) -> dict[str, int]:
        limit = turn.limits.max_output_tokens or self.connection.sampling.max_output_tokens
        if limit is None:
            return {}
        parameter = chat_limit_parameter(
            self.connection.base_url, self._options.max_tokens_parameter
        )
        return {parameter: limit}
