"""What many streams at once cost over the bare SDK, in time and in memory.

Our side is the openai adapter: as many agents of one connection, each asked once, made before and
closed after. The bare side makes the same calls by one client, or by as many clients as the adapter
uses: a client's connection pool looks at all its connections for each request. The server answers
after half a second and then keeps a pace, so that all streams are under way at the same time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import openai
from benchmarks.bare_sdk import ask_all, new_client
from benchmarks.measuring import figure, in_turns, ratios
from benchmarks.memory import grown
from benchmarks.one_call import QUESTION
from massgen_bridge_openai import bridge_adapters

from massgen_bridge.testing.agents import connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measuring import Figure

    from massgen_bridge import Agent, TurnEvent

__all__ = ["SMALL", "measure"]

SMALL: Mapping[str, Any] = {"streams": 10}
"""Arguments that make `measure` quick; the figures then say nothing."""

_TOKENS = 100
_PACE = 100.0
_LATENCY_S = 0.5
_STREAMS_PER_CLIENT = 50
_MOST_PAIRS = 6
_MODEL = f"tokens-{_TOKENS}"


def measure(pairs: int = 20, *, streams: int = 500) -> list[Figure]:
    """Measure many streams.

    Args:
        pairs: How often both sides take their turn; at most six times, since it takes so long.
        streams: How many run at the same time.
    """
    pairs = min(pairs, _MOST_PAIRS)
    with ModelServerProcess(latency_s=_LATENCY_S, tokens_per_second=_PACE) as server:
        url = server.base_url("chat")
        figures = [*anyio.run(_times, url, pairs, streams), _memory(url, pairs, streams)]
        if server.stats().most_running_calls != streams:
            raise AssertionError(f"expected all {streams} streams at the same time")
    return figures


# --- time -----------------------------------------------------------------------------------------


async def _times(url: str, pairs: int, streams: int) -> list[Figure]:
    figures = []
    for clients in (1, -(-streams // _STREAMS_PER_CLIENT)):
        ours, bare = partial(_ours, streams, url), partial(_bare, streams, url, clients)
        walls, details = ratios(await in_turns(pairs, ours, bare))
        told = "one client" if clients == 1 else f"{clients} clients"
        figures.append(
            figure(
                f"many_streams_{told.replace(' ', '_')}",
                f"{streams} streams at once of {_TOKENS} tokens, openai adapter / bare SDK, {told}",
                walls,
                goal=1.15,
                openai=openai.__version__,
                **details,
            )
        )
    return figures


async def _ours(streams: int, url: str) -> None:
    (spec,) = bridge_adapters()
    connection = connection_to(url, model=_MODEL)
    make = partial(make_agent, spec, {}, connection)
    agents = [make(agent_id=f"ada{number}") for number in range(streams)]
    async with anyio.create_task_group() as tasks:
        for agent in agents:
            tasks.start_soon(_ask, agent)
    for agent in agents:
        await agent.aclose()


async def _ask(agent: Agent) -> None:
    async def emit(event: TurnEvent, /) -> None:
        """As cheap as an emit can be."""

    result = await agent.run(turn(QUESTION), emit)
    if result.usage is None or result.usage.output_tokens != _TOKENS:
        raise AssertionError(f"expected an answer of {_TOKENS} tokens: {result}")


async def _bare(streams: int, url: str, clients: int) -> None:
    body = {
        "model": _MODEL,
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    made = [new_client(url, connections=streams) for _ in range(clients)]
    await ask_all(made, [body] * streams)
    for client in made:
        await client.close()


# --- memory ---------------------------------------------------------------------------------------


def _memory(url: str, pairs: int, streams: int) -> Figure:
    """Each side in a fresh process: how far its memory grows above that of two streams."""
    ours, bare = [], []
    for _ in range(pairs):
        ours.append(grown(_ours, streams, url))
        bare.append(grown(_bare, streams, url, 1))
    return figure(
        "memory_many_streams",
        f"memory of {streams} streams at once of {_TOKENS} tokens, openai adapter / bare SDK",
        [a / b for a, b in zip(ours, bare, strict=True)],
        goal=1.3,
        ours_mb=round(max(ours) / 1e6, 1),
        bare_mb=round(max(bare) / 1e6, 1),
    )
