"""Clients: shared, given back, and fed by the connection alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from massgen_bridge_gemini import bridge_adapters
from massgen_bridge_gemini._clients import CLIENTS

from massgen_bridge import AgentCrashed
from massgen_bridge.testing.agents import TEST_KEY, collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import HttpError, Text

if TYPE_CHECKING:
    from massgen_bridge import Agent, Connection
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import ModelServer

pytestmark = pytest.mark.anyio


def _agents(count: int, connection: Connection) -> list[Agent]:
    (spec,) = bridge_adapters()
    return [make_agent(spec, {}, connection, agent_id=f"a{number}") for number in range(count)]


async def _ask(agent: Agent, question: str = "Speak.") -> str:
    return (await agent.run(turn(question), collect())).text


async def _sent(server: ModelServer, connection: Connection) -> dict[str, str]:
    """The headers that a connection gives a request."""
    (agent,) = _agents(1, connection)
    await _ask(agent)
    await agent.aclose()
    return dict(server.requests[-1].headers)


async def test_agents_of_one_connection_share_a_client(model_server: StartModelServer) -> None:
    server = model_server()
    agents = _agents(10, connection_to(server, protocol="gemini"))
    for agent in agents:
        await _ask(agent)
    assert server.connections_opened == 1
    assert CLIENTS.users() == [[10]]
    for agent in agents:
        await agent.aclose()
    assert CLIENTS.users() == []
    await anyio.to_thread.run_sync(
        lambda: server.wait_until(lambda: server.open_connections == 0, what="no connection")
    )


async def test_a_closed_agent_can_be_used_again(model_server: StartModelServer) -> None:
    server = model_server()
    (agent,) = _agents(1, connection_to(server, protocol="gemini"))
    for number in range(3):
        assert await _ask(agent, f"Question {number}") == f"Question {number}"
        await agent.aclose()
        await agent.aclose()


AMBIENT = {
    "GEMINI_API_KEY": "sk-ambient",
    "GOOGLE_API_KEY": "sk-ambient",
    "GOOGLE_CLOUD_LOCATION": "ambient",
    "GOOGLE_CLOUD_PROJECT": "ambient",
    "GOOGLE_GEMINI_BASE_URL": "https://ambient.example",
    "GOOGLE_GENAI_API_VERSION": "ambient",
    "GOOGLE_GENAI_USE_ENTERPRISE": "true",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "GOOGLE_VERTEX_BASE_URL": "https://ambient.example",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


@pytest.mark.parametrize("api_key", [TEST_KEY, None])
async def test_nothing_of_the_environment_reaches_the_server(
    model_server: StartModelServer, monkeypatch: pytest.MonkeyPatch, api_key: str | None
) -> None:
    for name, value in AMBIENT.items():
        monkeypatch.setenv(name, value)
    server = model_server()
    connection = connection_to(
        server, protocol="gemini", api_key=api_key, headers={"X-Team": "red"}
    )
    sent = await _sent(server, connection)
    (request,) = server.requests
    assert request.api_key == api_key
    assert request.path == "/v1beta/models/scripted:streamGenerateContent"
    assert sent["x-team"] == "red"
    assert "ambient" not in str(sent)


async def test_the_key_stands_in_a_header_and_not_in_the_address(
    model_server: StartModelServer,
) -> None:
    server = model_server()
    sent = await _sent(server, connection_to(server, protocol="gemini"))
    assert sent["x-goog-api-key"] == TEST_KEY
    assert "authorization" not in sent
    assert server.requests[0].query == "alt=sse"


async def test_a_header_of_the_connection_beats_the_sdk(model_server: StartModelServer) -> None:
    server = model_server()
    headers = {"x-goog-api-key": "mine", "user-agent": "me"}
    sent = await _sent(server, connection_to(server, protocol="gemini", headers=headers))
    assert (sent["x-goog-api-key"], sent["user-agent"]) == ("mine", "me")


async def test_the_key_follows_no_redirect(model_server: StartModelServer) -> None:
    elsewhere = model_server()
    location = f"{elsewhere.base_url('gemini')}/v1beta/models/m:streamGenerateContent?alt=sse"
    server = model_server(HttpError(status=307, headers=(("location", location),)))
    (agent,) = _agents(1, connection_to(server, protocol="gemini"))
    with pytest.raises(Exception, match="HTTP 307"):
        await _ask(agent)
    await agent.aclose()
    assert elsewhere.calls == 0


async def test_a_turn_that_is_left_closes_its_stream(model_server: StartModelServer) -> None:
    """Also where the agent is not waiting for bytes, but telling of those that came."""
    server = model_server(Text.of_tokens(5000, tokens_per_second=200))
    (agent,) = _agents(1, connection_to(server, protocol="gemini"))
    told = 0

    async def emit(_event: object, /) -> None:
        nonlocal told
        told += 1
        if told > 3:
            raise RuntimeError("no more")

    with pytest.raises(AgentCrashed, match="no more"):
        await agent.run(turn("Speak."), emit)
    await server.await_close()
    await agent.aclose()
