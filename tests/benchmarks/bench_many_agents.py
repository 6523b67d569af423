"""What a thousand agents cost over the bare SDK, in time and in memory.

All agents give the same answer, which then has a thousand authors and needs no vote: a run makes
exactly one call an agent. Our side is the whole product, from the configuration as a dict to the
result, with the journal on disk. The bare side sends the same request as often, all at once,
through one client, or through as many clients as the openai adapter uses: a client's connection
pool looks at all its connections for each request, so one client is slow with a thousand.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import anyio
from benchmarks.bare_sdk import ask_all, new_client
from benchmarks.measuring import figure, in_turns, own_data_folder, ratios
from benchmarks.memory import grown
from benchmarks.model_server import model_server

import massgen_bridge
from massgen_bridge.testing.agents import TEST_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measuring import Figure
    from benchmarks.model_server import ServerHandle

__all__ = ["SMALL", "measure"]

SMALL: Mapping[str, Any] = {"agents": 10}
"""Arguments that make `measure` quick; the figures then say nothing."""

_QUESTION = "How many words does it take?"
_AGENTS_PER_CLIENT = 50


def measure(pairs: int = 20, *, agents: int = 1000) -> list[Figure]:
    """Measure many agents.

    Args:
        pairs: How often both sides take their turn.
        agents: How many.
    """
    os.environ["BENCHMARK_KEY"] = TEST_KEY
    with own_data_folder(), model_server() as server:
        return [
            *anyio.run(_openai, server, pairs, agents),
            _memory(server, pairs, agents),
        ]


async def _run(config: Mapping[str, Any], agents: int) -> None:
    result = await massgen_bridge.arun(config, _QUESTION)
    if result.status != "answered" or result.calls != agents or len(result.answers) != 1:
        raise AssertionError(f"expected one answer by {agents} calls: {result}")


# --- time -----------------------------------------------------------------------------------------


async def _openai(server: ServerHandle, pairs: int, agents: int) -> list[Figure]:
    config = _openai_config(server.url, agents)

    async def ours() -> None:
        await _run(config, agents)

    await ours()
    body = server.bodies()[-1]
    figures = []
    for clients in (1, _clients(agents)):

        async def bare(clients: int = clients) -> None:
            await _bare(server.url, body, clients=clients, agents=agents)

        walls, details = ratios(await in_turns(pairs, ours, bare))
        told = "one client" if clients == 1 else f"{clients} clients"
        figures.append(
            figure(
                f"many_openai_agents_{told.replace(' ', '_')}",
                f"{agents:,} openai agents at once / bare SDK, {told}, as many calls",
                walls,
                goal=1.15,
                **details,
            )
        )
    return figures


def _clients(agents: int) -> int:
    return -(-agents // _AGENTS_PER_CLIENT)


async def _bare(url: str, body: dict[str, Any], *, clients: int, agents: int) -> None:
    made = [new_client(url, connections=agents // clients) for _ in range(clients)]
    await ask_all(made, [body] * agents)
    for client in made:
        await client.close()


def _openai_config(url: str, agents: int) -> dict[str, Any]:
    return {
        "version": 1,
        "models": {
            "shared": {
                "provider": "openai",
                "model": "model1",
                "base_url": url,
                "api_key": "${BENCHMARK_KEY}",
            }
        },
        "agents": [
            {"id": f"ada{number}", "backend": {"type": "openai", "model": "shared"}}
            for number in range(agents)
        ],
    }


# --- memory ---------------------------------------------------------------------------------------


def _memory(server: ServerHandle, pairs: int, agents: int) -> Figure:
    """Each side in a fresh process: how far its memory grows above that of a run of two agents."""
    body = server.bodies()[-1]
    ours, bare = [], []
    for _ in range(pairs):
        ours.append(grown(_ours, agents, server.url))
        bare.append(grown(_by_sdk, agents, server.url, body))
    return figure(
        "memory_an_agent",
        f"MB an agent of {agents:,} openai agents at once, beyond the bare SDK's",
        [(a - b) / agents / 1e6 for a, b in zip(ours, bare, strict=True)],
        goal=1.0,
        ours_mb=round(max(ours) / 1e6, 1),
        bare_mb=round(max(bare) / 1e6, 1),
    )


async def _ours(count: int, url: str) -> None:
    await _run(_openai_config(url, count), count)


async def _by_sdk(count: int, url: str, body: dict[str, Any]) -> None:
    await _bare(url, body, clients=_clients(count), agents=count)
