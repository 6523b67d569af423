"""The agent: what it shares with others of its sort comes from `massgen_bridge.adapting`."""

from collections.abc import Sequence
from typing import Any

import openai

from massgen_bridge import (
    AgentContext,
    Capabilities,
    Emit,
    ReasoningDelta,
    StopReason,
    TextDelta,
    ToolResult,
    Turn,
    Usage,
)
from massgen_bridge.adapting import (
    ClientPool,
    Endpoint,
    ModelAnswer,
    ModelLoop,
    check_finish,
    only_text,
    transport,
)

ABLE = Capabilities()  # streams text and takes the history: no tools, no schemas, no media
STOPPED: dict[str, StopReason] = {"length": "length", "content_filter": "refusal"}


def new_client(endpoint: Endpoint) -> openai.AsyncOpenAI:
    settings = transport(openai, endpoint)
    return openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key or "none",
        default_headers=dict(endpoint.headers),
        timeout=settings["timeout"],
        max_retries=0,  # the host makes failed calls again
        http_client=openai.DefaultAsyncHttpxClient(**settings),
    )


CLIENTS = ClientPool("plain_clients", new_client, openai.AsyncOpenAI.close)


class PlainAgent(ModelLoop[openai.AsyncOpenAI, ModelAnswer]):
    sdk = "openai"

    def __init__(self, context: AgentContext) -> None:
        super().__init__(context, CLIENTS)

    def first_request(self, turn: Turn) -> dict[str, Any]:
        ABLE.check(turn)
        sampling = self.connection.sampling
        wanted = {
            "max_tokens": turn.limits.max_output_tokens or sampling.max_output_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        return {
            "model": self.connection.model,
            "messages": [
                {"role": one.role, "content": only_text(one, carrier="this agent")}
                for one in turn.messages
            ],
            **{name: value for name, value in wanted.items() if value is not None},
            "stream": True,
            "stream_options": {"include_usage": True},
            "extra_body": sampling.extra,
        }

    async def ask(
        self, client: openai.AsyncOpenAI, request: dict[str, Any], emit: Emit
    ) -> ModelAnswer:
        text, finish, usage, refused = "", None, None, False
        async with await client.chat.completions.create(**request) as stream:
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
        return ModelAnswer(
            text=text,
            calls=(),
            stop_reason="refusal" if refused else STOPPED.get(check_finish(finish), "end"),
            usage=usage_of(usage),
        )

    def go_on(
        self, request: dict[str, Any], answer: ModelAnswer, results: Sequence[ToolResult]
    ) -> None:
        raise NotImplementedError("a turn without tools is one model call")


def usage_of(usage: Any) -> Usage | None:
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
