"""Adapters that call a provider's own SDK: its clients, what reaches the provider, its errors."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import ClassVar

import anyio
import anyio.to_thread
import pytest

from massgen_bridge.agent import Agent
from massgen_bridge.connection import Connection
from massgen_bridge.errors import (
    AgentError,
    ContextOverflow,
    PermissionDenied,
    RateLimited,
    ServerFailed,
)
from massgen_bridge.testing import servers
from massgen_bridge.testing.agents import TEST_KEY, collect, turn
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.exceptions import STATUS_KINDS
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import (
    ErrorEvent,
    HttpError,
    ModelServer,
    ModelServerProcess,
    Reply,
    Text,
)

__all__ = ["SdkTests"]

_CROWD = 120  # more than HTTP libraries open connections by default
_NO_PROXY = "http://127.0.0.1:9"
_SAID = "It went wrong."
_REFUSALS: dict[str, tuple[Reply, type[AgentError]]] = {
    "full-context": (servers.ContextOverflow(), ContextOverflow),
    "no-money": (servers.QuotaExhausted(), PermissionDenied),
}
_WITHIN_STREAMS: dict[int, type[AgentError]] = {429: RateLimited, 503: ServerFailed}


class SdkTests(ModelConformanceBase):
    """Agents share the SDK's clients, which know nothing but the connection, and what the SDK
    raises is told apart as the provider meant it.
    """

    ambient: ClassVar[Mapping[str, str]] = {}
    """Environment variables that the SDK reads, each with a value that has `ambient` in it."""

    key_header: str = "authorization"
    """The header that the key goes by."""

    def refusals(self) -> Mapping[str, tuple[Reply, type[AgentError]]]:
        """What else the provider says that means more than its status, and the kind it means."""
        return {}

    async def test_agents_of_one_connection_share_its_client(self, serve: StartModelServer) -> None:
        """Ten agents of one connection that speak one after the other open one connection to the
        server, which stays as long as one of them is open, and goes with the last.
        """
        server = serve()
        async with self._several(10, self.connect(server)) as agents:
            for agent in agents:
                await _answer(agent)
            for agent in agents[:-1]:
                await agent.aclose()
            await _answer(agents[-1])
            assert server.connections_opened == 1
        gone = partial(
            server.wait_until, lambda: server.open_connections == 0, what="no connection"
        )
        await anyio.to_thread.run_sync(gone)

    async def test_a_closed_agent_can_be_used_again(self, serve: StartModelServer) -> None:
        """An agent that was closed, also twice, answers as before; it gets a client anew."""
        async with self.agent_at(serve()) as agent:
            for number in range(3):
                assert await _answer(agent, f"Question {number}") == f"Question {number}"
                await agent.aclose()
                await agent.aclose()

    def test_each_event_loop_has_clients_of_its_own(self, serve: StartModelServer) -> None:
        """What is asked in one event loop, and then in another, is answered in both."""
        connection = self.connect(serve())

        async def main() -> str:
            async with self.agent(connection) as agent:
                return await _answer(agent)

        assert [anyio.run(main), anyio.run(main)] == ["Speak.", "Speak."]

    @pytest.mark.parametrize("api_key", [TEST_KEY, None], ids=["key", "no-key"])
    async def test_nothing_of_the_environment_reaches_the_server(
        self, serve: StartModelServer, monkeypatch: pytest.MonkeyPatch, api_key: str | None
    ) -> None:
        """The connection alone says where requests go and what they hold, whatever the environment
        names: keys, addresses, headers, a proxy, which is not for this machine. The key goes by
        one header; without one, none is sent.
        """
        for name, value in self.ambient.items():
            monkeypatch.setenv(name, value)
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, _NO_PROXY)
        server = serve()
        async with self.agent_at(server, api_key=api_key, headers={"X-Team": "red"}) as agent:
            await _answer(agent)
        (request,) = server.requests
        sent = f"{request.path}?{request.query} {dict(request.headers)}"
        assert "ambient" not in sent
        assert request.headers["x-team"] == "red"
        assert request.api_key == api_key
        assert (self.key_header in request.headers) == (api_key is not None)
        assert sent.count(TEST_KEY) == (api_key is not None)

    @pytest.mark.parametrize("api_key", [TEST_KEY, None], ids=["key", "no-key"])
    async def test_a_header_of_the_connection_comes_first(
        self, serve: StartModelServer, api_key: str | None
    ) -> None:
        """A header of the connection counts more than that of the key and those of the SDK."""
        server = serve()
        headers = {self.key_header: "Basic dXNlcjpwYXNz", "user-agent": "mine"}
        async with self.agent_at(server, api_key=api_key, headers=headers) as agent:
            await _answer(agent)
        sent = server.requests[0].headers
        assert {name: sent[name] for name in headers} == headers

    async def test_more_than_a_hundred_agents_speak_at_once(self) -> None:
        """A hundred and twenty agents of one connection are in the middle of their answers at the
        same time, and no connection is given up.
        """
        answers: list[str] = []
        with ModelServerProcess(together=_CROWD) as server:
            connection = self.connect(
                server.base_url(self._spoken()), model="tokens-3", timeout_s=50
            )

            async def ask(agent: Agent) -> None:
                answers.append(await _answer(agent))

            async with self._several(_CROWD, connection) as agents:
                async with anyio.create_task_group() as tasks:
                    for agent in agents:
                        tasks.start_soon(ask, agent)
                stats = server.stats()
        assert answers == [Text.of_tokens(3).text] * _CROWD
        assert stats.most_running_calls >= _CROWD
        assert stats.closed_early == 0

    async def test_each_status_has_its_kind(self, serve: StartModelServer) -> None:
        """Each HTTP status, also one that the SDK has no class for, comes out as the class of
        `AgentError` that it means. The text names the connection, the model, the status and what
        the provider says; the agent's id is there.
        """
        server = serve([HttpError(status=status, message=_SAID) for status in STATUS_KINDS])
        errors = dict(
            zip(STATUS_KINDS, await self._failures(server, len(STATUS_KINDS)), strict=True)
        )
        assert {status: type(error) for status, error in errors.items()} == STATUS_KINDS
        assert {status: str(error) for status, error in errors.items()} == {
            status: f"'loopback' (model 'scripted'): HTTP {status}: {_SAID}"
            for status in STATUS_KINDS
        }
        assert {error.agent_id for error in errors.values()} == {"agent"}

    async def test_an_error_within_a_stream_has_a_kind_and_no_status(
        self, serve: StartModelServer
    ) -> None:
        """An error that comes in a stream that had begun well is of the kind that it would have as
        a status, and is not said to have one.
        """
        events = [
            ErrorEvent(error=HttpError(status=status, message=_SAID)) for status in _WITHIN_STREAMS
        ]
        errors = await self._failures(serve(events), len(events))
        assert [type(error) for error in errors] == list(_WITHIN_STREAMS.values())
        assert {str(error) for error in errors} == {f"'loopback' (model 'scripted'): {_SAID}"}

    async def test_what_the_provider_says_tells_more_than_its_status(
        self, serve: StartModelServer
    ) -> None:
        """A full context, a wrong key and an empty account come out as what they are, whatever
        their status; the text has the provider's words, and not its JSON.
        """
        refusals = {**_REFUSALS, **self.refusals()}
        server = serve([reply for reply, _ in refusals.values()])
        errors = dict(zip(refusals, await self._failures(server, len(refusals)), strict=True))
        assert {name: type(error) for name, error in errors.items()} == {
            name: kind for name, (_, kind) in refusals.items()
        }
        assert {name: str(error) for name, error in errors.items() if "{" in str(error)} == {}

    async def failure(self, server: ModelServer) -> AgentError:
        """What one turn of a new agent fails with."""
        (error,) = await self._failures(server, 1)
        return error

    async def _failures(self, server: ModelServer, count: int) -> list[AgentError]:
        """What turns of one agent fail with, one after the other."""
        errors: list[AgentError] = []
        async with self.agent_at(server) as agent:
            for _ in range(count):
                with pytest.raises(AgentError) as caught:
                    await agent.run(turn("Speak."), collect())
                errors.append(caught.value)
        return errors

    @asynccontextmanager
    async def _several(self, count: int, connection: Connection) -> AsyncIterator[list[Agent]]:
        """Agents of one connection, closed in the end."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.agent(connection)) for _ in range(count)]


async def _answer(agent: Agent, question: str = "Speak.") -> str:
    return (await agent.run(turn(question), collect())).text
