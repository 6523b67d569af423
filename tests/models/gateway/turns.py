"""Admitting turns to a gateway by hand, and speaking to it by the providers' SDKs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai

from massgen_bridge.agent import Limits
from massgen_bridge.connection import Connection, RetryPolicy
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.testing.agents import EventLog, collect, connection_to

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from massgen_bridge.agent import Emit
    from massgen_bridge.models.gateway import Gateway, Reservation
    from massgen_bridge.models.traffic import Traffic
    from massgen_bridge.testing.servers import ModelServer

__all__ = ["QUESTION", "Turns", "anthropic_client", "ask", "at", "openai_client", "raw_client"]

QUESTION: list[Any] = [{"role": "user", "content": "Tea or coffee?"}]


class Turns:
    """Turns of agents that use a gateway.

    Attributes:
        gateway: The gateway.
        events: What all turns told.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.events: EventLog = collect()

    def admit(
        self,
        real: Connection,
        *,
        agent_id: str = "agent",
        emit: Emit | None = None,
        limits: Limits | None = None,
        traffic: Traffic | None = None,
        reservation: Reservation | None = None,
    ) -> AbstractAsyncContextManager[Connection]:
        """Admit a turn."""
        return self.gateway.admit(
            agent_id=agent_id,
            turn_id="turn",
            connection=real,
            call_model=ModelCalls(real, traffic=traffic),
            emit=emit or self.events,
            limits=limits,
            reservation=reservation,
        )

    def told(self) -> list[str]:
        """The types of what was told, in order."""
        return [event.type for event in self.events.events]


def at(server: ModelServer, **settings: Any) -> Connection:
    """A connection to a server, which tries twice without a wait worth the name."""
    settings.setdefault("retry", RetryPolicy(attempts=2, base_s=0.001))
    return connection_to(server, **settings)


def openai_client(inner: Connection) -> openai.AsyncOpenAI:
    """OpenAI's SDK, as a framework would make it: with its own retries."""
    assert inner.api_key is not None
    return openai.AsyncOpenAI(base_url=inner.base_url, api_key=inner.api_key.get_secret_value())


def anthropic_client(inner: Connection) -> anthropic.AsyncAnthropic:
    """Anthropic's SDK, likewise."""
    assert inner.api_key is not None
    return anthropic.AsyncAnthropic(
        base_url=inner.base_url, api_key=inner.api_key.get_secret_value()
    )


def raw_client(inner: Connection) -> httpx2.AsyncClient:
    """A client of HTTP alone."""
    assert inner.api_key is not None
    return httpx2.AsyncClient(
        base_url=inner.base_url,
        headers={"authorization": f"Bearer {inner.api_key.get_secret_value()}"},
    )


async def ask(inner: Connection, *, model: str = "any") -> str:
    """Ask by OpenAI's SDK for a streamed answer."""
    async with openai_client(inner) as client:
        stream = await client.chat.completions.create(model=model, messages=QUESTION, stream=True)
        return "".join(
            [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        )
