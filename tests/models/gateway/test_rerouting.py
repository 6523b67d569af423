"""Requests that were made for one connection, for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge.connection import Connection, ModelTraits, Quirks, Sampling
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
