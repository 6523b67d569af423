"""What goes to the model: the whole history, unchanged, or nothing."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from massgen_bridge.agent import InputKind
from massgen_bridge.connection import Sampling
from massgen_bridge.messages import (
    AudioPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    Message,
    TextPart,
    ToolCall,
    ToolResult,
    VideoPart,
    assistant,
    system,
    user,
)
from massgen_bridge.testing.agents import TEST_KEY, ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._base import (
    LOOKUP,
    ConformanceBase,
    assert_refused,
    messages_of,
)
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Text

__all__ = ["ContentTests"]

_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_WAV = b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00\x80>\x00\x00"
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
_MEDIA: dict[InputKind, MediaPart] = {
    "image": ImagePart(media_type="image/png", data=_PNG),
    "audio": AudioPart(media_type="audio/wav", data=_WAV + b"data\x00\x00\x00\x00"),
    "document": DocumentPart(media_type="application/pdf", data=_PDF, name="one.pdf"),
    "video": VideoPart(media_type="video/mp4", data=b"\x00\x00\x00\x18ftypmp42isommp42"),
}
_QUESTION = "Two lines,\n\n   one of them indented: größer, 日本語, 👩‍🚀?"


class ContentTests(ConformanceBase):
    """What the host hands over reaches the model."""

    async def test_the_question_reaches_the_model_unchanged(self, serve: StartModelServer) -> None:
        """The server says back what it was asked."""
        server = serve()
        async with self.agent(server) as agent:
            result = await agent.run(turn(_QUESTION), collect())
        assert result.text == _QUESTION
        assert messages_of(server.requests[0].body)[-1] == ("user", _QUESTION)

    async def test_the_history_reaches_the_model_in_order(self, serve: StartModelServer) -> None:
        """Messages keep their roles, their order and their text."""
        server = serve()
        history = (
            system("Be brief.\nBe exact."),
            user("What is the first number?"),
            assistant("One.\n  Not zero."),
            user("And the second?"),
        )
        async with self.agent(server) as agent:
            await agent.run(turn(*history), collect())
        sent = messages_of(server.requests[0].body)
        if not self.capabilities().history:
            assert "And the second?" in sent[-1][1]
            return
        expected = [(message.role, message.text) for message in history]
        roles = {"developer": "system"}  # what newer models call it
        assert [(roles.get(role, role), text) for role, text in sent] == expected

    async def test_earlier_tool_calls_reach_the_model(self, serve: StartModelServer) -> None:
        """A call and its result stay a pair."""
        capabilities = self.capabilities()
        if not (capabilities.history and capabilities.tools):
            return  # the host gives such an agent no history of tools
        server = serve(Text("As before."))
        call = ToolCall(call_id="call-7", name="lookup", arguments={"query": "größe", "limit": 3})
        result = ToolResult(call_id="call-7", name="lookup", content="17 °C,\nrising")
        history = (
            user("How warm is it?"),
            Message(role="assistant", parts=(call,)),
            Message(role="tool", parts=(result,)),
            assistant("It is 17 °C."),
            user("Still?"),
        )
        async with self.agent(server) as agent:
            asked = turn(*history, tools=[LOOKUP], call_tool=ScriptedTools())
            await agent.run(asked, collect())
        sent = [m for m in server.requests[0].body["messages"] if m["role"] != "system"]
        assert [message["role"] for message in sent] == [message.role for message in history]
        (sent_call,) = sent[1]["tool_calls"]
        assert sent_call["function"]["name"] == "lookup"
        assert json.loads(sent_call["function"]["arguments"]) == call.arguments
        assert sent[2]["tool_call_id"] == sent_call["id"]
        assert messages_of({"messages": sent})[2] == ("tool", result.content)

    @pytest.mark.parametrize("kind", _MEDIA)
    async def test_media_pass_or_are_refused(
        self, serve: StartModelServer, kind: InputKind
    ) -> None:
        """Media reach the model whole and as media, or the turn is refused before any call."""
        server = serve(Text("I see."))
        part = _MEDIA[kind]
        asked = turn(Message(role="user", parts=(TextPart(text="What is it?"), part)))
        async with self.agent(server) as agent:
            if kind not in self.capabilities().inputs:
                await assert_refused(agent, asked, server)
                return
            await agent.run(asked, collect())
        sent = base64.b64encode(part.data or b"").decode()
        body = server.requests[0].body
        carriers = [key for key, text in _texts(body) if sent in text]
        assert len(carriers) == 1, f"the {kind} arrived {len(carriers)} times"
        assert carriers[0] not in {"text", "content"}, f"the {kind} arrived as text"
        assert any("What is it?" in text for _, text in _texts(body))

    async def test_media_that_the_model_does_not_take_are_refused(
        self, serve: StartModelServer
    ) -> None:
        """What the adapter could carry counts for nothing where the model cannot see."""
        server = serve(Text("I see."))
        asked = turn(Message(role="user", parts=(TextPart(text="What is it?"), _MEDIA["image"])))
        async with self.agent(server, inputs=frozenset()) as agent:
            await assert_refused(agent, asked, server)

    async def test_a_picture_by_address_passes_or_is_refused(self, serve: StartModelServer) -> None:
        """The address is handed on, or refused; it never becomes text."""
        server = serve(Text("I see."))
        url = "https://pictures.example/one.png"
        picture = ImagePart(media_type="image/png", url=url)
        asked = turn(Message(role="user", parts=(TextPart(text="What is it?"), picture)))
        async with self.agent(server) as agent:
            if "image" not in self.capabilities().inputs:
                await assert_refused(agent, asked, server)
                return
            await agent.run(asked, collect())
        carriers = [key for key, text in _texts(server.requests[0].body) if url in text]
        assert len(carriers) == 1
        assert carriers[0] not in {"text", "content"}

    async def test_the_connection_is_used_as_it_is(self, serve: StartModelServer) -> None:
        """Address, key, headers, model and sampling come from the connection alone."""
        server = serve(Text("Yes."))
        sampling = Sampling(temperature=0.25, top_p=0.5, seed=11)
        settings: dict[str, Any] = {"sampling": sampling, "headers": {"X-Team": "red"}}
        async with self.agent(server, model="model-of-the-connection", **settings) as agent:
            await agent.run(turn("Are you there?"), collect())
        (request,) = server.requests
        assert request.body["model"] == "model-of-the-connection"
        assert request.api_key == TEST_KEY
        assert request.headers["x-team"] == "red"
        sent = {key: request.body.get(key) for key in ("temperature", "top_p", "seed")}
        assert sent == {"temperature": 0.25, "top_p": 0.5, "seed": 11}


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, with the key that it stands under."""
    match value:
        case str():
            yield key, value
        case dict():
            for name, inner in value.items():
                yield from _texts(inner, name)
        case list():
            for inner in value:
                yield from _texts(inner, key)
        case _:
            pass
