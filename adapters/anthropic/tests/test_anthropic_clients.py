"""Clients: shared, given back, and fed by the connection alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from massgen_bridge_anthropic import bridge_adapters
from massgen_bridge_anthropic._clients import CLIENTS

from massgen_bridge import Connection, JsonValue, Sampling
from massgen_bridge.testing.agents import connection_to, run_turn
from massgen_bridge.testing.servers import ModelServer

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio


async def _sent(server: ModelServer, connection: Connection) -> dict[str, str]:
    """The headers that a connection gives a request."""
    await run_turn(bridge_adapters()[0], "Speak.", connection)
    return dict(server.requests[-1].headers)


OLD = "2023-06-01"


@pytest.mark.parametrize(
    "sampling",
    [Sampling(temperature=0.0), Sampling(top_p=0.5), Sampling(extra={"top_k": 5})],
)
async def test_sampling_goes_with_a_version_that_takes_it(
    model_server: StartModelServer, sampling: Sampling
) -> None:
    server = model_server()
    connection = connection_to(server, protocol="messages", sampling=sampling)
    assert (await _sent(server, connection))["anthropic-version"] == OLD


@pytest.mark.parametrize("extra", [{}, {"metadata": {"user_id": "u1"}}])
async def test_otherwise_the_version_is_that_of_the_sdk(
    model_server: StartModelServer, extra: dict[str, JsonValue]
) -> None:
    server = model_server()
    sampling = Sampling(extra=extra, max_output_tokens=9)
    connection = connection_to(server, protocol="messages", sampling=sampling)
    ours = await _sent(server, connection)
    client = await CLIENTS.lease(connection)
    own = client.client.default_headers["anthropic-version"]
    await client.release()
    assert ours["anthropic-version"] == own


async def test_a_version_of_the_connection_counts(model_server: StartModelServer) -> None:
    server = model_server()
    connection = connection_to(
        server,
        protocol="messages",
        sampling=Sampling(temperature=0.5),
        headers={"anthropic-version": "2026-10-21"},
    )
    assert (await _sent(server, connection))["anthropic-version"] == "2026-10-21"
