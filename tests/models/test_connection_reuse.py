"""Connections of HTTP clients: as many as calls run at once, used again, and closed in the end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import httpx2
import pytest
from massgen_bridge_anthropic import bridge_adapters as anthropic_adapters
from massgen_bridge_gemini import bridge_adapters as gemini_adapters
from massgen_bridge_langchain import bridge_adapters as langchain_adapters
from massgen_bridge_openai import bridge_adapters as openai_adapters

from massgen_bridge.agent import Limits
from massgen_bridge.connection import RetryPolicy
from massgen_bridge.events import ModelRetried
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.models.sdk_clients import Endpoint, client_settings
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServer, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from massgen_bridge import AdapterSpec, Agent, Connection
    from massgen_bridge.connection import Protocols

pytestmark = pytest.mark.anyio

ANSWER = Text("It is there.")
AT_ONCE = 8
KINDS: tuple[tuple[AdapterSpec, Protocols], ...] = (
    (openai_adapters()[0], "chat"),
    (openai_adapters()[0], "responses"),
    (anthropic_adapters()[0], "messages"),
    (gemini_adapters()[0], "gemini"),
    (next(spec for spec in langchain_adapters() if spec.kind == "langchain"), "chat"),
)
every_kind = pytest.mark.parametrize(
    ("spec", "protocol"), KINDS, ids=[f"{spec.kind}-{protocol}" for spec, protocol in KINDS]
)


@asynccontextmanager
async def _agents(
    spec: AdapterSpec, connection: Connection, count: int
) -> AsyncIterator[list[Agent]]:
    make = partial(make_agent, spec, {}, connection)
    agents = [
        await anyio.to_thread.run_sync(partial(make, agent_id=f"a{number}"))
        for number in range(count)
    ]
    try:
        yield agents
    finally:
        for agent in agents:
            await agent.aclose()


async def _told(agent: Agent) -> list[ModelRetried]:
    """Ask once; what was told of retries."""
    events = collect()
    assert (await agent.run(turn("Where?"), events)).text == ANSWER.text
    return events.of(ModelRetried)


async def _closed(server: ModelServer) -> None:
    await anyio.to_thread.run_sync(
        lambda: server.wait_until(lambda: server.open_connections == 0, what="no connection")
    )


@every_kind
async def test_no_more_connections_are_opened_than_calls_run_at_once(
    spec: AdapterSpec, protocol: Protocols
) -> None:
    # All keep their connections by the same settings: one of them makes a thousand calls.
    each = 125 if (spec.kind, protocol) == ("openai", "chat") else 5
    with ModelServer(ANSWER) as server:
        connection = connection_to(server, protocol=protocol)
        async with _agents(spec, connection, AT_ONCE) as agents:

            async def talk(agent: Agent) -> None:
                for _ in range(each):
                    assert await _told(agent) == []

            async with anyio.create_task_group() as tasks:
                for agent in agents:
                    tasks.start_soon(talk, agent)
        assert server.calls == AT_ONCE * each
        assert server.connections_opened <= AT_ONCE
        await _closed(server)


@every_kind
async def test_a_connection_that_the_server_closed_meanwhile_costs_no_call(
    spec: AdapterSpec, protocol: Protocols
) -> None:
    with ModelServer(ANSWER) as server:
        connection = connection_to(server, protocol=protocol, retry=RetryPolicy(attempts=1))
        async with _agents(spec, connection, 1) as (agent,):
            for _ in range(3):
                assert await _told(agent) == []
                server.close_idle()
        assert server.calls == server.connections_opened == 3
        await _closed(server)


async def test_the_gateway_keeps_its_connections_and_outlives_those_that_the_server_closed() -> (
    None
):
    (spec, _) = KINDS[0]
    with ModelServer(ANSWER) as server:
        real = connection_to(server)
        async with ConnectionPool({}, {}, {}) as pool:
            gateway = await pool.gateway()
            async with (
                gateway.admit(
                    agent_id="ada",
                    turn_id="ada.1",
                    connection=real,
                    call_model=ModelCalls(real),
                    emit=(events := collect()),
                    limits=Limits(),
                ) as inner,
                _agents(spec, inner, 1) as (agent,),
            ):
                for _ in range(3):
                    assert await _told(agent) == []
                assert server.connections_opened == 1
                server.close_idle()
                assert await _told(agent) == []
        assert server.connections_opened == 2
        assert events.of(ModelRetried) == []
        await _closed(server)


async def test_a_burst_waits_for_nothing_and_what_it_opened_serves_the_next() -> None:
    most = 60
    body = {"model": "m", "messages": [{"role": "user", "content": "Where?"}]}
    with ModelServer(Text("Here."), together=most) as server:
        connection = connection_to(server)
        settings = client_settings(httpx2, Endpoint.of(connection))
        async with httpx2.AsyncClient(**settings) as client:

            async def ask() -> None:
                answer = await client.post(f"{server.url}/chat/completions", json=body)
                assert answer.status_code == 200

            for _ in range(2):
                async with anyio.create_task_group() as tasks:
                    for _ in range(most):
                        tasks.start_soon(ask)
        assert server.most_running_calls == most
        assert server.connections_opened == most
        await _closed(server)
