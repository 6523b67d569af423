"""Each model that the command line serves does the same in every protocol."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest
from testing.servers.plain_http import events_of, post

from massgen_bridge.testing.servers import ModelServer
from massgen_bridge.testing.servers.scenarios import COUNTED, SCENARIOS, reply_by_model

if TYPE_CHECKING:
    from collections.abc import Iterator

PATHS = ("/v1/chat/completions", "/v1/messages")
OUTCOMES = {
    "context-overflow": "400",
    "disconnect": "cut",
    "disconnect-midway": "cut",
    "drip": "answer",
    "echo": "answer",
    "ends-early": "no end",
    "error-event": "error amid",
    "hang": "hang",
    "hang-midway": "hang",
    "http-400": "400",
    "http-401": "401",
    "http-403": "403",
    "http-404": "404",
    "http-413": "413",
    "http-429": "429, retry after 1",
    "http-500": "500",
    "http-502": "502",
    "http-503": "503, retry after 1",
    "http-504": "504",
    "http-529": "529",
    "huge-1": "answer",
    "insufficient-quota": "no credit",
    "length": "answer",
    "malformed-sse": "malformed",
    "overloaded-event": "error amid",
    "reasoning": "answer",
    "refusal": "answer",
    "reset": "cut",
    "tokens-3": "answer",
    "tool-call": "answer",
    "tool-call-forever": "answer",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(reply_by_model) as running:
        yield running


def body_of(model: str, path: str, *, stream: bool = True) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    function = {"type": "function", "function": {"name": "lookup", "parameters": schema}}
    tool = {"name": "lookup", "input_schema": schema}
    return {
        "model": model,
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": stream,
        "tools": [function if path == PATHS[0] else tool],
    }


def outcome(server: ModelServer, path: str, model: str) -> str:
    """What comes of a stream, in words that are the same for every protocol."""
    headers = {"anthropic-version": "2023-06-01"}
    patience_s = 0.3 if OUTCOMES[model] == "hang" else 20
    try:
        answer = post(server, path, body_of(model, path), headers=headers, timeout_s=patience_s)
    except TimeoutError:
        return "hang"
    except (http.client.HTTPException, ConnectionError):
        return "cut"
    if answer.status != 200:
        if {"billing_error", "insufficient_quota"} & set(answer.json["error"].values()):
            return "no credit"
        again = answer.headers.get("retry-after")
        return f"{answer.status}, retry after {again}" if again else str(answer.status)
    events = [event for event in events_of(answer.body) if event.data != "[DONE]"]
    try:
        if any("error" in event.json for event in events):
            return "error amid"
    except json.JSONDecodeError:
        return "malformed"
    ended = b"data: [DONE]" in answer.body or b"event: message_stop" in answer.body
    return "answer" if ended else "no end"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", OUTCOMES)
def test_a_scenario_has_its_outcome(server: ModelServer, model: str, path: str) -> None:
    assert outcome(server, path, model) == OUTCOMES[model]


def test_every_scenario_is_tried() -> None:
    counted = {name.removesuffix("N") for name in COUNTED}
    tried = {name for name in OUTCOMES if not name.startswith(tuple(counted))}
    assert tried == SCENARIOS.keys()
    assert {name.rstrip("0123456789") for name in OUTCOMES.keys() - tried} == counted


@pytest.mark.parametrize("path", PATHS)
def test_a_huge_answer_has_its_size(server: ModelServer, path: str) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    answer = post(server, path, body_of("huge-3", path, stream=False), headers=headers)
    assert answer.status == 200
    assert 0 <= len(answer.body) - 3 * 1024 * 1024 < 1000
