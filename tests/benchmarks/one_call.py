"""One call after another, by an adapter and by the SDK or framework that it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from benchmarks.measuring import figure, in_turns, ratios

from massgen_bridge.testing.agents import connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from benchmarks.measuring import Figure

    from massgen_bridge import AdapterSpec, Connection, TurnEvent
    from massgen_bridge.connection import Protocols

__all__ = ["CALLS", "QUESTION", "BareSdk", "compare", "compare_with_sdk"]

QUESTION = "How many words does it take?"
"""What both sides ask."""

CALLS = {1: 40, 100: 10}
"""Calls in one measurement, by tokens of the answer."""


@dataclass(frozen=True, kw_only=True)
class BareSdk:
    """The bare side of an adapter: what somebody writes who has the SDK alone.

    Attributes:
        protocol: The wire protocol.
        client: Makes a client for a base URL.
        ask: Asks a model `QUESTION` by a client and collects the text that is streamed.
        versions: Of the SDK, by name.
        name: Tells forms of one adapter apart; None: the adapter's kind.
    """

    protocol: Protocols
    client: Callable[[str], AbstractAsyncContextManager[Any]]
    ask: Callable[[Any, str], Awaitable[str]]
    versions: Mapping[str, Any]
    name: str | None = None


def compare_with_sdk(spec: AdapterSpec, *sdks: BareSdk, pairs: int) -> list[Figure]:
    """Measure an adapter against its bare SDK, for a short and for a long answer.

    Both sides stream the same answer over a kept connection and collect its text.

    Args:
        spec: The adapter.
        sdks: The other sides, one a protocol.
        pairs: How often both sides take their turn.
    """

    async def measured(sdk: BareSdk, tokens: int) -> Figure:
        model = f"tokens-{tokens}"
        async with sdk.client(server.base_url(sdk.protocol)) as client:
            return await compare(
                spec,
                connection_to(server, model=model, protocol=sdk.protocol),
                partial(sdk.ask, client, model),
                tokens=tokens,
                pairs=pairs,
                name=sdk.name,
                **sdk.versions,
            )

    with ModelServerProcess() as server:
        return [anyio.run(measured, sdk, tokens) for sdk in sdks for tokens in CALLS]


async def compare(
    spec: AdapterSpec,
    connection: Connection,
    natively: Callable[[], Awaitable[str]],
    *,
    tokens: int,
    pairs: int,
    name: str | None = None,
    native: str = "bare SDK",
    calls: Mapping[int, int] = MappingProxyType(CALLS),
    **versions: Any,
) -> Figure:
    """Measure an adapter against what it stands on.

    Args:
        spec: The adapter.
        connection: A model that answers with so many tokens.
        natively: Makes the same call without the adapter, and collects its text.
        tokens: Of the answer.
        pairs: How often both sides take their turn.
        name: Tells forms of one adapter apart; None: the adapter's kind.
        native: The other side, in words.
        calls: Calls in one measurement, by tokens of the answer.
        versions: What was measured.
    """
    agent = await to_thread.run_sync(make_agent, spec, {}, connection)
    question, number = turn(QUESTION), calls[tokens]

    async def emit(event: TurnEvent, /) -> None:
        """As cheap as an emit can be."""

    async def by_adapter() -> str:
        return (await agent.run(question, emit)).text

    async def ours() -> None:
        for _ in range(number):
            await by_adapter()

    async def bare() -> None:
        for _ in range(number):
            await natively()

    if (await by_adapter()).strip() != (await natively()).strip():
        raise AssertionError("both sides have to collect the same text")
    walls, details = ratios(await in_turns(pairs, ours, bare), calls=number)
    await agent.aclose()
    name = name or spec.kind
    return figure(
        f"{name.replace(' ', '_')}_adapter_{tokens}_tokens",
        f"{name} adapter / {native}, one call, {tokens} token{'s' * (tokens > 1)}",
        walls,
        goal=1.10,
        **versions,
        **details,
    )
