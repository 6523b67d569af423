"""Errors and faults, and what the real OpenAI SDK makes of each."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from openai import AsyncOpenAI

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
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

ANSWER = Text("one two three four")


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0, timeout=10) as made:
        yield made


async def ask(client: AsyncOpenAI) -> str | None:
    answer = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hello"}]
    )
    return answer.choices[0].message.content


async def read(client: AsyncOpenAI, into: list[str]) -> str | None:
    """Stream an answer's text into the list; the finish reason."""
    reason = None
    chunks = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    async with chunks:
        async for chunk in chunks:
            for choice in chunk.choices:
                if choice.delta.content:
                    into.append(choice.delta.content)
                reason = choice.finish_reason
    return reason


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("reply", "error", "kind", "code"),
    [
        (HttpError(status=400), openai.BadRequestError, "invalid_request_error", None),
        (
            HttpError(status=401),
            openai.AuthenticationError,
            "invalid_request_error",
            "invalid_api_key",
        ),
        (
            HttpError(status=403),
            openai.PermissionDeniedError,
            "invalid_request_error",
            "model_not_found",
        ),
        (HttpError(status=404), openai.NotFoundError, "invalid_request_error", "model_not_found"),
        (HttpError(status=429), openai.RateLimitError, "requests", "rate_limit_exceeded"),
        (
            HttpError(status=429, code="insufficient_quota"),
            openai.RateLimitError,
            "insufficient_quota",
            "insufficient_quota",
        ),
        (HttpError(status=500), openai.InternalServerError, "server_error", None),
        (
            HttpError(status=503),
            openai.InternalServerError,
            "server_error",
            "service_unavailable",
        ),
        (HttpError(status=529), openai.InternalServerError, "overloaded_error", "overloaded"),
        (HttpError(status=418), openai.APIStatusError, "invalid_request_error", None),
        (
            QuotaExhausted(),
            openai.RateLimitError,
            "insufficient_quota",
            "insufficient_quota",
        ),
        (
            ContextOverflow(),
            openai.BadRequestError,
            "invalid_request_error",
            "context_length_exceeded",
        ),
    ],
)
async def test_an_http_error_is_the_sdks_error_for_it(
    server: ModelServer,
    client: AsyncOpenAI,
    *,
    reply: Reply,
    error: type[openai.APIStatusError],
    kind: str,
    code: str | None,
    stream: bool,
) -> None:
    server.enqueue(reply)
    with pytest.raises(error) as raised:
        await (read(client, []) if stream else ask(client))
    assert type(raised.value) is error
    assert (raised.value.type, raised.value.code) == (kind, code)
    assert raised.value.response.status_code == server.requests[0].status
    assert server.requests[0].state is RequestState.FINISHED


async def test_the_message_of_an_overflow_names_the_window(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(ContextOverflow(window=4096))
    with pytest.raises(openai.BadRequestError, match="maximum context length is 4096 tokens"):
        await ask(client)


async def test_an_error_says_when_to_try_again(server: ModelServer, client: AsyncOpenAI) -> None:
    server.enqueue(HttpError(status=429, retry_after=2.5, headers=(("x-limit", "10"),)))
    with pytest.raises(openai.RateLimitError) as raised:
        await ask(client)
    assert raised.value.response.headers["retry-after"] == "2.5"
    assert raised.value.response.headers["x-limit"] == "10"


async def test_an_error_can_have_any_body(server: ModelServer, client: AsyncOpenAI) -> None:
    page = "<html>Bad gateway</html>"
    server.enqueue(HttpError(status=502, body=page, content_type="text/html"))
    with pytest.raises(openai.InternalServerError) as raised:
        await ask(client)
    assert raised.value.body == page


async def test_an_error_has_the_text_it_is_given(server: ModelServer, client: AsyncOpenAI) -> None:
    server.enqueue(HttpError(status=400, message="No such thing.", code="odd"))
    with pytest.raises(openai.BadRequestError, match="No such thing") as raised:
        await ask(client)
    assert raised.value.code == "odd"


async def test_a_retry_of_the_sdk_is_one_more_call(server: ModelServer) -> None:
    server.enqueue(HttpError(status=503, retry_after=0.01), Text("well"))
    async with AsyncOpenAI(base_url=server.url, api_key="k", max_retries=1) as retrying:
        assert await ask(retrying) == "well"
    assert server.calls == 2


async def test_a_stream_that_ends_early_is_no_error_of_the_sdk(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(EndsEarly(after=2, answer=ANSWER))
    seen: list[str] = []
    assert await read(client, seen) is None
    assert seen == ["one", " two"]
    await server.await_idle()
    assert server.requests[0].tokens_sent == 2


async def test_a_document_that_ends_early_is_not_json(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(EndsEarly(answer=ANSWER))
    with pytest.raises(json.JSONDecodeError):
        await ask(client)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("reset", [True, False])
async def test_a_disconnect_before_the_first_byte_is_a_connection_error(
    server: ModelServer, client: AsyncOpenAI, *, reset: bool, stream: bool
) -> None:
    server.enqueue(Disconnect(reset=reset))
    with pytest.raises(openai.APIConnectionError):
        await (read(client, []) if stream else ask(client))
    await server.await_idle()
    assert server.requests[0].state is RequestState.SERVER_LEFT
    assert server.requests[0].tokens_sent == 0


async def test_a_disconnect_midway_is_a_connection_error_after_what_came(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(Disconnect(after=3, answer=ANSWER))
    seen: list[str] = []
    with pytest.raises(openai.APIConnectionError):
        await read(client, seen)
    assert seen == ["one", " two", " three"]


async def test_a_disconnect_amid_a_document_is_a_connection_error(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(Disconnect(after=0, answer=ANSWER))
    with pytest.raises(openai.APIConnectionError):
        await ask(client)


async def test_the_connection_after_a_disconnect_works(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(Disconnect(after=1), Text("again"))
    with pytest.raises(openai.APIConnectionError):
        await read(client, [])
    assert await ask(client) == "again"


@pytest.mark.parametrize("after", [None, 0, 2])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_server_that_hangs_is_a_timeout(
    server: ModelServer, client: AsyncOpenAI, after: int | None, *, stream: bool
) -> None:
    server.enqueue(Hang(after=after, answer=ANSWER))
    impatient = client.with_options(timeout=1.0)
    seen: list[str] = []
    with pytest.raises(openai.APITimeoutError):
        await (read(impatient, seen) if stream else ask(impatient))
    assert seen == ["one", " two"][: (after or 0) if stream else 0]
    await server.await_close()
    assert server.requests[0].closed_early


async def test_malformed_events_reach_the_caller_as_bad_json(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(MalformedSSE(after=1, answer=ANSWER))
    seen: list[str] = []
    with pytest.raises(json.JSONDecodeError):
        await read(client, seen)
    assert seen == ["one"]


async def test_a_malformed_document_reaches_the_caller_as_bad_json(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(MalformedSSE(data="{"))
    with pytest.raises(json.JSONDecodeError):
        await ask(client)


async def test_the_stream_goes_on_after_a_malformed_event(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(MalformedSSE(after=1, data='{"choices":[]}', answer=ANSWER))
    seen: list[str] = []
    assert await read(client, seen) == "stop"
    assert seen == ["one", " two", " three", " four"]
    assert server.requests[0].tokens_sent == 4


async def test_an_error_event_is_an_api_error_after_what_came(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    overloaded = HttpError(status=529, message="Try later.")
    server.enqueue(ErrorEvent(after=1, answer=ANSWER, error=overloaded))
    seen: list[str] = []
    with pytest.raises(openai.APIError, match="Try later") as raised:
        await read(client, seen)
    assert type(raised.value) is openai.APIError
    assert raised.value.type == "overloaded_error"
    assert seen == ["one"]


async def test_an_error_event_outside_a_stream_is_a_status(
    server: ModelServer, client: AsyncOpenAI
) -> None:
    server.enqueue(ErrorEvent())
    with pytest.raises(openai.InternalServerError):
        await ask(client)


async def test_a_fault_can_strike_tool_calls(server: ModelServer, client: AsyncOpenAI) -> None:
    server.enqueue(Disconnect(after=2, answer=ToolCalls(("lookup", {"query": "a long one"}))))
    arguments = ""
    chunks = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    async with chunks:
        with pytest.raises(openai.APIConnectionError):  # noqa: PT012 what came before counts, too
            async for chunk in chunks:
                for call in chunk.choices[0].delta.tool_calls or ():
                    assert call.function is not None
                    arguments += call.function.arguments or ""
    assert arguments == '{"qu'


@pytest.mark.parametrize("reply", [ANSWER, HttpError(status=404), EndsEarly(), Disconnect()])
async def test_the_servers_latency_delays_every_reply(reply: Reply) -> None:
    with ModelServer(reply, latency_s=0.1) as server:
        async with AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            started = time.monotonic()
            try:
                await read(client, [])
            except openai.APIError:
                assert reply is not ANSWER
            assert time.monotonic() - started >= 0.1


async def test_replies_wait_until_so_many_calls_run_at_one_time() -> None:
    with ModelServer(ANSWER, together=2) as server:
        async with AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read, client, [])
                await server.await_calls(1)
                tasks.cancel_scope.cancel()
            await server.await_close(1)

            read_by = [list[str](), list[str](), list[str]()]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read, client, read_by[0])
                await server.await_calls(2)
                assert server.running_calls == 1, "one of two was answered"
                tasks.start_soon(read, client, read_by[1])
            await read(client, read_by[2])
            assert ["".join(one) for one in read_by] == [ANSWER.text] * 3
            assert server.most_running_calls == 2


async def test_an_answers_latency_adds_to_the_servers() -> None:
    with ModelServer(Text("a", latency_s=0.1), latency_s=0.1) as server:
        async with AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            started = time.monotonic()
            await ask(client)
            assert time.monotonic() - started >= 0.2


async def test_an_answers_pace_goes_before_the_servers() -> None:
    quick = Text("a b c d e f g h i j", tokens_per_second=1000)
    with ModelServer([quick, Text("a")], tokens_per_second=2) as server:
        async with AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            for least, most in ((0.0, 4.0), (0.5, 5.0)):
                await read(client, [])
                request = server.requests[-1]
                assert request.finished_at is not None
                assert least <= request.finished_at - request.started_at <= most


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"tokens_per_second": 0}, "tokens_per_second is 0; expected a number above 0"),
        ({"latency_s": -1}, "latency_s is -1; expected 0 or more seconds"),
    ],
)
def test_impossible_times_are_refused(options: Any, error: str) -> None:
    for make in (Text, lambda text, **given: ToolCalls((text, {}), **given)):
        with pytest.raises(ValueError, match=error):
            make("x", **options)
