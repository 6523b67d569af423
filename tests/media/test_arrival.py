"""Pictures of every kind, from a question to the model: what is seen there is what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import massgen_bridge
from massgen_bridge.messages import ImagePart, Message, TextPart
from massgen_bridge.testing.pictures import PICTURES, make, unlike
from massgen_bridge.testing.servers import ModelRequest, ModelServer, SentMedia, Text

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        ("openai", "chat"),
        ("openai", "responses"),
        ("anthropic", "messages"),
        ("langchain", "chat"),
        ("gemini", "gemini"),
    ],
)
async def test_every_kind_of_picture_arrives_as_it_was_meant(
    kind: str, protocol: Protocols, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_NOBODY", "nothing")
    arrived: list[SentMedia] = []

    def answer(request: ModelRequest) -> Text:
        arrived.extend(media for message in request.messages for media in message.media)
        return Text("Four quarters.")

    pictures = [
        ImagePart(media_type="image/png", data=make(one), name=one.name) for one in PICTURES
    ]
    question = Message(role="user", parts=(TextPart(text="What is it?"), *pictures))
    with ModelServer(answer) as server:
        model: dict[str, Any] = {
            "provider": "gemini" if protocol == "gemini" else "vllm",
            "model": "m",
            "protocol": protocol,
            "api_key": "${KEY_OF_NOBODY}",
            "base_url": server.base_url(protocol),
            "inputs": ["image"],
            "image_limits": {"max_side": 1000},
        }
        config = {
            "version": 1,
            "models": {"m": model},
            "agents": [{"id": "a", "backend": {"type": kind, "model": "m"}}],
            "strategy": {"type": "single"},
        }
        result = await massgen_bridge.arun(config, question, keep=False)
    assert result.answer == "Four quarters."
    assert len(arrived) == len(PICTURES)
    for one, media in zip(PICTURES, arrived, strict=True):
        assert not unlike(media.data or b"", one, max_side=1000), one.name
        assert media.media_type in {"image/gif", "image/jpeg", "image/png", "image/webp"}
        assert b"SECRET" not in (media.data or b"")
