"""The HTTP server on the wire, seen through bare sockets."""

from __future__ import annotations

import json
import socket
import time
from contextlib import closing, suppress
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from massgen_bridge.testing.servers import (
    Disconnect,
    Hang,
    ModelServer,
    RequestState,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/v1/chat/completions"
# More than the kernel's buffers hold.
BIG = Text("x" * 20_000_000)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(default=Text("one two three")) as running:
        yield running


def connect(server: ModelServer) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=10)


def http(server: ModelServer) -> HTTPConnection:
    return HTTPConnection(urlsplit(server.url).netloc, timeout=10)


def call(*, stream: bool = False, text: str = "hi") -> bytes:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "m", "stream": stream, "messages": messages}).encode()


def post(body: bytes, *, version: str = "1.1", headers: str = "") -> bytes:
    head = f"POST {PATH} HTTP/{version}\r\nHost: h\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_until_closed(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def test_one_connection_carries_many_exchanges(server: ModelServer) -> None:
    with closing(http(server)) as connection:
        for stream in (False, True, False, True):
            connection.request("POST", PATH, call(stream=stream))
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200
            assert (b"[DONE]" in body) is stream
            assert response.headers["date"].endswith(" GMT")
        assert server.connections_opened == 1
    assert server.calls == 4


def test_pipelined_requests_are_answered_in_order(server: ModelServer) -> None:
    server.enqueue(Text("first", latency_s=0.05), Text("second"), Text("third"))
    with connect(server) as connection:
        connection.sendall(
            post(call()) + post(call()) + post(call(), headers="Connection: close\r\n")
        )
        answer = read_until_closed(connection)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b"first") < answer.index(b"second") < answer.index(b"third")


def test_a_stream_is_one_chunked_body_with_an_event_for_each_token(server: ModelServer) -> None:
    with connect(server) as connection:
        connection.sendall(post(call(stream=True), headers="Connection: close\r\n"))
        head, _, body = read_until_closed(connection).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert b"content-length" not in head
    assert body.endswith(b"\r\n0\r\n\r\n")
    size, _, rest = body.partition(b"\r\n")
    assert rest[int(size, 16) :] == b"\r\n0\r\n\r\n"
    # The role, three words, the finish reason, the end marker.
    assert rest.count(b"data: ") == 6


def test_a_client_of_http_1_0_gets_no_chunks(server: ModelServer) -> None:
    with connect(server) as connection:
        connection.sendall(post(call(stream=True), version="1.0"))
        head, _, body = read_until_closed(connection).partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.startswith(b"data: ")
    assert body.endswith(b"data: [DONE]\n\n")


def test_head_gets_the_length_and_no_body(server: ModelServer) -> None:
    with closing(http(server)) as connection:
        connection.request("HEAD", "/v1/models")
        response = connection.getresponse()
        assert int(response.headers["content-length"]) > 0
        assert response.read() == b""
        connection.request("GET", "/v1/models")
        assert json.loads(connection.getresponse().read())["data"][0]["id"] == "scripted"


def test_a_body_may_wait_for_leave_to_come(server: ModelServer) -> None:
    body = call()
    head = post(body, headers="Expect: 100-continue\r\nConnection: close\r\n").removesuffix(body)
    with connect(server) as connection:
        connection.sendall(head)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_until_closed(connection).startswith(b"HTTP/1.1 200 OK")


def test_half_a_surrogate_pair_comes_back_as_the_escape_it_came_as() -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "\\ud83d"}]}'
    with ModelServer() as echoing, closing(http(echoing)) as connection:
        connection.request("POST", PATH, body)
        answer = json.loads(connection.getresponse().read())
    assert answer["choices"][0]["message"]["content"] == "\ud83d"


def test_a_broken_request_is_refused_and_the_connection_closed(server: ModelServer) -> None:
    with connect(server) as connection:
        connection.sendall(b"HELLO\r\n\r\n")
        answer = read_until_closed(connection)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"not an HTTP/1.1 request line: 'HELLO'" in answer


def test_a_wrong_method_is_refused_with_the_right_one(server: ModelServer) -> None:
    with closing(http(server)) as connection:
        connection.request("DELETE", PATH)
        response = connection.getresponse()
        assert (response.status, response.headers["allow"]) == (405, "POST")
        assert "does not take DELETE" in json.loads(response.read())["error"]["message"]


def test_the_pace_does_not_drift(server: ModelServer) -> None:
    server.enqueue(Text.of_tokens(50, tokens_per_second=100))
    with closing(http(server)) as connection:
        started = time.monotonic()
        connection.request("POST", PATH, call(stream=True))
        connection.getresponse().read()
        elapsed = time.monotonic() - started
    assert 0.49 <= elapsed < 3


def test_a_client_that_leaves_is_noticed_while_the_server_waits(server: ModelServer) -> None:
    server.enqueue(Hang())
    with connect(server) as connection:
        connection.sendall(post(call()))
        server.wait_for_calls(1)
        assert server.open_connections == 1
    server.wait_for_close(1)
    server.wait_until(lambda: server.open_connections == 0, what="no connection")
    (request,) = server.requests
    assert request.closed_early
    assert request.finished_at is not None


def test_a_client_that_stops_reading_and_leaves_did_not_get_its_answer(
    server: ModelServer,
) -> None:
    server.enqueue(BIG)
    with connect(server) as connection:
        connection.sendall(post(call()))
        assert connection.recv(1)
        assert server.running_calls == 1
    server.wait_for_close(1)


def test_a_slow_client_gets_the_whole_answer(server: ModelServer) -> None:
    server.enqueue(BIG)
    with connect(server) as connection:
        connection.sendall(post(call(), headers="Connection: close\r\n"))
        time.sleep(0.05)
        assert len(read_until_closed(connection)) > len(BIG.text)
    assert server.requests[0].state is RequestState.FINISHED


def test_a_flood_during_an_answer_costs_the_connection(server: ModelServer) -> None:
    server.enqueue(Hang())
    with connect(server) as connection:
        connection.sendall(post(call()))
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 which write fails is up to the kernel
            for _ in range(1000):
                connection.sendall(b"x" * 65536)
    server.wait_until(lambda: server.open_connections == 0, what="no connection")


def test_a_reset_reaches_the_client_as_one(server: ModelServer) -> None:
    server.enqueue(Disconnect(reset=True))
    with connect(server) as connection, pytest.raises(ConnectionResetError):  # noqa: PT012 either call may be the one
        connection.sendall(post(call()))
        connection.recv(1)


def test_ending_the_server_cuts_what_is_open() -> None:
    with ModelServer(Hang(after=1)) as server, connect(server) as connection:
        connection.sendall(post(call(stream=True)))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
        server.__exit__(None, None, None)
        # Ends in order or by a reset; a connection left open would time out.
        with suppress(ConnectionResetError):
            read_until_closed(connection)
    assert server.requests[0].state is RequestState.SERVER_LEFT
    assert server.open_connections == 0
