"""What passes the gateway unchanged, and the little that does not."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.gateway.turns import QUESTION, Turns, ask, openai_client, raw_client
from models.gateway.upstreams import raw_server, sse

from massgen_bridge.agent import Usage
from massgen_bridge.connection import RetryPolicy
from massgen_bridge.events import ModelCallFinished
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.gateway.bodies import read_body
from massgen_bridge.testing import servers
from massgen_bridge.testing.agents import TEST_KEY, connection_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from massgen_bridge.connection import Connection
    from massgen_bridge.events import TurnEvent

pytestmark = pytest.mark.anyio

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
_CHUNK = '{"choices":[{"index":0,"delta":{"content":"Tea"},"finish_reason":null}]}'
_LAST = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'


@asynccontextmanager
async def _turns() -> AsyncIterator[Turns]:
    async with ConnectionPool({}, {}, {}) as pool:
        yield Turns(await pool.gateway())


def _real(url: str, **settings: Any) -> Connection:
    protocol = settings.get("protocol", "chat")
    return connection_to(url if protocol == "messages" else f"{url}/v1", **settings)


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=8),
    asked=st.dictionaries(
        st.text().filter(lambda name: name not in {"model", "stream"}), _JSON, max_size=4
    ),
    indent=st.sampled_from([None, 1]),
)
@settings(max_examples=40)
def test_bytes_pass_unchanged_but_for_the_model(
    pieces: list[bytes], asked: dict[str, Any], indent: int | None
) -> None:
    async def check() -> None:
        body = json.dumps({**asked, "model": "theirs", "z": 1}, indent=indent).encode()
        sent = [*pieces, b"\n\ndata: [DONE]\n\n"]
        async with raw_server(*sent) as server, _turns() as turns:
            async with turns.admit(_real(server.url)) as inner, raw_client(inner) as client:
                answer = await client.post("/chat/completions", content=body)
            assert answer.content == b"".join(sent)
            assert server.bodies == [body.replace(b'"theirs"', b'"scripted"')]

    anyio.run(check)


@given(
    values=st.dictionaries(st.text(), _JSON, max_size=5),
    changes=st.dictionaries(st.text(), _JSON, min_size=1, max_size=3),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
)
def test_a_body_with_values_set_is_the_object_with_them(
    values: dict[str, Any],
    changes: dict[str, Any],
    indent: int | None,
    ascii_only: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only)
    body = read_body(text.encode("utf-8", "surrogatepass"))
    assert body.values == values
    assert json.loads(body.with_values(changes)) == {**values, **changes}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a"}', '{"a": 1,}', '{"a": 1} x', "{1: 2}", '{"a": 1 "b": 2}', "ÿ{"]
)
def test_a_body_that_is_no_object_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_body(text.encode("latin-1"))


async def test_all_of_a_repeated_name_is_set() -> None:
    body = read_body(b'{"model": "a", "x": {"model": "inner"}, "model": "b"}')
    assert (
        body.with_values({"model": "c"}) == b'{"model": "c", "x": {"model": "inner"}, "model": "c"}'
    )


async def test_ten_megabytes_pass(turns: Turns) -> None:
    data = "x" * 10_000_000
    async with raw_server(sse(_LAST, "[DONE]")) as server:
        async with turns.admit(_real(server.url)) as inner, raw_client(inner) as client:
            body = {"model": "theirs", "messages": [{"role": "user", "content": data}]}
            answer = await client.post("/chat/completions", json=body)
        assert answer.status_code == 200
        assert json.loads(server.bodies[0]) == {**body, "model": "scripted"}


async def test_headers_of_the_answer_pass_and_those_of_the_connection_do_not(turns: Turns) -> None:
    told = [("x-request-id", "42"), ("set-cookie", "a=b"), ("keep-alive", "timeout=1")]
    sent = {"openai-organization": "theirs", "openai-beta": "assistants=v2", "cookie": "c=d"}
    async with (
        raw_server(sse(_LAST, "[DONE]"), headers=told) as server,
        turns.admit(_real(server.url)) as inner,
        raw_client(inner) as client,
    ):
        request = {"model": "any", "messages": QUESTION}
        answer = await client.post("/chat/completions", json=request, headers=sent)
    assert answer.headers["x-request-id"] == "42"
    assert answer.headers["x-should-retry"] == "false"
    assert {"set-cookie", "keep-alive"}.isdisjoint(answer.headers)
    (head,) = server.heads
    assert head["openai-beta"] == "assistants=v2"
    assert {"openai-organization", "cookie"}.isdisjoint(head)
    assert head["authorization"] == f"Bearer {TEST_KEY}"


_COUNTED = servers.Usage(input_tokens=30, cached_tokens=10, output_tokens=7, reasoning_tokens=2)
_USAGE = Usage(input_tokens=30, cached_tokens=10, output_tokens=7, reasoning_tokens=2, calls=1)


async def test_responses_come_through_streamed_and_whole(turns: Turns) -> None:
    with servers.ModelServer(servers.Text("Tea.", usage=_COUNTED)) as server:
        real = connection_to(server, protocol="responses")
        async with turns.admit(real) as inner, openai_client(inner) as client:
            stream = await client.responses.create(model="any", input="Tea?", stream=True)
            kinds = [event.type async for event in stream]
            whole = await client.responses.create(model="any", input="Tea?")
        assert "response.output_text.delta" in kinds
        assert kinds[-1] == "response.completed"
        assert whole.output_text == "Tea."
        assert [request.path for request in server.requests] == ["/v1/responses"] * 2
    assert [one.usage for one in turns.events.of(ModelCallFinished)] == [_USAGE, _USAGE]


async def test_responses_that_failed_are_no_success(turns: Turns) -> None:
    with servers.ModelServer(servers.ErrorEvent()) as server:
        real = connection_to(server, protocol="responses")
        async with turns.admit(real) as inner, openai_client(inner) as client:
            stream = await client.responses.create(model="any", input="Tea?", stream=True)
            with pytest.raises(openai.APIConnectionError):
                _ = [event async for event in stream]
    assert not turns.events.of(ModelCallFinished)


async def test_an_error_that_a_stream_begins_with_is_tried_again(turns: Turns) -> None:
    error = sse('{"error": {"message": "overloaded", "type": "overloaded_error"}}')
    policy = RetryPolicy(attempts=2, base_s=0.001)
    good = [sse(_CHUNK, _LAST, "[DONE]")]
    async with raw_server(error, then=good) as server:
        async with turns.admit(_real(server.url, retry=policy)) as inner:
            assert await ask(inner) == "Tea"
        assert len(server.bodies) == 2
    async with raw_server(error) as server:
        async with turns.admit(_real(server.url, retry=policy)) as inner:
            with pytest.raises(openai.APIError, match="overloaded"):
                await ask(inner)
        assert len(server.bodies) == 2
    assert len(turns.events.of(ModelCallFinished)) == 1


@pytest.mark.parametrize("rest", [[], [sse("[DONE]")]])
async def test_a_reason_to_stop_or_the_end_marker_is_an_end(
    turns: Turns, rest: list[bytes]
) -> None:
    async with (
        raw_server(sse(_CHUNK), sse(_LAST), *rest) as server,
        turns.admit(_real(server.url)) as inner,
    ):
        assert await ask(inner) == "Tea"
    assert len(turns.events.of(ModelCallFinished)) == 1


async def test_a_call_counts_although_its_client_left_at_the_end(turns: Turns) -> None:
    usage = '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    counted = anyio.Event()

    async def told(event: TurnEvent, /) -> None:
        await turns.events(event)
        if isinstance(event, ModelCallFinished):
            counted.set()

    async with (
        raw_server(sse(_CHUNK, _LAST, usage), b": waiting\n\n" * 3) as server,
        turns.admit(_real(server.url), emit=told) as inner,
        openai_client(inner) as client,
    ):
        stream = await client.chat.completions.create(model="any", messages=QUESTION, stream=True)
        async for chunk in stream:
            if chunk.choices[0].finish_reason:
                break
        await stream.close()
        with anyio.fail_after(10):
            await counted.wait()
    (finished,) = turns.events.of(ModelCallFinished)
    assert finished.usage is not None
    assert finished.usage.input_tokens == 3


async def test_a_direct_way_to_the_local_model_has_no_policy(turns: Turns) -> None:
    async with raw_server(sse(_CHUNK, _LAST, "[DONE]")) as server:
        real = _real(server.url).model_copy(update={"provider": "local"})
        inner = turns.gateway.direct(real)
        assert turns.gateway.direct(real) == inner
        assert await ask(inner) == "Tea"
        assert server.paths == ["/v1/chat/completions"]
    assert turns.told() == []


_DEEP = b"[" * 100_000


async def test_an_answer_that_is_nested_too_deep_is_none(turns: Turns) -> None:
    async with (
        raw_server(_DEEP, content_type="application/json") as server,
        turns.admit(_real(server.url, retry=RetryPolicy(attempts=1))) as inner,
        raw_client(inner) as client,
    ):
        answer = await client.post("/chat/completions", json={"model": "any", "messages": QUESTION})
    assert answer.json()["error"]["code"] == "massgen_bridge_protocol"


@pytest.mark.parametrize("status", [401, 503])
async def test_a_refusal_that_is_nested_too_deep_is_still_one(turns: Turns, status: int) -> None:
    async with (
        raw_server(_DEEP, content_type="application/json", status=status) as server,
        turns.admit(_real(server.url, retry=RetryPolicy(attempts=1))) as inner,
        raw_client(inner) as client,
    ):
        answer = await client.post("/chat/completions", json={"model": "any", "messages": QUESTION})
    assert (answer.status_code, answer.content) == (status, _DEEP)


async def test_an_event_that_is_nested_too_deep_passes(turns: Turns) -> None:
    event = b'data: {"usage": ' + _DEEP + b"\n\n"
    async with (
        raw_server(event, sse(_LAST, "[DONE]")) as server,
        turns.admit(_real(server.url)) as inner,
        raw_client(inner) as client,
    ):
        asked = {"model": "any", "messages": QUESTION, "stream": True}
        answer = await client.post("/chat/completions", json=asked)
    assert answer.content.startswith(event)
    assert answer.content.endswith(b"[DONE]\n\n")
