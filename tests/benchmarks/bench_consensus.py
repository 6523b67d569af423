"""What coordination costs: a consensus of three agents over the same six calls made by hand.

Our side is the whole product: a configuration is checked, plugins are found, three agents of kind
`openai` answer in parallel, see each other's answers and vote by tool; all of it goes to the
journal on disk. The bare side sends the very requests that our side sent, three in parallel, then
three in parallel, through one client of the bare SDK. The model takes 0.3 s a call.
"""

from __future__ import annotations

import os
import statistics
from typing import TYPE_CHECKING, Any

import anyio
from benchmarks.bare_sdk import ask_all, new_client
from benchmarks.measuring import figure, in_turns, own_data_folder, ratios
from benchmarks.model_server import model_server

import massgen_bridge
from massgen_bridge.testing.agents import TEST_KEY

if TYPE_CHECKING:
    from benchmarks.measuring import Figure
    from benchmarks.model_server import ServerHandle

__all__ = ["measure"]

_AGENTS = 3
_CALLS = 2 * _AGENTS
_LATENCY_S = 0.3


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the consensus.

    Args:
        pairs: How often both sides take their turn.
    """
    os.environ["BENCHMARK_KEY"] = TEST_KEY
    with model_server(_LATENCY_S) as server, own_data_folder():
        return anyio.run(_measure, server, pairs)


async def _measure(server: ServerHandle, pairs: int) -> list[Figure]:
    calls: list[int] = []

    async def ours() -> None:
        result = await massgen_bridge.arun(_config(server.url), "How many words does it take?")
        if result.status != "answered" or len(result.votes) != _AGENTS:
            raise AssertionError(f"expected {_AGENTS} votes and an answer: {result}")
        calls.append(result.calls)

    await ours()
    bodies = server.bodies()

    async def bare() -> None:
        async with new_client(server.url, connections=_AGENTS) as client:
            await ask_all([client], bodies[:_AGENTS])
            await ask_all([client], bodies[_AGENTS:])

    samples = await in_turns(pairs, ours, bare)
    walls, details = ratios(samples)
    bound = 2 * _LATENCY_S
    return [
        figure(
            "consensus_3_agents",
            "consensus of 3 agents, 0.3 s a call / bare SDK making the same calls",
            walls,
            goal=1.05,
            over_latency_bound=round(statistics.median(s.wall / bound for s, _ in samples), 3),
            bare_over_latency_bound=round(statistics.median(s.wall / bound for _, s in samples), 3),
            **details,
        ),
        figure(
            "consensus_model_calls",
            "model calls of a consensus of 3 agents",
            calls,
            goal=_CALLS,
            sense="exactly",
        ),
    ]


def _config(url: str) -> dict[str, Any]:
    return {
        "version": 1,
        "models": {
            f"model{number}": {
                "provider": "openai",
                "model": f"model{number}",
                "base_url": url,
                "api_key": "${BENCHMARK_KEY}",
            }
            for number in range(1, _AGENTS + 1)
        },
        "agents": [
            {"id": f"ada{number}", "backend": {"type": "openai", "model": f"model{number}"}}
            for number in range(1, _AGENTS + 1)
        ],
    }
