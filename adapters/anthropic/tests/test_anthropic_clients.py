"""Clients: shared, given back, and fed by the connection alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from massgen_bridge_anthropic import bridge_adapters
from massgen_bridge_anthropic._clients import CLIENTS

from massgen_bridge import Connection, JsonValue, Sampling
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


async def _sent(server: ModelServer, connection: Connection) -> dict[str, str]:
    """The headers that a connection gives a request."""
    (agent,) = _agents(1, connection)
    await _ask(agent)
    await agent.aclose()
    return dict(server.requests[-1].headers)


async def test_agents_of_one_connection_share_a_client(model_server: StartModelServer) -> None:
    server = model_server()
    agents = _agents(10, connection_to(server, protocol="messages"))
    for agent in agents:
        await _ask(agent)
    assert server.connections_opened == 1
    assert CLIENTS.users() == [[10]]
    for agent in agents[:-1]:
        await agent.aclose()
    await _ask(agents[-1])
    assert CLIENTS.users() == [[1]]
    await agents[-1].aclose()
    assert CLIENTS.users() == []
    await anyio.to_thread.run_sync(
        lambda: server.wait_until(lambda: server.open_connections == 0, what="no connection")
    )


async def test_a_closed_agent_can_be_used_again(model_server: StartModelServer) -> None:
    server = model_server()
    (agent,) = _agents(1, connection_to(server, protocol="messages"))
    for number in range(3):
        assert await _ask(agent, f"Question {number}") == f"Question {number}"
        await agent.aclose()
        await agent.aclose()
    assert CLIENTS.users() == []


def test_each_event_loop_has_clients_of_its_own(model_server: StartModelServer) -> None:
    server = model_server()

    async def main() -> str:
        (agent,) = _agents(1, connection_to(server, protocol="messages"))
        answer = await _ask(agent)
        await agent.aclose()
        return answer

    assert [anyio.run(main), anyio.run(main)] == ["Speak.", "Speak."]


AMBIENT = {
    "ANTHROPIC_API_KEY": "sk-ambient",
    "ANTHROPIC_AUTH_TOKEN": "token-ambient",
    "ANTHROPIC_BASE_URL": "https://ambient.example",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Secret: ambient\nx-team: ambient\nX-Api-Key: ambient",
    "ANTHROPIC_IDENTITY_TOKEN": "identity-ambient",
    "ANTHROPIC_PROFILE": "ambient",
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
    headers = {"X-Team": "red"}
    connection = connection_to(server, protocol="messages", api_key=api_key, headers=headers)
    sent = await _sent(server, connection)
    assert server.requests[0].api_key == api_key
    assert sent["x-team"] == "red"
    assert "ambient" not in str(sent)


async def test_the_key_goes_by_one_header_with_every_release(
    model_server: StartModelServer,
) -> None:
    server = model_server()
    sent = await _sent(server, connection_to(server, protocol="messages"))
    assert sent["authorization"] == f"Bearer {TEST_KEY}"
    assert "x-api-key" not in sent


async def test_without_a_key_none_is_sent(model_server: StartModelServer) -> None:
    server = model_server()
    sent = await _sent(server, connection_to(server, protocol="messages", api_key=None))
    assert not {"authorization", "x-api-key"} & set(sent)


@pytest.mark.parametrize("api_key", [TEST_KEY, None])
async def test_a_header_of_the_connection_beats_the_key(
    model_server: StartModelServer, api_key: str | None
) -> None:
    server = model_server()
    headers = {"authorization": "Basic dXNlcjpwYXNz", "user-agent": "mine"}
    connection = connection_to(server, protocol="messages", api_key=api_key, headers=headers)
    sent = await _sent(server, connection)
    assert (sent["authorization"], sent["user-agent"]) == ("Basic dXNlcjpwYXNz", "mine")


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


async def test_hundreds_of_agents_can_speak_at_once() -> None:
    answers: list[str] = []
    with ModelServerProcess(together=300) as server:
        connection = connection_to(server, model="tokens-3", protocol="messages", timeout_s=50)
        agents = _agents(300, connection)

        async def ask(agent: Agent) -> None:
            answers.append(await _ask(agent))

        async with anyio.create_task_group() as tasks:
            for agent in agents:
                tasks.start_soon(ask, agent)
        assert CLIENTS.users() == [[50] * 6]
        stats = server.stats()
        for agent in agents:
            await agent.aclose()
    assert answers == [Text.of_tokens(3).text] * 300
    assert stats.most_running_calls >= 300
    assert stats.closed_early == 0
