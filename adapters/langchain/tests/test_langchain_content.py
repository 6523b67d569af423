"""Content is carried or refused, never dropped."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from massgen_bridge_langchain import bridge_adapters
from massgen_bridge_langchain._convert import from_langchain, to_langchain, usage_of

from massgen_bridge import (
    AudioPart,
    DocumentPart,
    ImagePart,
    InputKind,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
    UnsupportedContent,
    Usage,
    VideoPart,
    assistant,
    system,
)
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import Text

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer

DATA = b"\x89PNG\x00\xff"
CODED = base64.b64encode(DATA).decode()
ALL: frozenset[InputKind] = frozenset({"image", "audio", "document", "video"})


def with_part(part: Part) -> Message:
    return Message(role="user", parts=(TextPart(text="What is it?"), part))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (
            ImagePart(media_type="image/png", data=DATA),
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{CODED}"}},
        ),
        (
            ImagePart(media_type="image/png", url="https://example.org/cat.png"),
            {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        ),
        (
            AudioPart(media_type="audio/mpeg", data=DATA),
            {"type": "input_audio", "input_audio": {"data": CODED, "format": "mp3"}},
        ),
        (
            AudioPart(media_type="audio/x-wav", data=DATA),
            {"type": "input_audio", "input_audio": {"data": CODED, "format": "wav"}},
        ),
        (
            DocumentPart(media_type="application/pdf", data=DATA, name="cats.pdf"),
            {
                "type": "file",
                "file": {
                    "filename": "cats.pdf",
                    "file_data": f"data:application/pdf;base64,{CODED}",
                },
            },
        ),
        (
            DocumentPart(media_type="application/pdf", data=DATA),
            {
                "type": "file",
                "file": {
                    "filename": "document.pdf",
                    "file_data": f"data:application/pdf;base64,{CODED}",
                },
            },
        ),
    ],
)
async def test_media_reach_the_model_unchanged(
    model_server: StartModelServer, part: Part, sent: dict[str, Any]
) -> None:
    server = model_server(Text("a cat"))
    (spec,) = bridge_adapters()
    agent = make_agent(spec, {}, connection_to(server, inputs=ALL))
    await agent.run(turn(with_part(part)), collect())
    await agent.aclose()
    (request,) = server.requests
    assert request.body["messages"][0]["content"] == [
        {"type": "text", "text": "What is it?"},
        sent,
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("message", "inputs", "problem"),
    [
        (with_part(ImagePart(media_type="image/png", data=DATA)), (), "takes no 'image'"),
        (with_part(VideoPart(media_type="video/mp4", data=DATA)), ALL, "no form for video"),
        (with_part(AudioPart(media_type="audio/flac", data=DATA)), ALL, "as wav or mp3"),
        (
            with_part(DocumentPart(media_type="application/pdf", url="https://example.org/x")),
            ALL,
            "not by address",
        ),
        (with_part(ToolResult(call_id="c", name="n", content="x")), ALL, "'tool_result'"),
        (
            Message(role="system", parts=(ImagePart(media_type="image/png", data=DATA),)),
            ALL,
            "role 'system'",
        ),
        (Message(role="tool", parts=(TextPart(text="x"),)), ALL, "role 'tool'"),
        (
            Message(role="assistant", parts=(ImagePart(media_type="image/png", data=DATA),)),
            ALL,
            "role 'assistant'",
        ),
    ],
)
async def test_what_cannot_be_carried_is_refused_before_any_call(
    model_server: StartModelServer, message: Message, inputs: Any, problem: str
) -> None:
    server = model_server(Text("a cat"))
    (spec,) = bridge_adapters()
    agent = make_agent(spec, {}, connection_to(server, inputs=frozenset(inputs)))
    with pytest.raises(UnsupportedContent, match=problem):
        await agent.run(turn(message), collect())
    await agent.aclose()
    assert server.calls == 0


def test_messages_come_back_as_they_went() -> None:
    history = (
        system("Be brief."),
        Message(
            role="user",
            name="ann",
            parts=(TextPart(text="?"), ImagePart(media_type="image/png", data=DATA)),
        ),
        Message(
            role="assistant",
            parts=(TextPart(text="!"), ToolCall(call_id="c", name="n", arguments={"a": [1]})),
        ),
        Message(
            role="tool",
            parts=(
                ToolResult(call_id="c", name="n", content="x"),
                ToolResult(call_id="d", name="n", content="y", is_error=True),
            ),
        ),
        assistant("done"),
    )
    assert from_langchain(to_langchain(history)) == history


def test_blocks_of_any_provider_are_read() -> None:
    message = AIMessage(
        content=[
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "A cat"},
            {"type": "image", "base64": CODED, "mime_type": "image/png"},
            {"type": "text", "text": " and more"},
        ],
        response_metadata={"model_provider": "anthropic"},
    )
    (converted,) = from_langchain([message])
    assert converted.parts == (
        TextPart(text="A cat"),
        ImagePart(media_type="image/png", data=DATA),
        TextPart(text=" and more"),
    )


def test_calls_that_langchain_could_not_read_are_kept() -> None:
    broken: Any = {"type": "invalid_tool_call", "id": "c", "name": "n", "args": "{", "error": None}
    (converted,) = from_langchain([AIMessage("", invalid_tool_calls=[broken])])
    assert converted.tool_calls == (ToolCall(call_id="c", name="n", malformed="{"),)


def test_a_tool_message_of_blocks_is_its_text() -> None:
    message = ToolMessage(
        content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        tool_call_id="c",
        name="n",
        status="error",
    )
    (converted,) = from_langchain([HumanMessage("?"), message])[1:]
    assert converted.parts == (ToolResult(call_id="c", name="n", content="ab", is_error=True),)


def test_tokens_of_a_service_tier_count_as_what_they_are() -> None:
    message = AIMessage(
        "x",
        usage_metadata={
            "input_tokens": 30,
            "output_tokens": 9,
            "total_tokens": 39,
            "input_token_details": {"priority": 10, "priority_cache_read": 20},
            "output_token_details": {"priority_reasoning": 4},
        },
    )
    assert usage_of(message) == Usage(
        input_tokens=30, cached_tokens=20, output_tokens=9, reasoning_tokens=4, calls=1
    )
