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
from benchmarks.measuring import figure, in_turns, ratios

from massgen_bridge.testing.agents import TEST_KEY, connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

    from massgen_bridge import Agent, TurnEvent

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
    calls, model = _CALLS[tokens], f"tokens-{tokens}"
    (spec,) = resolve_name("massgen_bridge_crewai:bridge_adapters")()

    def made() -> Agent:
        # This settles, before CrewAI is imported, that it sends nothing anywhere.
        return make_agent(spec, {}, connection_to(server, model=model))

    agent = await anyio.to_thread.run_sync(made)
    native = await anyio.to_thread.run_sync(_native, server.url, model)
    _silence()
    question = turn("How many words does it take?")

    async def emit(event: TurnEvent, /) -> None:
        """As cheap as an emit can be."""

    async def by_adapter() -> str:
        return (await agent.run(question, emit)).text

    async def natively() -> str:
        text: str = (await native.kickoff_async(question.question)).raw
        return text

    async def ours() -> None:
        for _ in range(calls):
            await by_adapter()

    async def bare() -> None:
        for _ in range(calls):
            await natively()

    if (await by_adapter()).strip() != (await natively()).strip():
        raise AssertionError("both sides have to collect the same text")
    walls, details = ratios(await in_turns(pairs, ours, bare), calls=calls)
    await agent.aclose()
    return figure(
        f"crewai_adapter_{tokens}_tokens",
        f"crewai adapter / native CrewAI, one call, {tokens} token{'s' * (tokens > 1)}",
        walls,
        goal=1.10,
        **details,
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
