"""What the anthropic adapter costs over the bare SDK, against a server without latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anthropic
from benchmarks.one_call import QUESTION, BareSdk, compare_with_sdk
from massgen_bridge_anthropic import bridge_adapters

from massgen_bridge.testing.agents import TEST_KEY

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

__all__ = ["measure"]


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the adapter against the bare SDK, for a short and for a long answer.

    Args:
        pairs: How often both sides take their turn.
    """
    (spec,) = bridge_adapters()
    sdk = BareSdk(
        protocol="messages",
        client=lambda url: anthropic.AsyncAnthropic(base_url=url, api_key=TEST_KEY, max_retries=0),
        ask=_ask,
        versions={"anthropic": anthropic.__version__},
    )
    return compare_with_sdk(spec, sdk, pairs=pairs)


async def _ask(client: anthropic.AsyncAnthropic, model: str) -> str:
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
