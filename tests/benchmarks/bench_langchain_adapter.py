"""What the langchain adapter costs over native LangChain, against a server without latency.

The native side is what a user of LangChain would write: `create_agent` once, then
`astream(stream_mode="messages")`, collecting the text.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ["LANGSMITH_TRACING"] = "false"  # read when LangChain is imported

import anyio
import langchain
from benchmarks.measuring import figure, in_turns, ratios
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from massgen_bridge_langchain import bridge_adapters
from pydantic import SecretStr

from massgen_bridge.testing.agents import TEST_KEY, connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

    from massgen_bridge import TurnEvent

__all__ = ["measure"]

_CALLS = {1: 20, 100: 5}
"""Calls in one measurement, by tokens of the answer."""


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the adapter against native LangChain, for a short and for a long answer.

    Args:
        pairs: How often both sides take their turn.
    """
    with ModelServerProcess() as server:
        return anyio.run(_measure_all, server, pairs)


async def _measure_all(server: ModelServerProcess, pairs: int) -> list[Figure]:
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


async def _measure(server: ModelServerProcess, chat: ChatOpenAI, tokens: int, pairs: int) -> Figure:
    calls = _CALLS[tokens]
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

    async def ours() -> None:
        for _ in range(calls):
            await by_adapter()

    async def bare() -> None:
        for _ in range(calls):
            await natively()

    if await by_adapter() != await natively():
        raise AssertionError("both sides have to collect the same text")
    walls, details = ratios(await in_turns(pairs, ours, bare), calls=calls)
    await agent.aclose()
    return figure(
        f"langchain_adapter_{tokens}_tokens",
        f"langchain adapter / native LangChain, one call, {tokens} token{'s' * (tokens > 1)}",
        walls,
        goal=1.10,
        langchain=langchain.__version__,
        **details,
    )
