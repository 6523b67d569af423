"""The bare side: what somebody writes who has the OpenAI SDK and nothing else."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import anyio
import openai

from massgen_bridge.testing.agents import TEST_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ask_all", "new_client"]


def new_client(url: str, *, connections: int) -> openai.AsyncOpenAI:
    """A client with the settings that the openai adapter makes its own with.

    They make it as cheap as it can be: no certificates are loaded for an address that needs none.

    Args:
        url: The base URL.
        connections: How many are kept open; there is no bound on how many are made.
    """
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
        max_connections=None, max_keepalive_connections=connections
    )
    timeout = openai.Timeout(300.0, connect=30.0, pool=None)
    return openai.AsyncOpenAI(
        base_url=url,
        api_key=TEST_KEY,
        timeout=timeout,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(
            limits=limits,
            timeout=timeout,
            trust_env=False,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        ),
    )


async def ask_all(clients: Sequence[openai.AsyncOpenAI], bodies: Sequence[dict[str, Any]]) -> None:
    """Make the calls at the same time, the clients in turn, and collect what is streamed."""
    async with anyio.create_task_group() as tasks:
        for number, body in enumerate(bodies):
            tasks.start_soon(_ask, clients[number % len(clients)], body)


async def _ask(client: openai.AsyncOpenAI, body: dict[str, Any]) -> None:
    pieces: list[str] = []
    async for chunk in await client.chat.completions.create(**body):
        for choice in chunk.choices:
            pieces.append(choice.delta.content or "")
            pieces += [call.function.arguments for call in choice.delta.tool_calls or ()]
    if not "".join(pieces):
        raise AssertionError("the model server gave no answer")
