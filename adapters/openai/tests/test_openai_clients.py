"""Clients: shared, given back, and fed by the connection alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from massgen_bridge_openai import bridge_adapters
from massgen_bridge_openai._agent import SDK

from massgen_bridge import Connection
from massgen_bridge.testing.agents import TEST_KEY, collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServer, ModelServerProcess, Text

if TYPE_CHECKING:
    from massgen_bridge import Agent
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio


def _agents(count: int, connection: Connection) -> list[Agent]:
    (spec,) = bridge_adapters()
    return [make_agent(spec, {}, connection, agent_id=f"a{number}") for number in range(count)]


async def _ask(agent: Agent, question: str = "Speak.") -> str:
    return (await agent.run(turn(question), collect())).text


async def test_agents_of_one_connection_share_a_client(model_server: StartModelServer) -> None:
    server = model_server()
    agents = _agents(10, connection_to(server))
    for agent in agents:
        await _ask(agent)
    assert server.connections_opened == 1
    assert SDK.clients.users() == [[10]]
    for agent in agents[:-1]:
        await agent.aclose()
    await _ask(agents[-1])
    assert SDK.clients.users() == [[1]]
    await agents[-1].aclose()
    assert SDK.clients.users() == []
    await _closed(server)


async def _closed(server: ModelServer) -> None:
    await anyio.to_thread.run_sync(
        lambda: server.wait_until(lambda: server.open_connections == 0, what="no connection")
    )


async def test_a_closed_agent_can_be_followed_by_a_new_one(
    model_server: StartModelServer,
) -> None:
    server = model_server()
    for number in range(3):
        (agent,) = _agents(1, connection_to(server))
        assert await _ask(agent, f"Question {number}") == f"Question {number}"
        await agent.aclose()
        await agent.aclose()
    await _closed(server)


def test_each_event_loop_has_clients_of_its_own(model_server: StartModelServer) -> None:
    server = model_server()

    async def main() -> str:
        (agent,) = _agents(1, connection_to(server))
        answer = await _ask(agent)
        await agent.aclose()
        return answer

    assert [anyio.run(main), anyio.run(main)] == ["Speak.", "Speak."]


AMBIENT = {
    "OPENAI_API_KEY": "sk-ambient",
    "OPENAI_ADMIN_KEY": "sk-admin-ambient",
    "OPENAI_ORG_ID": "org-ambient",
    "OPENAI_PROJECT_ID": "proj-ambient",
    "OPENAI_BASE_URL": "https://ambient.example/v1",
    "OPENAI_CUSTOM_HEADERS": "X-Secret: ambient\nx-team: ambient\nAuthorization: Bearer ambient",
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
    (agent,) = _agents(1, connection_to(server, api_key=api_key, headers={"X-Team": "red"}))
    await _ask(agent)
    await agent.aclose()
    (request,) = server.requests
    assert request.api_key == api_key
    assert request.headers["x-team"] == "red"
    assert "ambient" not in str(request.headers)


async def test_without_a_key_none_is_sent(model_server: StartModelServer) -> None:
    server = model_server()
    (agent,) = _agents(1, connection_to(server, api_key=None))
    await _ask(agent)
    await agent.aclose()
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("api_key", [TEST_KEY, None])
async def test_a_header_of_the_connection_beats_the_key(
    model_server: StartModelServer, api_key: str | None
) -> None:
    server = model_server()
    headers = {"authorization": "Basic dXNlcjpwYXNz", "user-agent": "mine"}
    (agent,) = _agents(1, connection_to(server, api_key=api_key, headers=headers))
    await _ask(agent)
    await agent.aclose()
    sent = server.requests[0].headers
    assert (sent["authorization"], sent["user-agent"]) == ("Basic dXNlcjpwYXNz", "mine")


async def test_a_thousand_agents_can_speak_at_once() -> None:
    answers: list[str] = []
    with ModelServerProcess(together=1000) as server:
        agents = _agents(1000, connection_to(server, model="tokens-3", timeout_s=50))

        async def ask(agent: Agent) -> None:
            answers.append(await _ask(agent))

        async with anyio.create_task_group() as tasks:
            for agent in agents:
                tasks.start_soon(ask, agent)
        stats = server.stats()
        for agent in agents:
            await agent.aclose()
    assert answers == [Text.of_tokens(3).text] * 1000
    assert stats.most_running_calls >= 1000
    assert stats.closed_early == 0
