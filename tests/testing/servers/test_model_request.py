"""What a test sees of a request, the same for every wire protocol."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from testing.servers.plain_http import post

from massgen_bridge.testing.servers import (
    ModelRequest,
    ModelServer,
    OfferedTool,
    SentCall,
    SentMedia,
    SentMessage,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = b"\x00\xff not a text"
BASE64 = base64.b64encode(DATA).decode()
SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(Text("fine"), strict=False) as running:
        yield running


def chat(server: ModelServer, *messages: dict[str, Any], **more: Any) -> ModelRequest:
    body = {"model": "m", "messages": messages, **more}
    assert post(server, "/v1/chat/completions", body).status == 200
    asked = server.requests[-1].asked
    assert asked is not None
    return asked


def test_messages_of_a_chat_are_read(server: ModelServer) -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "lookup", "arguments": '{"query":"Tee?"}'},
    }
    broken = {**call, "id": "c2", "function": {"name": "lookup", "arguments": '{"query":'}}
    custom = {"id": "c3", "type": "custom", "custom": {"name": "shell", "input": "[1]"}}
    asked = chat(
        server,
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": a} for a in ("What ", "is it?")]},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Hm.",
            "tool_calls": [call, broken, custom],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Tea."},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "No."}]},
        {"role": "assistant", "content": None, "refusal": "I will not."},
    )
    assert asked.messages == (
        SentMessage(role="system", text="Be brief."),
        SentMessage(role="user", text="What is it?"),
        SentMessage(
            role="assistant",
            reasoning="Hm.",
            calls=(
                SentCall(call_id="c1", name="lookup", arguments={"query": "Tee?"}),
                SentCall(call_id="c2", name="lookup", arguments='{"query":'),
                SentCall(call_id="c3", name="shell", arguments="[1]"),
            ),
        ),
        SentMessage(role="tool", text="Tea.", answers="c1"),
        SentMessage(role="tool", text="No.", answers="c2"),
        SentMessage(role="assistant", text="I will not."),
    )


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}},
            SentMedia(media_type="image/png", data=DATA),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            SentMedia(media_type="image/*", url="https://a.example/b.png"),
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://a.example/b"}},
            SentMedia(media_type="video/*", url="https://a.example/b"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}},
            SentMedia(media_type="audio/wav", data=DATA),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": BASE64, "format": "mp3"}},
            SentMedia(media_type="audio/mpeg", data=DATA),
        ),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{BASE64}"}},
            SentMedia(media_type="application/pdf", data=DATA),
        ),
        ({"type": "file", "file": {"file_id": "f"}}, SentMedia(media_type="application/*")),
    ],
)
def test_media_of_a_chat_are_decoded(server: ModelServer, part: Any, media: SentMedia) -> None:
    text = {"type": "text", "text": "What is it?"}
    asked = chat(server, {"role": "user", "content": [text, part]})
    assert asked.messages == (SentMessage(role="user", text="What is it?", media=(media,)),)


def test_media_that_are_no_base64_are_an_error(server: ModelServer) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}
    asked = chat(server, {"role": "user", "content": [part]})
    with pytest.raises(ValueError, match="media that are not in base64: '%%%'"):
        _ = asked.messages


def test_sampling_is_seen_as_it_was_sent(server: ModelServer) -> None:
    sent = {"temperature": 0.5, "top_p": None, "seed": 3, "stop": ["x"]}
    asked = chat(server, {"role": "user", "content": "x"}, **sent, max_tokens=5, user="me")
    assert asked.sampling == sent


def test_offered_tools_are_seen(server: ModelServer) -> None:
    described = {"name": "lookup", "description": "Looks up.", "parameters": SCHEMA}
    tools = [{"type": "function", "function": given} for given in (described, {"name": "end"})]
    asked = chat(server, {"role": "user", "content": "x"}, tools=tools)
    assert asked.tools == (
        OfferedTool(name="lookup", description="Looks up.", parameters=SCHEMA),
        OfferedTool(name="end", description=None, parameters={}),
    )


def test_a_refused_request_asks_for_nothing(server: ModelServer) -> None:
    assert post(server, "/v1/chat/completions", {"model": "m"}).status == 400
    assert server.requests[0].asked is None


def test_each_protocol_has_its_base_url() -> None:
    with ModelServer() as server:
        assert server.base_url("chat") == server.url
        assert f"{server.base_url('messages')}/v1" == server.url
        with pytest.raises(ValueError, match="does not speak 'gemini'; expected one of: 'chat'"):
            server.base_url("gemini")
