"""Errors and faults in the Anthropic Messages protocol, as bytes on the wire."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from testing.servers.plain_http import Answer, events_of, post

from massgen_bridge.testing.servers import (
    ContextOverflow,
    Disconnect,
    EndsEarly,
    ErrorEvent,
    Hang,
    HttpError,
    MalformedSSE,
    ModelServer,
    QuotaExhausted,
    Reply,
    RequestState,
    Text,
    ToolCalls,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = {"anthropic-version": "2023-06-01"}
ANSWER = Text("one two three four")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def body_of(*, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hello"}]
    return {"model": "m", "max_tokens": 100, "messages": messages, "stream": stream}


def ask(server: ModelServer, *, stream: bool) -> Answer:
    return post(server, "/v1/messages", body_of(stream=stream), headers=VERSION)


def texts(body: bytes) -> list[str]:
    events = [event for event in events_of(body) if event.name == "content_block_delta"]
    return [event.json["delta"]["text"] for event in events]


def broken(server: ModelServer, seconds: float = 5) -> bytes:
    """What comes of a stream until the connection breaks, or nothing comes for so long."""
    address = urlsplit(server.url)
    assert address.hostname is not None
    assert address.port is not None
    sent = json.dumps(body_of(stream=True)).encode()
    head = (
        f"POST /v1/messages HTTP/1.0\r\nanthropic-version: 1\r\ncontent-length: {len(sent)}\r\n\r\n"
    )
    read = b""
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as connection:
        connection.sendall(head.encode() + sent)
        try:
            while more := connection.recv(65536):
                read += more
        except (TimeoutError, ConnectionResetError):
            pass
    return read.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        (HttpError(status=400), 400, "invalid_request_error"),
        (HttpError(status=401), 401, "authentication_error"),
        (HttpError(status=402), 402, "billing_error"),
        (HttpError(status=403), 403, "permission_error"),
        (HttpError(status=404), 404, "not_found_error"),
        (HttpError(status=413), 413, "request_too_large"),
        (HttpError(status=418), 418, "invalid_request_error"),
        (HttpError(status=429), 429, "rate_limit_error"),
        (HttpError(status=500), 500, "api_error"),
        (HttpError(status=503), 503, "api_error"),
        (HttpError(status=504), 504, "timeout_error"),
        (HttpError(status=529), 529, "overloaded_error"),
        (ContextOverflow(), 400, "invalid_request_error"),
        (QuotaExhausted(), 402, "billing_error"),
    ],
)
def test_an_http_error_has_the_providers_form(
    server: ModelServer, reply: Reply, status: int, kind: str, *, stream: bool
) -> None:
    server.enqueue(reply)
    answer = ask(server, stream=stream)
    assert (answer.status, answer.json["type"]) == (status, "error")
    assert answer.json["error"]["type"] == kind
    assert answer.json["error"]["message"]
    assert answer.json["request_id"] == answer.headers["request-id"]


def test_the_message_of_an_overflow_names_the_window(server: ModelServer) -> None:
    server.enqueue(ContextOverflow(window=4096))
    told = ask(server, stream=False).json["error"]["message"]
    assert told == "prompt is too long: 5120 tokens > 4096 maximum"


def test_an_error_says_what_it_is_told_to(server: ModelServer) -> None:
    server.enqueue(HttpError(status=429, message="Slow down.", code="odd", retry_after=2.5))
    answer = ask(server, stream=True)
    assert answer.headers["retry-after"] == "2.5"
    assert answer.json["error"] == {
        "type": "rate_limit_error",
        "message": "Slow down.",
        "details": {"error_code": "odd"},
    }


def test_what_is_not_served_is_told_in_the_protocols_form(server: ModelServer) -> None:
    answer = post(server, "/v1/complete", {}, headers=VERSION)
    assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error")
    answer = post(server, "/v1/messages", headers=VERSION, method="GET")
    assert (answer.status, answer.json["type"]) == (405, "error")


def test_a_request_beyond_the_providers_limit_is_too_large(server: ModelServer) -> None:
    body = body_of(stream=False) | {"system": "x" * 33 * 1024 * 1024}
    answer = post(server, "/v1/messages", body, headers=VERSION)
    assert (answer.status, answer.json["error"]["type"]) == (413, "request_too_large")


def test_a_stream_can_end_early_without_its_end_marker(server: ModelServer) -> None:
    server.enqueue(EndsEarly(after=2, answer=ANSWER))
    answer = ask(server, stream=True)
    assert texts(answer.body) == ["one", " two"]
    names = {event.name for event in events_of(answer.body)}
    assert not names & {"content_block_stop", "message_delta", "message_stop"}


def test_a_document_can_end_early(server: ModelServer) -> None:
    server.enqueue(EndsEarly(answer=ANSWER))
    with pytest.raises(json.JSONDecodeError):
        _ = ask(server, stream=False).json


@pytest.mark.parametrize("stream", [True, False])
def test_the_connection_can_be_cut_before_the_first_byte(
    server: ModelServer, *, stream: bool
) -> None:
    server.enqueue(Disconnect())
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, stream=stream)
    server.wait_for_idle()
    assert server.requests[0].state is RequestState.SERVER_LEFT


@pytest.mark.parametrize("stream", [True, False])
def test_the_connection_can_be_cut_in_the_middle(server: ModelServer, *, stream: bool) -> None:
    server.enqueue(Disconnect(after=1, answer=ANSWER))
    with pytest.raises(http.client.IncompleteRead) as raised:
        ask(server, stream=stream)
    assert raised.value.partial or stream


@pytest.mark.parametrize(("after", "expected"), [(0, []), (3, ["one", " two", " three"])])
def test_what_came_before_the_cut_is_there(
    server: ModelServer, after: int, expected: list[str]
) -> None:
    server.enqueue(Disconnect(after=after, answer=ANSWER))
    assert texts(broken(server)) == expected


@pytest.mark.parametrize(("after", "expected"), [(None, []), (2, ["one", " two"])])
def test_the_server_can_hang(server: ModelServer, after: int | None, expected: list[str]) -> None:
    server.enqueue(Hang(after=after, answer=ANSWER))
    assert texts(broken(server, seconds=1)) == expected
    server.wait_for_close()


def test_an_event_can_be_malformed_in_a_good_stream(server: ModelServer) -> None:
    server.enqueue(MalformedSSE(after=1, data='{"type": "cont', answer=ANSWER))
    events = events_of(ask(server, stream=True).body)
    (odd,) = [event for event in events if event.data == '{"type": "cont']
    assert odd.name == "content_block_delta"
    assert events.index(odd) == 4
    assert events[-1].name == "message_stop"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(HttpError(status=529), "overloaded_error"), (HttpError(status=500), "api_error")],
)
def test_an_error_can_come_amid_a_stream(server: ModelServer, error: HttpError, kind: str) -> None:
    server.enqueue(ErrorEvent(after=1, error=error, answer=ANSWER), ErrorEvent(error=error))
    answer = ask(server, stream=True)
    *_, last = events_of(answer.body)
    assert (answer.status, last.name) == (200, "error")
    assert (last.json["type"], last.json["error"]["type"]) == ("error", kind)
    assert ask(server, stream=False).status == error.status


def test_a_fault_can_strike_between_two_blocks(server: ModelServer) -> None:
    answer = ToolCalls(("lookup", {"query": "x"}), reasoning="Let me")
    server.enqueue(EndsEarly(after=2, answer=answer), EndsEarly(after=3, answer=answer))
    blocks = [
        [
            event.json["content_block"]["type"]
            for event in events_of(ask(server, stream=True).body)
            if event.name == "content_block_start"
        ]
        for _ in range(2)
    ]
    assert blocks == [["thinking"], ["thinking", "tool_use"]]


def test_a_paced_stream_says_the_same(server: ModelServer) -> None:
    answer = ToolCalls(("lookup", {"query": "größer"}), text="So:", reasoning="Hm, well")
    with ModelServer(answer, tokens_per_second=1000) as paced:
        slow = ask(paced, stream=True).body
        assert paced.requests[0].tokens_sent == 9
    server.enqueue(answer)
    assert ask(server, stream=True).body == slow
