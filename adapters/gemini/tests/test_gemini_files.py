"""Media that are too large for a request go ahead of it, and are deleted in the end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from massgen_bridge_gemini import bridge_adapters
from pydantic import SecretStr

from massgen_bridge import (
    DocumentPart,
    InputKind,
    Message,
    TextPart,
    TimedOut,
    UnsupportedContent,
    VideoPart,
)
from massgen_bridge.testing.agents import ScriptedTools, collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import Text

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

FILM = VideoPart(media_type="video/mp4", data=b"film" * 3_000_000)
PAPER = DocumentPart(media_type="application/pdf", data=b"page" * 1_000_000)
SHOWN = Message(role="user", parts=(TextPart(text="What is it?"), PAPER, FILM))


async def test_what_is_too_large_goes_ahead_and_is_deleted(model_server: StartModelServer) -> None:
    """The largest first, and each once; a film is waited for until the provider can show it."""
    server = model_server(default=Text("A film."))
    connection = connection_to(
        server, protocol="gemini", inputs=frozenset({"video", "document"}), headers={"X-Team": "a"}
    )
    agent = make_agent(bridge_adapters()[0], {}, connection)
    try:
        for number in range(2):
            await agent.run(turn(SHOWN, turn_id=f"turn-{number}"), collect())
        (kept,) = server.files.files
        assert (kept.media_type, kept.data) == ("video/mp4", FILM.data)
    finally:
        await agent.aclose()
    assert server.files.files == ()
    first, second = (one.asked for one in server.requests if one.asked is not None)
    assert first.messages == second.messages
    paper, film = first.messages[0].media
    assert paper.data == PAPER.data
    assert (film.media_type, film.data) == ("video/mp4", None)
    assert film.url is not None
    assert film.url.endswith(f"/v1beta/files/{kept.file_id}")
    paths = [(one.method, one.path) for one in server.requests if one.asked is None]
    assert [path for path in paths if "upload" in path[1]] == [
        ("POST", "/upload/v1beta/files"),
        ("POST", "/upload/v1beta/files/upload0"),
        ("POST", "/upload/v1beta/files/upload0"),
    ]
    assert paths[-1] == ("DELETE", f"/v1beta/files/{kept.file_id}")


async def test_an_upload_that_the_provider_does_not_take_is_given_up_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        seen: frozenset[InputKind] = frozenset({"video", "document"})
        to = connection_to(url, protocol="gemini", inputs=seen, timeout_s=0.4)
        agent = make_agent(bridge_adapters()[0], {}, to)
        with pytest.raises(TimedOut) as caught:
            await agent.run(turn(SHOWN), collect())
        await agent.aclose()
    assert "the upload of a file of type 'video/mp4' (12,000,000 bytes)" in str(caught.value)
    assert "nothing came for 0.4 s: 'timeout_s'" in str(caught.value)


async def test_what_cannot_be_sent_ahead_is_refused(model_server: StartModelServer) -> None:
    server = model_server(default=Text("A film."))
    own = connection_to(server, protocol="gemini", inputs=frozenset({"video", "document"}))
    behind = own.model_copy(update={"api_key": SecretStr("of-this-turn")})
    agent = make_agent(bridge_adapters()[0], {}, own)
    with pytest.raises(UnsupportedContent, match="16,000,000 bytes are more than a request takes"):
        await agent.run(turn(SHOWN).bind(ScriptedTools(), connection=behind), collect())
    await agent.aclose()
    assert server.requests == ()
