"""Your own code as an agent: a coroutine that talks to the model in its own way.

It honours `turn.output_schema`, so that it can vote, and streams what it gets.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI

from massgen_bridge import ModelCallStarted, TextDelta, TurnResult, Usage, assistant

if TYPE_CHECKING:
    from massgen_bridge import Connection, Emit, Turn


async def answer(turn: Turn, emit: Emit, connection: Connection) -> TurnResult:
    """Ask the model of this agent's connection and stream its answer."""
    request: dict[str, Any] = {
        "model": connection.model,
        "messages": [{"role": m.role, "content": m.text} for m in turn.messages],
        "max_tokens": connection.sampling.max_output_tokens,
        "temperature": connection.sampling.temperature,
    }
    if turn.output_schema is not None:
        schema = {"name": "ballot", "schema": turn.output_schema}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    key = connection.api_key.get_secret_value() if connection.api_key else "none"
    text, usage = "", Usage(calls=1)
    async with AsyncOpenAI(base_url=connection.base_url, api_key=key) as client:
        await emit(ModelCallStarted(model=connection.model))
        chunks = await client.chat.completions.create(
            **request, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in chunks:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                text += piece
                await emit(TextDelta(text=piece))
            if chunk.usage:
                usage = Usage(
                    input_tokens=chunk.usage.prompt_tokens,
                    output_tokens=chunk.usage.completion_tokens,
                    calls=1,
                )
    return TurnResult(
        message=assistant(text),
        structured=json.loads(text) if turn.output_schema is not None else None,
        usage=usage,
    )
