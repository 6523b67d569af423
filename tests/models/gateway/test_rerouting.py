"""Requests that were made for one connection, for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge.connection import Connection, ImageLimits, ModelTraits, Quirks, Sampling
from massgen_bridge.models.gateway.rerouting import lacking_for, rerouted

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols

BLIND = ModelTraits(inputs=frozenset(), structured=False)
SHAPED: dict[str, Any] = {"type": "json_schema"}


def _connection(
    quirks: Quirks | None = None, *, provider: str = "x", **sampling: Any
) -> Connection:
    return Connection(
        name="x",
        provider=provider,
        protocol="chat",
        model="m",
        base_url="http://127.0.0.1:9/v1",
        quirks=quirks or Quirks(),
        sampling=Sampling(**sampling),
    )


def _said(*blocks: dict[str, Any], name: str = "content") -> list[dict[str, Any]]:
    return [{"role": "user", name: list(blocks)}]


@pytest.mark.parametrize(
    ("body", "lacking"),
    [
        ({"messages": [{"role": "user", "content": "?"}]}, ()),
        ({"messages": _said({"type": "image_url"}, {"type": "text"})}, ("image",)),
        ({"messages": _said({"type": "file"}, {"type": "input_audio"})}, ("audio", "document")),
        ({"messages": _said({"type": "tool_use", "input": {"content": [{"type": "image"}]}})}, ()),
        ({"messages": _said({"type": "tool_result", "content": [{"type": "image"}]})}, ("image",)),
        ({"input": [{"type": "function_call_output", "output": [{"type": "input_file"}]}]}, None),
        ({"contents": _said({"inlineData": {"mimeType": "video/mp4"}}, name="parts")}, ("video",)),
        ({"contents": _said({"functionCall": {"inlineData": {}}}, name="parts")}, ()),
        ({"response_format": SHAPED}, ("schema",)),
        ({"text": {"format": SHAPED}}, ("schema",)),
        ({"text": {"verbosity": "low"}}, ()),
        ({"output_config": {"format": SHAPED}}, ("schema",)),
        ({"generationConfig": {"responseJsonSchema": {}}}, ("schema",)),
    ],
)
def test_what_a_model_cannot_do_is_seen_in_a_request(
    body: dict[str, Any], lacking: tuple[str, ...] | None
) -> None:
    assert lacking_for(body, BLIND) == (("document",) if lacking is None else lacking)
    every = ModelTraits(inputs=frozenset({"audio", "document", "image", "video"}))
    assert lacking_for(body, every) == ()


@pytest.mark.parametrize(
    ("picture", "is_address"),
    [
        ({"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}, True),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}, False),
        ({"type": "input_image", "image_url": "https://x.org/a.png"}, True),
        ({"type": "input_image", "image_url": "data:image/png;base64,AA"}, False),
        ({"type": "image", "source": {"type": "url", "url": "https://x.org/a.png"}}, True),
        ({"type": "image", "source": {"type": "base64", "data": "AA"}}, False),
    ],
)
def test_pictures_that_are_too_many_or_elsewhere_are_seen_in_a_request(
    picture: dict[str, Any], *, is_address: bool
) -> None:
    sees = ModelTraits(images=ImageLimits(max_count=1, urls=False))
    told = ("address of an image",) if is_address else ()
    assert lacking_for({"messages": _said(picture)}, sees) == told
    two = {"messages": _said(picture, picture)}
    assert lacking_for(two, sees) == (*told, "more than 1 image")
    assert lacking_for(two, ModelTraits()) == ()


def test_a_chat_request_gets_the_other_ones_names_and_settings() -> None:
    first = _connection(
        Quirks(
            output_limit="max_completion_tokens",
            seed="random_seed",
            system_role="developer",
            reasoning_field="reasoning",
        ),
        temperature=0.5,
        seed=1,
        extra={"own": 1, "both": 1},
    )
    other = _connection(
        Quirks(parallel_tool_calls=False),
        top_p=0.9,
        seed=2,
        max_output_tokens=100,
        extra={"both": 2},
    )
    body = {
        "model": "m",
        "max_completion_tokens": 50,
        "random_seed": 1,
        "temperature": 0.5,
        "parallel_tool_calls": True,
        "own": 1,
        "both": 1,
        "messages": [
            {"role": "developer", "content": "Be kind."},
            {"role": "assistant", "content": "", "reasoning": "Hm."},
        ],
    }
    before = repr(body)
    assert rerouted(body, first, other, "chat") == {
        "model": "m",
        "max_tokens": 50,
        "seed": 2,
        "top_p": 0.9,
        "both": 2,
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "assistant", "content": "", "reasoning_content": "Hm."},
        ],
    }
    assert repr(body) == before


@pytest.mark.parametrize(
    ("protocol", "limit"), [("messages", "max_tokens"), ("responses", "max_output_tokens")]
)
def test_what_an_agent_has_set_itself_stays(protocol: Protocols, limit: str) -> None:
    first, other = _connection(temperature=0.5), _connection(max_output_tokens=10)
    body = {"temperature": 0.1, limit: 50, "extra": 1}
    assert rerouted(body, first, other, protocol) == {"temperature": 0.1, limit: 10, "extra": 1}


@pytest.mark.parametrize(
    ("protocol", "limit", "unlimited"),
    [
        ("chat", "max_tokens", {}),
        ("messages", "max_tokens", {"max_tokens": 50}),
        ("responses", "max_output_tokens", {}),
    ],
)
def test_a_connection_s_own_output_limit_goes_nowhere_else(
    protocol: Protocols, limit: str, unlimited: dict[str, Any]
) -> None:
    first, more = _connection(max_output_tokens=50), _connection(max_output_tokens=100)
    assert rerouted({limit: 50}, first, more, protocol) == {limit: 100}
    assert rerouted({limit: 40}, first, more, protocol) == {limit: 40}
    assert rerouted({limit: 50}, first, _connection(), protocol) == unlimited


def test_a_request_to_gemini_gets_the_other_ones_settings_at_their_depth() -> None:
    first = _connection(
        temperature=0.5,
        seed=1,
        max_output_tokens=50,
        extra={"generation_config": {"topK": 5, "thinkingConfig": {"a": 1}}, "labels": {"x": "1"}},
    )
    other = _connection(
        top_p=0.9,
        max_output_tokens=100,
        extra={"generationConfig": {"topK": 7, "speech": {"b": 2}}, "cachedContent": "c"},
    )
    body = {
        "contents": [{"parts": [{"text": "?"}]}],
        "generationConfig": {
            "temperature": 0.5,
            "seed": 3,
            "maxOutputTokens": 50,
            "topK": 5,
            "thinkingConfig": {"a": 1, "level": "low"},
        },
        "labels": {"x": "1"},
    }
    before = repr(body)
    assert rerouted(body, first, other, "gemini") == {
        "contents": [{"parts": [{"text": "?"}]}],
        "generationConfig": {
            "seed": 3,
            "topP": 0.9,
            "maxOutputTokens": 100,
            "topK": 7,
            "thinkingConfig": {"level": "low"},
            "speech": {"b": 2},
        },
        "cachedContent": "c",
    }
    assert repr(body) == before
    plain: dict[str, Any] = {"contents": []}
    assert rerouted(plain, _connection(), _connection(), "gemini") == plain


def test_sealed_thoughts_go_to_no_other_provider() -> None:
    first, same, other = _connection(), _connection(), _connection(provider="y")
    text = {"type": "text", "text": "It is."}
    claude = {"messages": [{"role": "assistant", "content": [{"type": "thinking"}, text]}]}
    said = {"type": "message", "role": "assistant"}
    gpt = {"input": [{"type": "reasoning", "encrypted_content": "x"}, said]}
    assert rerouted(claude, first, same, "messages") == claude
    assert rerouted(claude, first, other, "messages")["messages"][0]["content"] == [text]
    assert rerouted(gpt, first, same, "responses") == gpt
    assert rerouted(gpt, first, other, "responses") == {"input": [said]}
