"""What the openai adapter costs over the bare SDK, against a server without latency.

    python tests/benchmarks/bench_openai_adapter.py

Both sides stream the same answer over a kept connection and collect its text. They take turns
within one run, so that whatever else the machine does weighs on both.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import openai
from massgen_bridge_openai import bridge_adapters

from massgen_bridge.testing.agents import TEST_KEY, connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from massgen_bridge import TurnEvent

__all__ = ["MOST", "measure"]

MOST = 1.10
"""The promise: at most this many times the time of the bare SDK."""

_CALLS = {1: 40, 100: 10}
"""Calls in one measurement, by tokens of the answer."""


def measure(pairs: int = 20) -> list[dict[str, Any]]:
    """Measure the adapter against the bare SDK.

    Args:
        pairs: How often both sides take their turn.

    Returns:
        For each length of answer: `name`, `ratio_wall` and `ratio_cpu` (medians over the pairs),
        `most` (the promise), and `details`: milliseconds a call of both sides, the ratio of each
        pair, versions.
    """
    with ModelServerProcess() as server:
        return [anyio.run(_measure, server, tokens, pairs) for tokens in _CALLS]


async def _measure(server: ModelServerProcess, tokens: int, pairs: int) -> dict[str, Any]:
    model = f"tokens-{tokens}"
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

    if await by_adapter() != await by_sdk():
        raise AssertionError("both sides have to collect the same text")
    samples = await _take_turns(by_sdk, by_adapter, calls=_CALLS[tokens], pairs=pairs)
    await agent.aclose()
    await client.close()
    return _summary(tokens, samples)


async def _take_turns(
    one: Callable[[], Awaitable[str]],
    other: Callable[[], Awaitable[str]],
    *,
    calls: int,
    pairs: int,
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Wall and CPU seconds a call of both sides, in pairs."""
    await _time(one, calls)
    await _time(other, calls)
    samples = []
    for number in range(pairs):
        if number % 2:
            late = await _time(other, calls)
            samples.append((await _time(one, calls), late))
        else:
            early = await _time(one, calls)
            samples.append((early, await _time(other, calls)))
    return samples


async def _time(call: Callable[[], Awaitable[str]], calls: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        await call()
    return (time.perf_counter() - wall) / calls, (time.process_time() - cpu) / calls


def _summary(
    tokens: int, samples: list[tuple[tuple[float, float], tuple[float, float]]]
) -> dict[str, Any]:
    walls = [adapter[0] / sdk[0] for sdk, adapter in samples]
    cpus = [adapter[1] / sdk[1] for sdk, adapter in samples]
    sides = dict(zip(("sdk", "adapter"), zip(*samples, strict=True), strict=True))
    return {
        "name": f"openai_adapter_{tokens}_tokens",
        "ratio_wall": statistics.median(walls),
        "ratio_cpu": statistics.median(cpus),
        "most": MOST,
        "details": {
            **{
                f"{side}_{what}_ms": 1000 * statistics.median(pair[at] for pair in taken)
                for side, taken in sides.items()
                for at, what in enumerate(("wall", "cpu"))
            },
            "ratios_wall": sorted(round(ratio, 3) for ratio in walls),
            "ratios_cpu": sorted(round(ratio, 3) for ratio in cpus),
            "openai": openai.__version__,
            "python": sys.version.split()[0],
        },
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(), indent=2) + "\n")
