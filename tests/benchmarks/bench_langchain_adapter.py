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
from benchmarks.one_call import QUESTION, compare
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from massgen_bridge_langchain import bridge_adapters
from pydantic import SecretStr

from massgen_bridge.testing.agents import TEST_KEY, connection_to
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

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
    (spec,) = bridge_adapters()
    graph: Any = create_agent(chat)

    async def natively() -> str:
        history = [HumanMessage(QUESTION)]
        stream = graph.astream({"messages": history}, stream_mode="messages")
        return "".join([chunk.text async for chunk, _ in stream])

    return await compare(
        spec,
        connection_to(server, model=chat.model),
        natively,
        tokens=tokens,
        pairs=pairs,
        native="native LangChain",
        calls=_CALLS,
        langchain=langchain.__version__,
    )
