"""What goes to the model: the whole history, unchanged, or nothing."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

import base64
from typing import Any

import pytest

from massgen_bridge.agent import InputKind
from massgen_bridge.connection import Sampling
from massgen_bridge.errors import BridgeError, ConfigError, UnsupportedContent
from massgen_bridge.messages import (
    ImagePart,
    Message,
    TextPart,
    ToolCall,
    ToolResult,
    assistant,
    system,
    user,
)
from massgen_bridge.testing.agents import TEST_KEY, ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._checks import assert_refused, assert_same_text
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._sent import asked, conversation, texts
from massgen_bridge.testing.conformance._turns import LOOKUP, MEDIA
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Text, ToolCalls

__all__ = ["ContentTests"]

_QUESTION = "Two lines,\n\n   one of them indented: größer, 日本語, 👩‍🚀?"
_LONG_HISTORY = 400
_LONG_MESSAGE = 2500
_ONE_ALPHABET = str.maketrans("-_", "+/")  # base64 has two
_SAMPLING: dict[str, tuple[Sampling, Any]] = {
    "temperature": (Sampling(temperature=0.25), 0.25),
    "top_p": (Sampling(top_p=0.5), 0.5),
    "seed": (Sampling(seed=11), 11),
}
_AMBIENT = {
    "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9/ambient",
    "GOOGLE_GENAI_API_VERSION": "v1ambient",
} | {
    f"{sdk}_{name}": value
    for sdk in ("ANTHROPIC", "GEMINI", "GOOGLE", "OPENAI")
    for name, value in {
        "API_KEY": "ambient-key",
        "AUTH_TOKEN": "ambient-token",
        "BASE_URL": "http://127.0.0.1:9/ambient",
        "CUSTOM_HEADERS": "X-Ambient: ambient",
        "ORG_ID": "org-ambient",
        "PROJECT_ID": "proj-ambient",
    }.items()
}


class ContentTests(ModelConformanceBase):
    """What the host hands over reaches the model whole and unchanged, or the turn is refused."""

    async def test_the_question_reaches_the_model_unchanged(self, serve: StartModelServer) -> None:
        """Lines, indentation, accents, scripts and emoji of the user's message arrive as they
        are, as the last message, with nothing put around them.
        """
        server = serve()
        async with self.agent_at(server) as agent:
            result = await agent.run(turn(_QUESTION), collect())
        assert result.text == _QUESTION
        assert conversation(server)[-1] == ("user", _QUESTION)

    async def test_the_history_reaches_the_model_in_order(self, serve: StartModelServer) -> None:
        """System, user and assistant messages keep their role, their order and their text. An
        agent that claims no `history` still sends the last question.
        """
        server = serve()
        history = (
            system("Be brief.\nBe exact."),
            user("What is the first number?"),
            assistant("One.\n  Not zero."),
            user("And the second?"),
        )
        async with self.agent_at(server) as agent:
            await agent.run(turn(*history), collect())
        sent = conversation(server)
        if self.lacks("history"):
            assert "And the second?" in sent[-1][1]
            return
        assert sent == [(message.role, message.text) for message in history]

    async def test_a_long_history_reaches_the_model_whole(self, serve: StartModelServer) -> None:
        """Four hundred messages, one million characters in all, arrive in order and uncut."""
        server = serve(Text("Read."))
        filler = "x" * _LONG_MESSAGE
        history = [
            (user if number % 2 else assistant)(f"Message {number}: {filler}")
            for number in range(1, _LONG_HISTORY)
        ]
        async with self.agent_at(server) as agent:
            await agent.run(turn(*history), collect())
        sent = conversation(server)
        if self.lacks("history"):
            assert history[-1].text in sent[-1][1]
            return
        assert [role for role, _ in sent] == [message.role for message in history]
        assert_same_text(
            "\n".join(text for _, text in sent), "\n".join(message.text for message in history)
        )

    async def test_earlier_tool_calls_reach_the_model(self, serve: StartModelServer) -> None:
        """A tool call of an earlier turn and its result arrive as a pair, with the call's name and
        arguments and the result's text.
        """
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
        wanted = turn(*history, tools=[LOOKUP], call_tool=ScriptedTools())
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, wanted)
                return
            await agent.run(wanted, collect())
        if self.lacks("history"):
            return
        sent = [message for message in asked(server).messages if message.role != "system"]
        assert [message.role for message in sent] == [message.role for message in history]
        (sent_call,) = sent[1].calls
        assert (sent_call.name, sent_call.arguments) == ("lookup", call.arguments)
        assert (sent[2].answers, sent[2].text) == (sent_call.call_id, result.content)

    async def test_what_a_turn_adds_can_be_handed_back(self, serve: StartModelServer) -> None:
        """The `new_messages` of a turn, put behind its question, are a history that the next turn
        takes: the call, its result and the answer reach the model as they were.
        """
        call = ("lookup", {"query": "größe", "limit": 3})
        server = serve([ToolCalls(call), Text("It is 17 °C."), Text("It still is.")])
        tools = ScriptedTools("17 °C,\nrising")
        first = turn("How warm is it?", tools=[LOOKUP], call_tool=tools)
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, first)
                return
            result = await agent.run(first, collect())
            history = (*first.messages, *result.new_messages, user("Still?"))
            again = turn(*history, tools=[LOOKUP], call_tool=tools, turn_id="turn-2")
            await agent.run(again, collect())
        if self.lacks("history"):
            return
        sent = [message for message in asked(server).messages if message.role != "system"]
        assert [(message.role, message.text) for message in sent] == [
            ("user", "How warm is it?"),
            ("assistant", ""),
            ("tool", "17 °C,\nrising"),
            ("assistant", "It is 17 °C."),
            ("user", "Still?"),
        ]
        (sent_call,) = sent[1].calls
        assert (sent_call.name, sent_call.arguments) == call
        assert sent[2].answers == sent_call.call_id

    async def test_a_turn_adds_nothing_to_the_next(self, serve: StartModelServer) -> None:
        """Two turns with the same question, with other turns between them, send the same request:
        neither messages nor tools pile up in an agent.
        """
        server = serve(Text("The same."))
        tools: dict[str, Any] = (
            {"tools": [LOOKUP], "call_tool": ScriptedTools()} if self.capabilities().tools else {}
        )
        async with self.agent_at(server) as agent:
            for number, question in enumerate(["Again?", "Another.", "One more.", "Again?"]):
                await agent.run(turn(question, turn_id=f"turn-{number}", **tools), collect())
        assert conversation(server, 0) == conversation(server, -1)
        assert asked(server, 0).tools == asked(server, -1).tools

    @pytest.mark.parametrize("kind", MEDIA)
    async def test_media_pass_or_are_refused(
        self, serve: StartModelServer, kind: InputKind
    ) -> None:
        """A picture, sound, document or film reaches the model once, byte for byte and as what it
        is, with the text beside it; or the turn is refused before any model call. It never
        arrives as text and is never dropped.
        """
        server = serve(Text("I see."))
        part = MEDIA[kind]
        shown = turn(Message(role="user", parts=(TextPart(text="What is it?"), part)))
        async with self.agent_at(server) as agent:
            if self.lacks(kind):
                await assert_refused(agent, shown)
                assert server.calls == 0
                return
            await agent.run(shown, collect())
        message = asked(server).messages[-1]
        assert [media.data for media in message.media] == [part.data]
        assert message.media[0].media_type.partition("/")[0] == part.media_type.partition("/")[0]
        assert message.text == "What is it?"
        sent = base64.b64encode(part.data or b"").decode()
        told = texts(server.requests[0].body)
        carriers = [key for key, text in told if sent in text.translate(_ONE_ALPHABET)]
        assert len(carriers) == 1, f"the {kind} arrived {len(carriers)} times"
        assert carriers[0] not in {"text", "content"}, f"the {kind} arrived as text"

    async def test_media_that_the_model_does_not_take_are_refused(
        self, serve: StartModelServer
    ) -> None:
        """Where the connection says that its model takes no pictures, a turn with one fails with
        `UnsupportedContent` before any model call, whatever the adapter could carry.
        """
        server = serve(Text("I see."))
        shown = turn(Message(role="user", parts=(TextPart(text="What is it?"), MEDIA["image"])))
        async with self.agent_at(server, inputs=frozenset()) as agent:
            await assert_refused(agent, shown)
        assert server.calls == 0

    async def test_a_picture_by_address_passes_or_is_refused(self, serve: StartModelServer) -> None:
        """The address of a picture is handed on as that of a picture, or the turn is refused
        before any model call; it never becomes text.
        """
        server = serve(Text("I see."))
        url = "https://pictures.example/one.png"
        picture = ImagePart(media_type="image/png", url=url)
        shown = turn(Message(role="user", parts=(TextPart(text="What is it?"), picture)))
        async with self.agent_at(server) as agent:
            if self.lacks("image"):
                await assert_refused(agent, shown)
                assert server.calls == 0
                return
            await agent.run(shown, collect())
        assert [media.url for media in asked(server).messages[-1].media] == [url]
        carriers = [key for key, text in texts(server.requests[0].body) if url in text]
        assert len(carriers) == 1
        assert carriers[0] not in {"text", "content"}

    async def test_the_connection_is_used_as_it_is(
        self, serve: StartModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Address, key, headers and model come from the connection, and from nothing else: no
        address, key or header that the SDKs of OpenAI, Anthropic and Google find in the environment
        is used.
        """
        for name, value in _AMBIENT.items():
            monkeypatch.setenv(name, value)
        server = serve(Text("Yes."))
        settings: dict[str, Any] = {"headers": {"X-Team": "red"}}
        async with self.agent_at(server, model="model-of-the-connection", **settings) as agent:
            await agent.run(turn("Are you there?"), collect())
        (request,) = server.requests
        assert asked(server).model == "model-of-the-connection"
        assert request.api_key == TEST_KEY
        assert request.headers["x-team"] == "red"
        ambient = [name for name, value in request.headers.items() if "ambient" in value]
        assert not ambient, "these headers come from the environment: see ambient_headers"

    @pytest.mark.parametrize("name", _SAMPLING)
    async def test_sampling_reaches_the_model_or_is_refused(
        self, serve: StartModelServer, name: str
    ) -> None:
        """A sampling setting of the connection - temperature, top_p, seed - reaches the model as
        it is. One that the protocol cannot carry is a `ConfigError` or an `UnsupportedContent`
        that names it, before any model call; it never vanishes.
        """
        sampling, value = _SAMPLING[name]
        server = serve(Text("Sampled."))
        refusal: BridgeError | None = None
        try:
            async with self.agent_at(server, sampling=sampling) as agent:
                await agent.run(turn("Speak."), collect())
        except (ConfigError, UnsupportedContent) as error:
            refusal = error
        if refusal is not None:
            assert name in str(refusal), "an error names what is wrong"
            assert server.calls == 0
            return
        assert asked(server).sampling == {name: value}

    async def test_extra_settings_reach_the_request_unchanged(
        self, serve: StartModelServer
    ) -> None:
        """What stands in the connection's `sampling.extra` is in the request's body as it is."""
        extra = {"x_setting": {"depth": 3, "names": ["größer"]}}
        server = serve(Text("Sampled."), strict=False)  # some protocols know all their settings
        async with self.agent_at(server, sampling=Sampling(extra=extra)) as agent:
            await agent.run(turn("Speak."), collect())
        assert asked(server).body["x_setting"] == extra["x_setting"]
