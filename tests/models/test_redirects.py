"""A server that leads elsewhere gets neither key nor request sent on."""

from __future__ import annotations

import pytest
from anyio import to_thread

from massgen_bridge.connection import Protocols
from massgen_bridge.errors import ProtocolFailed
from massgen_bridge.plugins import PluginHost
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import HttpError, ModelServer, Text

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("kind", "protocol", "status"),
    [
        ("openai", "chat", 302),
        ("openai", "chat", 307),
        ("langchain", "chat", 307),
        ("anthropic", "messages", 308),
    ],
)
async def test_the_key_does_not_follow_a_redirect(
    kind: str, protocol: Protocols, status: int
) -> None:
    with ModelServer(default=Text("Thanks for the key.")) as elsewhere:
        there = f"{elsewhere.url}/chat/completions?x=1"
        away = HttpError(status=status, body="", headers=(("location", there),))
        with ModelServer(default=away) as server:
            secret = {"X-Secret": "of the user"}
            connection = connection_to(server, protocol=protocol, headers=secret)
            spec = await to_thread.run_sync(PluginHost().adapter, kind)
            agent = await to_thread.run_sync(make_agent, spec, {}, connection)
            told = f"HTTP {status}: the server leads to http"
            with pytest.raises(ProtocolFailed, match=told) as caught:
                await agent.run(turn("Speak."), collect())
            await agent.aclose()
        assert "x=1" not in str(caught.value)
        assert not elsewhere.requests
