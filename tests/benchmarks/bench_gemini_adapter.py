"""What the gemini adapter costs over the bare SDK, against a server without latency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.one_call import QUESTION, BareSdk, compare_with_sdk
from google import genai
from google.genai import types
from massgen_bridge_gemini import bridge_adapters

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
        protocol="gemini",
        client=_client,
        ask=_ask,
        versions={"google_genai": genai.__version__},
    )
    return compare_with_sdk(spec, sdk, pairs=pairs)


def _client(url: str) -> Any:
    return genai.Client(api_key=TEST_KEY, http_options=types.HttpOptions(base_url=url)).aio


async def _ask(client: Any, model: str) -> str:
    stream = await client.models.generate_content_stream(model=model, contents=QUESTION)
    return "".join([response.text or "" async for response in stream])
