"""What ends a call at the gateway, or shuts an agent off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import anyio
import anyio.abc
import h11
import httpx2
import openai
import pytest
from models.gateway.turns import (
    QUESTION,
    Turns,
    anthropic_client,
    ask,
    at,
    openai_client,
    raw_client,
)
from models.gateway.upstreams import raw_server, sse

from massgen_bridge.connection import RetryPolicy
from massgen_bridge.events import ModelCallFinished
from massgen_bridge.models.traffic import Traffic
from massgen_bridge.testing.agents import connection_to
from massgen_bridge.testing.servers import (
    Disconnect,
    EndsEarly,
    ErrorEvent,
    Hang,
    HttpError,
    ModelServer,
    Text,
)

if TYPE_CHECKING:
    from massgen_bridge.models.connections import ConnectionPool

pytestmark = pytest.mark.anyio

_SLOW = Text.of_tokens(500, tokens_per_second=50)


async def _swallow(inner: Any, *, model: str = "any") -> list[BaseException]:
    """Ask, as code that somebody forgot to stop would; what came of it."""
    try:
        await ask(inner, model=model)
    except (openai.APIError, httpx2.HTTPError) as error:
        return [error]
    return []


async def test_the_end_of_a_turn_closes_what_is_open_on_both_sides(turns: Turns) -> None:
    failures: list[BaseException] = []
    with ModelServer(_SLOW) as server:

        async def ask_on(inner: Any) -> None:
            failures.extend(await _swallow(inner))

        async with anyio.create_task_group() as tasks:
            async with turns.admit(at(server)) as inner:
                tasks.start_soon(ask_on, inner)
                await server.await_tokens(3)
            await server.await_close()
        assert server.calls == 1
        assert len(failures) == 1
        await server.await_idle()
    assert not turns.events.of(ModelCallFinished)


async def _status(link: anyio.abc.SocketStream, inner: Any) -> int:
    """Ask over a connection that stays, and read the whole answer."""
    body = b'{"model": "any", "messages": [{"role": "user", "content": "Tea?"}]}'
    await link.send(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
        % (
            httpx2.URL(inner.base_url).port or 0,
            inner.api_key.get_secret_value().encode(),
            len(body),
            body,
        )
    )
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="POST", target="/", headers=[("host", "any")]))
    parser.send(h11.EndOfMessage())
    status = 0
    while not isinstance(event := parser.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            parser.receive_data(await link.receive())
        elif isinstance(event, h11.Response):
            status = event.status_code
    return status


async def test_a_connection_that_a_client_keeps_serves_another_turn(turns: Turns) -> None:
    """Clients share connections among turns: one may just be used for another turn's request."""
    with ModelServer() as server:
        async with turns.admit(at(server)) as first:
            link = await anyio.connect_tcp("127.0.0.1", httpx2.URL(first.base_url).port or 0)
            async with link:
                async with turns.admit(at(server)) as second:
                    assert await _status(link, second) == 200
                assert await _status(link, first) == 200


async def test_a_token_is_good_for_its_turn_alone(turns: Turns) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server)) as first:
            await ask(first)
        async with turns.admit(at(server)) as second:
            with pytest.raises(openai.PermissionDeniedError, match="turn is over"):
                await ask(first)
            await ask(second)
        assert server.calls == 2


@pytest.mark.parametrize("key", [None, "sk-0000", "sk-ä", "x" * 5000])
async def test_a_foreign_token_is_refused(turns: Turns, key: str | None) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner, httpx2.AsyncClient() as client:
            headers = {} if key is None else {b"authorization": f"Bearer {key}".encode()}
            answer = await client.post(f"{inner.base_url}/responses", json={}, headers=headers)
        assert answer.status_code == 401
        assert server.calls == 0


async def test_a_cancelled_turn_leaves_nothing_behind(turns: Turns) -> None:
    with ModelServer(Hang(after=2)) as server:
        async with anyio.create_task_group() as tasks:

            async def turn() -> None:
                async with turns.admit(at(server)) as inner:
                    await ask(inner)

            tasks.start_soon(turn)
            await server.await_tokens(2)
            tasks.cancel_scope.cancel()
        await server.await_close()


async def test_a_waiting_retry_is_given_up_with_its_turn(turns: Turns) -> None:
    policy = RetryPolicy(attempts=5, base_s=0.01)
    with ModelServer(HttpError(status=429, retry_after=0.2)) as server:
        async with (
            anyio.create_task_group() as tasks,
            turns.admit(at(server, retry=policy)) as inner,
        ):
            tasks.start_soon(_swallow, inner)
            await server.await_calls(1)
        await anyio.sleep(0.4)
        assert server.calls == 1


async def test_a_client_that_leaves_takes_the_request_with_it(turns: Turns) -> None:
    with ModelServer(_SLOW) as server:
        async with turns.admit(at(server)) as inner:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, inner)
                await server.await_tokens(2)
                tasks.cancel_scope.cancel()
            await server.await_close()
            assert server.calls == 1


async def _ask_for_messages(inner: Any) -> str:
    async with (
        anthropic_client(inner) as client,
        client.messages.stream(model="any", max_tokens=50, messages=QUESTION) as stream,
    ):
        return await stream.get_final_text()


@pytest.mark.parametrize(("protocol", "asking"), [("chat", ask), ("messages", _ask_for_messages)])
@pytest.mark.parametrize("fault", [EndsEarly(after=2), Disconnect(after=2)])
async def test_an_answer_that_breaks_off_is_no_success(
    turns: Turns, protocol: Any, asking: Any, fault: Any
) -> None:
    with ModelServer(fault) as server:
        async with turns.admit(at(server, protocol=protocol)) as inner:
            with pytest.raises(Exception, match=r"ended without|closed connection") as failed:
                await asking(inner)
        assert server.calls == 1
    assert "Error" in type(failed.value).__name__
    assert not turns.events.of(ModelCallFinished)


@pytest.mark.parametrize("fault", [EndsEarly(after=2), Disconnect(after=2), Disconnect()])
async def test_an_answer_in_one_piece_that_breaks_off_is_asked_for_again(
    turns: Turns, fault: Any
) -> None:
    with ModelServer([fault, Text("Tea.")]) as server:
        async with turns.admit(at(server)) as inner, openai_client(inner) as client:
            answer = await client.chat.completions.create(model="any", messages=QUESTION)
        assert server.calls == 2
    assert answer.choices[0].message.content == "Tea."


async def test_a_stream_that_never_began_is_asked_for_again(turns: Turns) -> None:
    with ModelServer([Disconnect(), Text("Tea.")]) as server:
        async with turns.admit(at(server)) as inner:
            assert await ask(inner) == "Tea."
        assert server.calls == 2


async def test_an_error_in_the_middle_of_a_stream_is_an_error(turns: Turns) -> None:
    with ModelServer(ErrorEvent(after=2)) as server:
        async with turns.admit(at(server)) as inner:
            with pytest.raises(openai.APIError):
                await ask(inner)
        assert server.calls == 1
    assert not turns.events.of(ModelCallFinished)


async def test_a_time_limit_in_the_middle_of_a_stream_ends_it_and_sends_nothing_twice(
    turns: Turns,
) -> None:
    with ModelServer(Hang(after=2)) as server:
        limited = at(server).model_copy(update={"total_timeout_s": 0.3})
        async with turns.admit(limited) as inner:
            with pytest.raises(openai.APIError, match=r"not done after 0\.3 s"):
                await ask(inner)
        assert server.calls == 1
    assert not turns.events.of(ModelCallFinished)


async def test_a_bound_is_held_until_an_answer_has_ended(turns: Turns) -> None:
    traffic = Traffic(name="main", max_concurrent=1)
    with ModelServer(Text.of_tokens(10, tokens_per_second=200)) as server:
        async with (
            turns.admit(at(server), traffic=traffic) as inner,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(3):
                tasks.start_soon(ask, inner)
        assert server.calls == 3
        assert server.most_running_calls == 1


async def test_a_reservation_is_good_while_a_turn_of_its_agent_is_open(turns: Turns) -> None:
    reservation = turns.gateway.reserve("mine")
    environ = reservation.environ()
    with ModelServer(_answer_with_model) as server:

        async def call() -> str | None:
            client = openai.AsyncOpenAI(
                base_url=environ["OPENAI_BASE_URL"], api_key=environ["OPENAI_API_KEY"]
            )
            async with client:
                answer = await client.chat.completions.create(model="own", messages=QUESTION)
            return answer.choices[0].message.content

        with pytest.raises(openai.PermissionDeniedError, match="turn is over"):
            await call()
        async with turns.admit(at(server, model="one"), agent_id="other"):
            with pytest.raises(openai.PermissionDeniedError, match="turn is over"):
                await call()
            async with turns.admit(at(server, model="two"), agent_id="mine"):
                assert await call() == "I am two"
            another = turns.gateway.reserve("mine")
            async with turns.admit(at(server, model="three"), agent_id="mine", reservation=another):
                with pytest.raises(openai.PermissionDeniedError, match="turn is over"):
                    await call()
        assert server.calls == 1


async def test_clients_made_from_the_environment_alone_find_the_gateway(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in turns.gateway.reserve("mine").environ().items():
        monkeypatch.setenv(name, value)
    with ModelServer(Text("Tea.")) as server:
        async with turns.admit(at(server), agent_id="mine"), openai.AsyncOpenAI() as client:
            chat = await client.chat.completions.create(model="own", messages=QUESTION)
        async with (
            turns.admit(at(server, protocol="messages"), agent_id="mine"),
            anthropic.AsyncAnthropic() as claude,
        ):
            message = await claude.messages.create(model="own", max_tokens=9, messages=QUESTION)
    assert chat.choices[0].message.content == "Tea."
    assert message.content[0].type == "text"
    assert server.calls == 2


async def test_a_call_counts_although_its_turn_ended_before_the_very_end(turns: Turns) -> None:
    usage = '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    last = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
    async with raw_server(sse(last, usage), then=[], pause_s=5) as server:
        real = connection_to(f"{server.url}/v1")
        async with turns.admit(real) as inner, openai_client(inner) as client:
            stream = await client.chat.completions.create(
                model="any", messages=QUESTION, stream=True
            )
            async for chunk in stream:
                assert chunk.choices[0].finish_reason == "stop"
                break
        (finished,) = turns.events.of(ModelCallFinished)
        assert finished.usage is not None
        assert finished.usage.input_tokens == 3


def _answer_with_model(request: Any) -> Text:
    return Text(f"I am {request.model}")


async def test_tokens_are_secrets_and_the_gateway_goes_with_its_pool(pool: ConnectionPool) -> None:
    gateway = await pool.gateway()
    assert await pool.gateway() is gateway
    assert gateway.reserve("agent").token in pool.secrets()
    await pool.aclose()
    with pytest.raises(httpx2.ConnectError):
        async with httpx2.AsyncClient() as client:
            await client.get(f"{gateway.url}/v1/models")


async def test_requests_of_web_pages_are_refused(turns: Turns) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner, raw_client(inner) as client:
            body = {"model": "any", "messages": QUESTION}
            for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}):
                answer = await client.post("/chat/completions", json=body, headers=headers)
                assert answer.status_code == 403
                assert not any(name.startswith("access-control") for name in answer.headers)
        assert server.calls == 0
