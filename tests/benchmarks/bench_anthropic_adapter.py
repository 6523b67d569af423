"""What the anthropic adapter costs over the bare SDK, against a server without latency.

Both sides stream the same answer over a kept connection and collect its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anthropic
import anyio
from benchmarks.one_call import CALLS, QUESTION, compare
from massgen_bridge_anthropic import bridge_adapters

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
        return [anyio.run(_measure, server, tokens, pairs) for tokens in CALLS]


async def _measure(server: ModelServerProcess, tokens: int, pairs: int) -> Figure:
    model = f"tokens-{tokens}"
    (spec,) = bridge_adapters()
    async with anthropic.AsyncAnthropic(
        base_url=server.base_url("messages"), api_key=TEST_KEY, max_retries=0
    ) as client:

        async def by_sdk() -> str:
            stream = await client.messages.create(
                model=model,
                max_tokens=1000,
                messages=[{"role": "user", "content": QUESTION}],
                stream=True,
            )
            return "".join(
                [
                    event.delta.text
                    async for event in stream
                    if event.type == "content_block_delta" and event.delta.type == "text_delta"
                ]
            )

        return await compare(
            spec,
            connection_to(server, model=model, protocol="messages"),
            by_sdk,
            tokens=tokens,
            pairs=pairs,
            anthropic=anthropic.__version__,
        )
