"""What the openai adapter costs over the bare SDK, against a server without latency.

Both sides stream the same answer over a kept connection and collect its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import openai
from benchmarks.measuring import figure, in_turns, ratios
from massgen_bridge_openai import bridge_adapters

from massgen_bridge.testing.agents import TEST_KEY, connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

    from massgen_bridge import TurnEvent

__all__ = ["measure"]

_CALLS = {1: 40, 100: 10}
"""Calls in one measurement, by tokens of the answer."""


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the adapter against the bare SDK, for a short and for a long answer.

    Args:
        pairs: How often both sides take their turn.
    """
    with ModelServerProcess() as server:
        return [anyio.run(_measure, server, tokens, pairs) for tokens in _CALLS]


async def _measure(server: ModelServerProcess, tokens: int, pairs: int) -> Figure:
    model, calls = f"tokens-{tokens}", _CALLS[tokens]
    (spec,) = bridge_adapters()
    agent = make_agent(spec, {}, connection_to(server, model=model))
    client = openai.AsyncOpenAI(base_url=server.url, api_key=TEST_KEY, max_retries=0)
    question = turn("How many words does it take?")

    async def emit(event: TurnEvent, /) -> None:
        """As cheap as an emit can be."""

    async def by_adapter() -> str:
        return (await agent.run(question, emit)).text

    async def by_sdk() -> str:
        stream = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": question.question}],
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

    async def ours() -> None:
        for _ in range(calls):
            await by_adapter()

    async def bare() -> None:
        for _ in range(calls):
            await by_sdk()

    if await by_adapter() != await by_sdk():
        raise AssertionError("both sides have to collect the same text")
    walls, details = ratios(await in_turns(pairs, ours, bare), calls=calls)
    await agent.aclose()
    await client.close()
    return figure(
        f"openai_adapter_{tokens}_tokens",
        f"openai adapter / bare SDK, one call, {tokens} token{'s' * (tokens > 1)}",
        walls,
        goal=1.10,
        openai=openai.__version__,
        **details,
    )
