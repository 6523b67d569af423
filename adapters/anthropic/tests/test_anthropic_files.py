"""Documents that are too large for a request go ahead of it, and are deleted in the end."""

from __future__ import annotations

import base64
import socket

import pytest
from massgen_bridge_anthropic import bridge_adapters
from pydantic import SecretStr

from massgen_bridge import (
    Agent,
    Connection,
    DocumentPart,
    ImagePart,
    InputKind,
    Message,
    Part,
    TextPart,
    TimedOut,
    ToolResult,
    Turn,
    UnsupportedContent,
)
from massgen_bridge.testing.agents import ScriptedTools, collect, connection_to, make_agent, turn
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import ModelServer, Text, ToolCalls

pytestmark = pytest.mark.anyio

LARGE = DocumentPart(media_type="application/pdf", data=b"%PDF-" + bytes(13_000_000), name="l")
SMALL = DocumentPart(media_type="application/pdf", data=b"%PDF-1.7", name="s")
SMALL_SOURCE = {
    "type": "base64",
    "media_type": "application/pdf",
    "data": base64.b64encode(b"%PDF-1.7").decode(),
}


SEEN: frozenset[InputKind] = frozenset({"image", "document"})


def _agent(server: ModelServer) -> tuple[Agent, Connection]:
    to = connection_to(server, protocol="messages", inputs=SEEN)
    return make_agent(bridge_adapters()[0], {}, to), to


def _shown(*parts: Part) -> Turn:
    return turn(Message(role="user", parts=(TextPart(text="Read."), *parts)))


async def test_a_document_too_large_for_a_request_goes_ahead_of_it_once(
    model_server: StartModelServer,
) -> None:
    server = model_server(default=Text("Read."))
    agent, _ = _agent(server)
    for _ in range(2):
        await agent.run(_shown(LARGE, SMALL), collect())
    await agent.aclose()
    sent, one, other, deleted = server.requests
    assert sent.path == "/v1/files"
    _, first, second = one.body["messages"][0]["content"]
    assert (first["source"]["type"], second["source"]) == ("file", SMALL_SOURCE)
    assert other.body["messages"] == one.body["messages"]
    assert (deleted.method, deleted.path) == ("DELETE", f"/v1/files/{first['source']['file_id']}")
    assert server.files.files == (), "nothing stays with the provider"


async def test_an_upload_that_the_provider_does_not_take_is_given_up_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        to = connection_to(url, protocol="messages", inputs=SEEN, timeout_s=0.4)
        agent = make_agent(bridge_adapters()[0], {}, to)
        with pytest.raises(TimedOut) as caught:
            await agent.run(_shown(LARGE), collect())
        await agent.aclose()
    assert "the upload of 'l' (13,000,005 bytes)" in str(caught.value)
    assert "nothing came for 0.4 s: 'timeout_s'" in str(caught.value)


async def test_a_large_document_that_a_tool_shows_goes_ahead_too(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(("lookup", {"query": "x", "limit": 1})), Text("Read.")])
    agent, _ = _agent(server)
    shown = ToolResult(call_id="", name="", content="a book", media=(SMALL, LARGE))
    asked = turn("Look.", tools=(LOOKUP,)).bind(ScriptedTools(shown))
    await agent.run(asked, collect())
    await agent.aclose()
    ((_, small, large),) = (
        one["content"] for one in server.requests[-2].body["messages"][-1]["content"]
    )
    assert (small["source"], large["source"]["type"]) == (SMALL_SOURCE, "file")
    assert server.files.files == ()


async def test_pictures_need_room_and_do_not_go_ahead(model_server: StartModelServer) -> None:
    server = model_server(default=Text("Read."))
    agent, _ = _agent(server)
    picture = ImagePart(media_type="image/png", data=bytes(12_000_001))
    await agent.run(_shown(SMALL, picture), collect())
    await agent.aclose()
    _, small, image = server.requests[1].body["messages"][0]["content"]
    assert (small["source"]["type"], image["source"]["type"]) == ("file", "base64")


async def test_nothing_goes_ahead_past_the_gateway(model_server: StartModelServer) -> None:
    """What a request takes stands in it; the rest is refused before any call."""
    server = model_server(default=Text("Read."))
    agent, own = _agent(server)
    behind = own.model_copy(update={"api_key": SecretStr("of-this-turn")})
    fits, does_not = (
        _shown(*parts).bind(ScriptedTools(), connection=behind) for parts in ([LARGE], [LARGE] * 2)
    )
    await agent.run(fits, collect())
    (request,) = server.requests
    assert request.body["messages"][0]["content"][1]["source"]["type"] == "base64"
    with pytest.raises(UnsupportedContent, match="26,000,010 bytes are more than a request takes"):
        await agent.run(does_not, collect())
    await agent.aclose()
    assert server.requests == (request,)
