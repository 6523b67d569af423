"""What the ag2 adapter costs over native AG2, against a server without latency.

The native side is what a user of AG2 would write: an `Agent` with a streaming `OpenAIConfig`, whose
chunks are collected. AG2 makes a client for each call; it gets one that is shared, so that both
sides keep their connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ag2
import anyio
import openai
from ag2.config import OpenAIConfig
from ag2.events import ModelMessageChunk
from benchmarks.one_call import QUESTION, compare
from massgen_bridge_ag2 import bridge_adapters

from massgen_bridge.testing.agents import TEST_KEY, connection_to
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from typing import Any

    from benchmarks.measuring import Figure

__all__ = ["measure"]

_CALLS = {1: 20, 100: 5}
"""Calls in one measurement, by tokens of the answer."""


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the adapter against native AG2, for a short and for a long answer.

    Args:
        pairs: How often both sides take their turn.
    """
    with ModelServerProcess() as server:
        return anyio.run(_measure_all, server, pairs)


async def _measure_all(server: ModelServerProcess, pairs: int) -> list[Figure]:
    async with openai.DefaultAsyncHttpxClient() as client:
        return [await _measure(server, client, tokens, pairs) for tokens in _CALLS]


async def _measure(server: ModelServerProcess, client: Any, tokens: int, pairs: int) -> Figure:
    model = f"tokens-{tokens}"
    (spec,) = bridge_adapters()
    config = OpenAIConfig(
        model,
        base_url=server.url,
        api_key=TEST_KEY,
        streaming=True,
        max_retries=0,
        http_client=client,
    )
    native = ag2.Agent("agent", config=config)

    async def natively() -> str:
        pieces: list[str] = []

        async def hear(event: ModelMessageChunk) -> None:
            pieces.append(event.content)

        stream = ag2.MemoryStream()
        stream.where(ModelMessageChunk).subscribe(hear)
        await native.ask(QUESTION, stream=stream)
        return "".join(pieces)

    return await compare(
        spec,
        connection_to(server, model=model),
        natively,
        tokens=tokens,
        pairs=pairs,
        native="native AG2",
        calls=_CALLS,
        ag2=ag2.__version__,
    )
