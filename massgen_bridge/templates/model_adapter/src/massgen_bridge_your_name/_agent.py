"""The agent. What every agent of one model does (retries, tool calls, errors) is in `ModelLoop`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import openai
from massgen_bridge import (
    AgentContext,
    Connection,
    Emit,
    ReasoningDelta,
    StopReason,
    TextDelta,
    ToolResult,
    Turn,
    UnsupportedContent,
    Usage,
)
from massgen_bridge.adapting import (
    ClientPool,
    Endpoint,
    ModelAnswer,
    ModelLoop,
    StreamedToolCalls,
    ambient_headers,
    chat_tools,
    check_finish,
    transport,
)

from massgen_bridge_your_name import _messages

__all__ = ["ModelAgent"]

# Why the model stopped, in the words of massgen-bridge; all else is its usual end.
_STOPPED: dict[str, StopReason] = {"length": "length", "content_filter": "refusal"}


def _new_client(endpoint: Endpoint) -> openai.AsyncOpenAI:
    settings = transport(openai, endpoint)
    key = endpoint.api_key or "none"
    # The SDK adds headers of its own from the environment; the connection alone says what is sent.
    headers = ambient_headers("OPENAI_CUSTOM_HEADERS", openai.Omit())
    headers["Authorization"] = f"Bearer {key}"
    client = openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=key,
        default_headers=headers | dict(endpoint.headers),
        timeout=settings["timeout"],
        max_retries=0,  # massgen-bridge makes failed calls again, as the configuration says
        http_client=openai.DefaultAsyncHttpxClient(**settings),
    )
    client.organization = client.project = None
    return client


# Agents at the same endpoint share a client.
_CLIENTS = ClientPool("your_name", _new_client, openai.AsyncOpenAI.close)


class ModelAgent(ModelLoop[openai.AsyncOpenAI, ModelAnswer]):
    """One model. It serves many turns, also at the same time: it keeps nothing of them."""

    sdk = "openai"

    def __init__(self, context: AgentContext) -> None:
        super().__init__(context, _CLIENTS)

    def first_request(self, turn: Turn) -> dict[str, Any]:
        """What the model is asked first in a turn."""
        if turn.output_schema is not None:
            raise UnsupportedContent("this agent cannot be held to an output schema")
        sampling = self.connection.sampling
        wanted = {
            "max_tokens": turn.limits.max_output_tokens or sampling.max_output_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "tools": chat_tools(turn.tools) or None,
        }
        return {
            "model": self.connection.model,
            "messages": _messages.chat_messages(turn.messages),
            **{name: value for name, value in wanted.items() if value is not None},
            "stream": True,
            "stream_options": {"include_usage": True},
            "extra_body": sampling.extra,
        }

    async def ask(
        self,
        client: openai.AsyncOpenAI,
        request: dict[str, Any],
        emit: Emit,
        connection: Connection,
    ) -> ModelAnswer:
        """Send a request and read its answer; what the SDK raises becomes an `AgentError`."""
        headers = {}
        if connection is not self.connection:
            # The host stands between: turns share a client, and each has a key of its own.
            headers["Authorization"] = f"Bearer {connection.api_key or 'none'}"
        text, finish, usage, refused = "", None, None, False
        calls = StreamedToolCalls()
        async with await client.chat.completions.create(**request, extra_headers=headers) as stream:
            async for chunk in stream:
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    delta, finish = choice.delta, choice.finish_reason or finish
                    refused = refused or bool(delta.refusal)
                    if piece := delta.content or delta.refusal:
                        text += piece
                        await emit(TextDelta(text=piece))
                    if thought := getattr(delta, "reasoning_content", None):
                        await emit(ReasoningDelta(text=thought))
                    for call in delta.tool_calls or ():
                        calls.take(
                            index=call.index,
                            call_id=call.id,
                            name=call.function and call.function.name,
                            arguments=call.function and call.function.arguments,
                        )
        return ModelAnswer(
            text=text,
            calls=calls.joined(),
            stop_reason="refusal" if refused else _STOPPED.get(check_finish(finish), "end"),
            usage=_usage(usage),
        )

    def go_on(
        self, request: dict[str, Any], answer: ModelAnswer, results: Sequence[ToolResult]
    ) -> None:
        """Make the request that gave an answer the next one, with the results of its calls."""
        request["messages"] += [_messages.assistant_message(answer.text, answer.calls)]
        request["messages"] += _messages.tool_messages(results)


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    read, made = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        cached_tokens=(read and read.cached_tokens) or 0,
        output_tokens=usage.completion_tokens,
        reasoning_tokens=(made and made.reasoning_tokens) or 0,
        calls=1,
    )
