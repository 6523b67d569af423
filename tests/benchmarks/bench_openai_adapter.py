"""What the openai adapter costs over the bare SDK, against a server without latency.

Both sides stream the same answer over a kept connection and collect its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import openai
from benchmarks.one_call import CALLS, QUESTION, compare
from massgen_bridge_openai import bridge_adapters

from massgen_bridge.testing.agents import TEST_KEY, connection_to
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

__all__ = ["measure"]


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the adapter against the bare SDK, for a short and for a long answer.

    Args:
        pairs: How often both sides take their turn.
    """
    with ModelServerProcess() as server:
        return [
            anyio.run(measured, server, tokens, pairs)
            for measured in (_by_chat, _by_responses)
            for tokens in CALLS
        ]


async def _by_chat(server: ModelServerProcess, tokens: int, pairs: int) -> Figure:
    model = f"tokens-{tokens}"
    (spec,) = bridge_adapters()
    async with openai.AsyncOpenAI(
        base_url=server.base_url("chat"), api_key=TEST_KEY, max_retries=0
    ) as client:

        async def by_sdk() -> str:
            stream = await client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": QUESTION}],
                stream=True,
                stream_options={"include_usage": True},
            )
            return "".join(
                [
                    chunk.choices[0].delta.content
                    async for chunk in stream
                    if chunk.choices and chunk.choices[0].delta.content
                ]
            )

        return await compare(
            spec,
            connection_to(server, model=model),
            by_sdk,
            tokens=tokens,
            pairs=pairs,
            openai=openai.__version__,
        )


async def _by_responses(server: ModelServerProcess, tokens: int, pairs: int) -> Figure:
    model = f"tokens-{tokens}"
    (spec,) = bridge_adapters()
    async with openai.AsyncOpenAI(
        base_url=server.base_url("responses"), api_key=TEST_KEY, max_retries=0
    ) as client:

        async def by_sdk() -> str:
            stream = await client.responses.create(
                model=model,
                input=[{"role": "user", "content": QUESTION}],
                stream=True,
                store=False,
                include=["reasoning.encrypted_content"],
            )
            return "".join(
                [
                    event.delta
                    async for event in stream
                    if event.type == "response.output_text.delta"
                ]
            )

        return await compare(
            spec,
            connection_to(server, model=model, protocol="responses"),
            by_sdk,
            tokens=tokens,
            pairs=pairs,
            name="openai responses",
            openai=openai.__version__,
        )
