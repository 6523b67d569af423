"""What the gateway's server bears with, and what it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from models.gateway.turns import QUESTION, Turns, ask, at, raw_client

from massgen_bridge.agent import Limits
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.gateway import server as under_test
from massgen_bridge.testing.servers import Hang, ModelServer, Text

if TYPE_CHECKING:
    from anyio.abc import SocketStream

    from massgen_bridge.connection import Connection

pytestmark = pytest.mark.anyio

_BODY = json.dumps({"model": "any", "messages": QUESTION})


async def _connected(inner: Connection) -> SocketStream:
    port = urlsplit(inner.base_url).port
    assert port is not None
    return await anyio.connect_tcp("127.0.0.1", port)


def _head(inner: Connection, *more: str, path: str = "/v1/chat/completions") -> bytes:
    assert inner.api_key is not None
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {urlsplit(inner.base_url).netloc}",
        f"authorization: Bearer {inner.api_key.get_secret_value()}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _rest(stream: SocketStream) -> bytes:
    """What comes until the connection is closed."""
    data = b""
    with anyio.move_on_after(5):
        try:
            while True:
                data += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return data
    raise AssertionError(f"the connection stays open: {data!r}")


async def test_connections_are_kept(turns: Turns) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner, raw_client(inner) as client:
            for stream in (True, False, True):
                body = {"model": "any", "messages": QUESTION, "stream": stream}
                answer = await client.post("/chat/completions", json=body)
                assert answer.status_code == 200
                assert "connection" not in answer.headers
        assert server.connections_opened == 1


async def test_requests_sent_ahead_are_answered_in_their_order(turns: Turns) -> None:
    with ModelServer([Text("First."), Text("Second.")]) as server:
        async with turns.admit(at(server)) as inner, await _connected(inner) as stream:
            one = _head(inner, f"content-length: {len(_BODY)}") + _BODY.encode()
            last = _head(inner, f"content-length: {len(_BODY)}", "connection: close")
            await stream.send(one + last + _BODY.encode())
            said = await _rest(stream)
    assert said.index(b"First.") < said.index(b"Second.")


async def test_a_body_may_come_in_chunks_and_wait_to_be_asked_for(turns: Turns) -> None:
    with ModelServer(Text("Tea.")) as server:
        async with turns.admit(at(server)) as inner, await _connected(inner) as stream:
            more = ("transfer-encoding: chunked", "expect: 100-continue", "connection: close")
            await stream.send(_head(inner, *more))
            assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
            for piece in (_BODY[:10], _BODY[10:]):
                await stream.send(f"{len(piece):x}\r\n{piece}\r\n".encode())
            await stream.send(b"0\r\n\r\n")
            assert b"Tea." in await _rest(stream)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno-colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 70_000, b"431"),
    ],
)
async def test_what_is_no_http_is_refused(turns: Turns, sent: bytes, status: bytes) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner, await _connected(inner) as stream:
            await stream.send(sent)
            assert (await _rest(stream)).startswith(b"HTTP/1.1 " + status)
            assert await ask(inner)  # and all goes on


async def test_a_request_that_is_too_large_is_refused(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_MAX_BODY", 1000)
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner, raw_client(inner) as client:
            answer = await client.post("/chat/completions", content=b"x" * 1500)
            assert answer.status_code == 413
            assert (await client.post("/chat/completions", content=_BODY)).status_code == 200
            with pytest.raises(httpx2.TransportError):
                await client.post("/chat/completions", content=b"x" * 1_000_000)
        assert server.calls == 1


@pytest.mark.parametrize("begun", [b"", b"POST /v1/chat", b"all"])
async def test_a_client_that_dawdles_is_cut_off(
    turns: Turns, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(under_test, "_HEAD_S", 0.1)
    monkeypatch.setattr(under_test, "_BODY_S", 0.1)
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner, await _connected(inner) as stream:
            sent = _head(inner, "content-length: 100") + b"{" if begun == b"all" else begun
            if sent:
                await stream.send(sent)
            assert await _rest(stream) == b""
        assert server.calls == 0


async def test_no_more_connections_than_there_is_room_for(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_MAX_CONNECTIONS", 1)
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner:
            async with await _connected(inner), await _connected(inner) as second:
                assert await _rest(second) == b""
            assert await ask(inner)


async def test_it_listens_at_one_address_alone(turns: Turns) -> None:
    port = urlsplit(turns.gateway.url).port
    assert port is not None
    for address in ("127.0.0.2", "::1"):
        with pytest.raises(OSError, match=r".+"):
            await anyio.connect_tcp(address, port)


async def test_a_client_that_does_not_read_holds_up_nobody_else(turns: Turns) -> None:
    large = "x" * 1_000_000
    with ModelServer([Text(large * 40, chunks=(large,) * 40), Text("Tea.")]) as server:
        async with turns.admit(at(server)) as inner, await _connected(inner) as stream:
            body = json.dumps({"model": "any", "messages": QUESTION, "stream": True})
            await stream.send(_head(inner, f"content-length: {len(body)}") + body.encode())
            assert await stream.receive()
            assert await ask(inner) == "Tea."
            await anyio.sleep(0.3)
            # What it does not read is not read from the model either.
            assert server.running_calls == 1
            await stream.aclose()
            await server.await_close()


async def test_a_pool_that_closes_leaves_nothing_open() -> None:
    with ModelServer(Hang(after=2)) as server:
        async with anyio.create_task_group() as tasks:
            async with ConnectionPool({}, {}, {}) as pool:
                turns = Turns(await pool.gateway())
                real = at(server).model_copy(update={"provider": "local"})
                tasks.start_soon(_fail, turns.gateway.direct(real))
                await server.await_tokens(2)
            await server.await_close()


async def _fail(inner: Any) -> None:
    with pytest.raises(Exception, match=r"closed|peer|Connection|connect"):
        await ask(inner)


async def test_two_hundred_streams_at_once_all_come_whole(turns: Turns) -> None:
    answers: list[str] = []

    async def one(client: httpx2.AsyncClient) -> None:
        body = {"model": "any", "messages": QUESTION, "stream": True}
        answers.append((await client.post("/chat/completions", json=body)).text)

    with ModelServer(Text.of_tokens(20, tokens_per_second=40)) as server:
        limits = Limits(max_model_calls=1000)
        async with (
            turns.admit(at(server), limits=limits) as inner,
            raw_client(inner) as client,
            anyio.create_task_group() as tasks,
        ):
            client.timeout = httpx2.Timeout(30)
            for _ in range(200):
                tasks.start_soon(one, client)
        assert server.calls == 200
    assert len(answers) == 200
    assert all(answer.endswith("data: [DONE]\n\n") for answer in answers)
