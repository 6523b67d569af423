"""What a test sees of a request, the same for every wire protocol."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from testing.servers.plain_http import events_of, post

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
    from collections.abc import Iterator, Mapping

DATA = b"\x00\xff not a text"
BASE64 = base64.b64encode(DATA).decode()
SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(Text("fine"), strict=False) as running:
        yield running


def asked_of(server: ModelServer, path: str, body: Mapping[str, Any]) -> ModelRequest:
    headers = {"anthropic-version": "2023-06-01"}
    assert post(server, path, {"model": "m", **body}, headers=headers).status == 200
    asked = server.requests[-1].asked
    assert asked is not None
    return asked


def chat(server: ModelServer, *messages: dict[str, Any], **more: Any) -> ModelRequest:
    return asked_of(server, "/v1/chat/completions", {"messages": messages, **more})


def claude(server: ModelServer, *messages: dict[str, Any], **more: Any) -> ModelRequest:
    return asked_of(server, "/v1/messages", {"max_tokens": 9, "messages": messages, **more})


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


def test_messages_for_anthropic_are_read(server: ModelServer) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/b"}}
    asked = claude(
        server,
        {"role": "user", "content": "What is it?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                {"type": "text", "text": "Let me "},
                {"type": "text", "text": "see."},
                {"type": "tool_use", "id": "c1", "name": "lookup", "input": {"query": "Tee?"}},
                {"type": "tool_use", "id": "c2", "name": "lookup", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "Tea."},
                {
                    "type": "tool_result",
                    "tool_use_id": "c2",
                    "is_error": True,
                    "content": [{"type": "text", "text": "No."}, image],
                },
                {"type": "text", "text": "So?"},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c3"}]},
        system=[{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}],
    )
    assert asked.messages == (
        SentMessage(role="system", text="Be brief."),
        SentMessage(role="user", text="What is it?"),
        SentMessage(
            role="assistant",
            text="Let me see.",
            reasoning="Hm.",
            calls=(
                SentCall(call_id="c1", name="lookup", arguments={"query": "Tee?"}),
                SentCall(call_id="c2", name="lookup", arguments={}),
            ),
        ),
        SentMessage(role="tool", text="Tea.", answers="c1", is_error=False),
        SentMessage(
            role="tool",
            text="No.",
            media=(SentMedia(media_type="image/*", url="https://a.example/b"),),
            answers="c2",
            is_error=True,
        ),
        SentMessage(role="user", text="So?"),
        SentMessage(role="tool", answers="c3", is_error=False),
    )
    assert (asked.last_text, asked.ends_with_tool_result) == ("", True)


@pytest.mark.parametrize(
    ("kind", "source", "media"),
    [
        (
            "image",
            {"type": "base64", "media_type": "image/png", "data": BASE64},
            SentMedia(media_type="image/png", data=DATA),
        ),
        (
            "document",
            {"type": "base64", "media_type": "application/pdf", "data": BASE64},
            SentMedia(media_type="application/pdf", data=DATA),
        ),
        (
            "document",
            {"type": "text", "media_type": "text/plain", "data": "ä"},
            SentMedia(media_type="text/plain", data="ä".encode()),
        ),
        (
            "document",
            {"type": "url", "url": "https://a.example/b"},
            SentMedia(media_type="application/*", url="https://a.example/b"),
        ),
        ("image", {"type": "file", "file_id": "f"}, SentMedia(media_type="image/*")),
    ],
)
def test_media_for_anthropic_are_decoded(
    server: ModelServer, kind: str, source: Any, media: SentMedia
) -> None:
    blocks = [{"type": "text", "text": "What is it?"}, {"type": kind, "source": source}]
    asked = claude(server, {"role": "user", "content": blocks})
    assert asked.messages == (SentMessage(role="user", text="What is it?", media=(media,)),)
    assert (asked.last_text, asked.ends_with_tool_result) == ("What is it?", False)


def test_sampling_is_seen_as_it_was_sent(server: ModelServer) -> None:
    sent = {"temperature": 0.5, "top_p": None, "seed": 3, "stop": ["x"]}
    asked = chat(server, {"role": "user", "content": "x"}, **sent, max_tokens=5, user="me")
    assert asked.sampling == sent
    others = {"temperature": 0.5, "top_k": 3, "stop_sequences": ["x"]}
    assert claude(server, {"role": "user", "content": "x"}, **others).sampling == others


def test_offered_tools_are_seen(server: ModelServer) -> None:
    described = {"name": "lookup", "description": "Looks up.", "parameters": SCHEMA}
    tools = [{"type": "function", "function": given} for given in (described, {"name": "end"})]
    asked = chat(server, {"role": "user", "content": "x"}, tools=tools)
    offered = OfferedTool(name="lookup", description="Looks up.", parameters=SCHEMA)
    assert asked.tools == (offered, OfferedTool(name="end", description=None, parameters={}))
    given = [{"name": "lookup", "description": "Looks up.", "input_schema": SCHEMA}]
    user = {"role": "user", "content": "x"}
    assert claude(server, user, tools=given).tools == (offered,)
    assert claude(server, user, tools=given, tool_choice={"type": "none"}).tools == ()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_messages_of_many_megabytes_pass(path: str) -> None:
    text = "".join(f"{number:08d}" for number in range(1024 * 1024))  # 8 MiB
    answer = Text(text, chunks=tuple(text[at : at + 65536] for at in range(0, len(text), 65536)))
    body = {
        "model": "m",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": text}],
        "stream": True,
    }
    with ModelServer(answer) as server:
        streamed = post(server, path, body, headers={"anthropic-version": "2023-06-01"})
        whole = post(server, path, {**body, "stream": False}, headers={"anthropic-version": "1"})
        asked = [request.asked for request in server.requests]
    assert (streamed.status, whole.status) == (200, 200)
    assert text in whole.body.decode()
    pieces = [event.data for event in events_of(streamed.body) if "0000" in event.data]
    assert sum(map(len, pieces)) > len(text)
    assert all(one is not None and one.messages[0].text == text for one in asked)


def test_a_refused_request_asks_for_nothing(server: ModelServer) -> None:
    assert post(server, "/v1/chat/completions", {"model": "m"}).status == 400
    assert server.requests[0].asked is None


def test_each_protocol_has_its_base_url() -> None:
    with ModelServer() as server:
        assert server.base_url("chat") == server.url
        assert f"{server.base_url('messages')}/v1" == server.url
        assert server.base_url("gemini") == server.base_url("messages")
        assert server.base_url("responses") == server.url
