"""What the openai adapter costs over the bare SDK, against a server without latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
from benchmarks.one_call import QUESTION, BareSdk, compare_with_sdk
from massgen_bridge_openai import bridge_adapters

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
    versions = {"openai": openai.__version__}
    return compare_with_sdk(
        spec,
        BareSdk(protocol="chat", client=_client, ask=_by_chat, versions=versions),
        BareSdk(
            protocol="responses",
            client=_client,
            ask=_by_responses,
            versions=versions,
            name="openai responses",
        ),
        pairs=pairs,
    )


def _client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=url, api_key=TEST_KEY, max_retries=0)


async def _by_chat(client: openai.AsyncOpenAI, model: str) -> str:
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


async def _by_responses(client: openai.AsyncOpenAI, model: str) -> str:
    stream = await client.responses.create(
        model=model,
        input=[{"role": "user", "content": QUESTION}],
        stream=True,
        store=False,
        include=["reasoning.encrypted_content"],
    )
    return "".join(
        [event.delta async for event in stream if event.type == "response.output_text.delta"]
    )
