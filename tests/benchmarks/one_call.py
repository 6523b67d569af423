"""One call after another, by an adapter of a model API and by the SDK that it stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.measuring import figure, in_turns, ratios

from massgen_bridge.testing.agents import make_agent, turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.measuring import Figure

    from massgen_bridge import AdapterSpec, Connection, TurnEvent

__all__ = ["CALLS", "QUESTION", "compare"]

QUESTION = "How many words does it take?"
"""What both sides ask."""

CALLS = {1: 40, 100: 10}
"""Calls in one measurement, by tokens of the answer."""


async def compare(
    spec: AdapterSpec,
    connection: Connection,
    by_sdk: Callable[[], Awaitable[str]],
    *,
    tokens: int,
    pairs: int,
    name: str | None = None,
    **versions: Any,
) -> Figure:
    """Measure an adapter against its bare SDK.

    Args:
        spec: The adapter.
        connection: A model that answers with so many tokens.
        by_sdk: Makes the same call with the SDK, and collects its text.
        tokens: Of the answer.
        pairs: How often both sides take their turn.
        name: Tells forms of one adapter apart; None: the adapter's kind.
        versions: What was measured.
    """
    agent = make_agent(spec, {}, connection)
    question, calls = turn(QUESTION), CALLS[tokens]

    async def emit(event: TurnEvent, /) -> None:
        """As cheap as an emit can be."""

    async def by_adapter() -> str:
        return (await agent.run(question, emit)).text

    async def ours() -> None:
        for _ in range(calls):
            await by_adapter()

    async def bare() -> None:
        for _ in range(calls):
            await by_sdk()

    if await by_adapter() != await by_sdk():
        raise AssertionError("both sides have to collect the same text")
    walls, details = ratios(await in_turns(pairs, ours, bare), calls=calls)
    await agent.aclose()
    name = name or spec.kind
    return figure(
        f"{name.replace(' ', '_')}_adapter_{tokens}_tokens",
        f"{name} adapter / bare SDK, one call, {tokens} token{'s' * (tokens > 1)}",
        walls,
        goal=1.10,
        **versions,
        **details,
    )
