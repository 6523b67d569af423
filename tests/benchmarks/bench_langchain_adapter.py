"""What the langchain adapter costs over native LangChain, against a server without latency.

    python tests/benchmarks/bench_langchain_adapter.py

The native side is what a user of LangChain would write: `create_agent` once, then
`astream(stream_mode="messages")`, collecting the text. Both sides take turns within one run, so
that whatever else the machine does weighs on both.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

os.environ["LANGSMITH_TRACING"] = "false"  # read when LangChain is imported

import anyio
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from massgen_bridge_langchain import bridge_adapters
from pydantic import SecretStr

from massgen_bridge.testing.agents import TEST_KEY, connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from massgen_bridge import TurnEvent

__all__ = ["GOAL", "measure"]

GOAL = 1.10
"""The promise: at most this many times the time of native LangChain."""

_CALLS = {1: 20, 100: 5}
"""Calls in one measurement, by tokens of the answer."""

_Sample = tuple[float, float]


def measure(pairs: int = 20) -> list[dict[str, Any]]:
    """Measure the adapter against native LangChain.

    Args:
        pairs: How often both sides take their turn.

    Returns:
        For each length of answer: `name`, `median` (of the ratios of wall time), `goal` (the
        promise), `pairs`, and `details`: the median ratio of CPU time, milliseconds a call of
        both sides, the ratio of each pair.
    """
    with ModelServerProcess() as server:
        return anyio.run(_measure_all, server, pairs)


async def _measure_all(server: ModelServerProcess, pairs: int) -> list[dict[str, Any]]:
    """In one event loop: LangChain shares its clients between all models of a process."""
    chats = {
        tokens: ChatOpenAI(
            base_url=server.url,
            api_key=SecretStr(TEST_KEY),
            model=f"tokens-{tokens}",
            max_retries=0,
            stream_usage=True,
        )
        for tokens in _CALLS
    }
    measured = [await _measure(server, chats[tokens], tokens, pairs) for tokens in _CALLS]
    await chats[1].root_async_client.close()
    return measured


async def _measure(
    server: ModelServerProcess, chat: ChatOpenAI, tokens: int, pairs: int
) -> dict[str, Any]:
    (spec,) = bridge_adapters()
    agent = make_agent(spec, {}, connection_to(server, model=chat.model))
    graph: Any = create_agent(chat)
    question = turn("How many words does it take?")

    async def emit(event: TurnEvent, /) -> None:
        """As cheap as an emit can be."""

    async def by_adapter() -> str:
        return (await agent.run(question, emit)).text

    async def natively() -> str:
        history = [HumanMessage(question.question)]
        stream = graph.astream({"messages": history}, stream_mode="messages")
        return "".join([chunk.text async for chunk, _ in stream])

    if await by_adapter() != await natively():
        raise AssertionError("both sides have to collect the same text")
    samples = await _take_turns(natively, by_adapter, calls=_CALLS[tokens], pairs=pairs)
    await agent.aclose()
    return _summary(tokens, samples)


async def _take_turns(
    one: Callable[[], Awaitable[str]],
    other: Callable[[], Awaitable[str]],
    *,
    calls: int,
    pairs: int,
) -> list[tuple[_Sample, _Sample]]:
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


async def _time(call: Callable[[], Awaitable[str]], calls: int) -> _Sample:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        await call()
    return (time.perf_counter() - wall) / calls, (time.process_time() - cpu) / calls


def _summary(tokens: int, samples: list[tuple[_Sample, _Sample]]) -> dict[str, Any]:
    walls = [adapter[0] / native[0] for native, adapter in samples]
    sides = dict(zip(("native", "adapter"), zip(*samples, strict=True), strict=True))
    return {
        "name": f"langchain_adapter_{tokens}_tokens",
        "median": statistics.median(walls),
        "goal": GOAL,
        "pairs": len(samples),
        "details": {
            "median_cpu": statistics.median(a[1] / n[1] for n, a in samples),
            **{
                f"{side}_{what}_ms": 1000 * statistics.median(pair[at] for pair in taken)
                for side, taken in sides.items()
                for at, what in enumerate(("wall", "cpu"))
            },
            "ratios": sorted(round(ratio, 3) for ratio in walls),
        },
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(), indent=2) + "\n")
