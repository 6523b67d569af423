"""What the crewai adapter costs over native CrewAI, against a server without latency.

The native side is what a user of CrewAI would write: an `Agent` with a streaming `LLM`, asked by
`kickoff_async`. CrewAI's console is off on both sides.
"""

from __future__ import annotations

import logging
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from benchmarks.one_call import QUESTION, compare

from massgen_bridge.testing.agents import TEST_KEY, connection_to
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

__all__ = ["measure"]

_CALLS = {1: 10, 100: 5}
"""Calls in one measurement, by tokens of the answer."""


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the adapter against native CrewAI, for a short and for a long answer.

    Args:
        pairs: How often both sides take their turn.
    """
    with ModelServerProcess() as server:
        return anyio.run(_measure_all, server, pairs)


async def _measure_all(server: ModelServerProcess, pairs: int) -> list[Figure]:
    return [await _measure(server, tokens, pairs) for tokens in _CALLS]


async def _measure(server: ModelServerProcess, tokens: int, pairs: int) -> Figure:
    model = f"tokens-{tokens}"
    (spec,) = resolve_name("massgen_bridge_crewai:bridge_adapters")()
    made: list[Any] = []

    async def natively() -> str:
        if not made:
            made.append(await anyio.to_thread.run_sync(_native, server.url, model))
            _silence()
        text: str = (await made[0].kickoff_async(QUESTION)).raw
        return text

    return await compare(
        spec,
        connection_to(server, model=model),
        natively,
        tokens=tokens,
        pairs=pairs,
        native="native CrewAI",
        calls=_CALLS,
    )


# CrewAI is imported after the adapter has settled how it behaves, and stands in its project alone.


def _native(address: str, model: str) -> Any:
    logging.getLogger("crewai").setLevel(logging.ERROR)
    llm = resolve_name("crewai:LLM")(
        model=f"openai/{model}", base_url=address, api_key=TEST_KEY, stream=True
    )
    agent = resolve_name("crewai:Agent")
    return agent(role="Agent", goal="Answer", backstory="You answer.", llm=llm)


def _silence() -> None:
    """Let CrewAI draw no boxes in this context; standard output is for the figures."""
    console = "crewai.events.utils.console_formatter"
    resolve_name(f"{console}:set_suppress_console_output")(suppress=True)
