"""Turns of a model behind a Chat Completions endpoint, by OpenAI's SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from massgen_bridge.messages import Message
from massgen_bridge.models.chat_forms import chat_response_format, chat_settings, chat_tools
from massgen_bridge.models.chat_messages import chat_assistant, chat_messages
from massgen_bridge.models.chat_quirks import chat_as_understood
from massgen_bridge.models.chat_stream import ChatAnswer, read_chat_answer
from massgen_bridge.models.model_loop import ModelLoop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from massgen_bridge.agent import Emit, Turn
    from massgen_bridge.connection import Connection
    from massgen_bridge.messages import ToolResult
    from massgen_bridge.models.chat_sdk import ChatSdk
    from massgen_bridge.specs import AgentContext

__all__ = ["ChatLoop"]


class ChatLoop(ModelLoop[Any, ChatAnswer]):
    """One model, asked by Chat Completions.

    Args:
        context: What the agent is made of; its connection is needed.
        sdk: OpenAI's SDK as the adapter uses it.
        settings: Further fields of every request.
        parallel_tool_calls: Whether the model may call several tools at once; None leaves it to
            the provider.
        max_tokens_parameter: The request parameter that limits the output.
    """

    sdk: ClassVar[str] = "openai"

    def __init__(
        self,
        context: AgentContext,
        sdk: ChatSdk,
        *,
        settings: Mapping[str, Any] | None = None,
        parallel_tool_calls: bool | None = None,
        max_tokens_parameter: Literal["auto", "max_completion_tokens", "max_tokens"] = "auto",
    ) -> None:
        super().__init__(context, sdk.clients)
        self._sdk = sdk
        self._settings = dict(settings or {})
        self._parallel_tool_calls = parallel_tool_calls
        self._max_tokens_parameter = max_tokens_parameter
        self._request_options = sdk.request_options(self.connection)

    def first_request(self, turn: Turn) -> dict[str, Any]:
        """The body of the turn's first model call; the messages grow with the turn.

        Raises:
            UnsupportedContent: The history has a part that the protocol has no form for.
        """
        connection = self.connection
        request: dict[str, Any] = {
            **chat_settings(
                connection,
                max_output_tokens=turn.limits.max_output_tokens,
                max_tokens_parameter=self._max_tokens_parameter,
            ),
            **self._settings,
            "messages": chat_messages(turn.messages, connection.traits.inputs),
        }
        if turn.tools:
            request["tools"] = chat_tools(turn.tools)
            if self._parallel_tool_calls is not None:
                request["parallel_tool_calls"] = self._parallel_tool_calls
        if turn.output_schema is not None:
            request["response_format"] = chat_response_format(turn.output_schema)
        return request | connection.sampling.extra

    async def ask(
        self, client: Any, request: dict[str, Any], emit: Emit, connection: Connection
    ) -> ChatAnswer:
        """Send one request and read its answer."""
        options = self._request_options
        if connection is not self.connection:
            options = self._sdk.request_options(connection, own_key=True)
        quirks, extra = self.connection.quirks, self.connection.sampling.extra
        body = chat_as_understood(request, quirks, kept=extra)
        async with await self._sdk.stream(client, body, options) as chunks:
            return await read_chat_answer(chunks, emit, reasoning_field=quirks.reasoning_field)

    def go_on(
        self, request: dict[str, Any], answer: ChatAnswer, results: Sequence[ToolResult]
    ) -> None:
        """Add the model's message and the results of its calls."""
        message = chat_assistant(answer.text, answer.calls)
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        told = chat_messages(
            (Message(role="tool", parts=tuple(results)),), self.connection.traits.inputs
        )
        request["messages"] += [message, *told]
