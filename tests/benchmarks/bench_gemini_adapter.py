"""What the gemini adapter costs over the bare SDK, against a server without latency.

Both sides stream the same answer over a kept connection and collect its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from benchmarks.one_call import CALLS, QUESTION, compare
from google import genai
from google.genai import types
from massgen_bridge_gemini import bridge_adapters

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
    options = types.HttpOptions(base_url=server.base_url("gemini"))
    async with genai.Client(api_key=TEST_KEY, http_options=options).aio as client:

        async def by_sdk() -> str:
            stream = await client.models.generate_content_stream(model=model, contents=QUESTION)
            return "".join([response.text or "" async for response in stream])

        return await compare(
            spec,
            connection_to(server, model=model, protocol="gemini"),
            by_sdk,
            tokens=tokens,
            pairs=pairs,
            google_genai=genai.__version__,
        )
