"""Choosing replies, recording requests and waiting for them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from massgen_bridge.testing.servers import (
    AutoToolCall,
    Echo,
    Hang,
    HttpError,
    ModelRequest,
    ModelServer,
    Reply,
    RequestState,
    ScriptFailed,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from openai.types.chat import ChatCompletionMessageParam


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def ask(server: ModelServer, text: str = "Hello", *, model: str = "m", **options: Any) -> Any:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": text}]
    with OpenAI(base_url=server.url, api_key="test-key", max_retries=0, timeout=10) as client:
        answer = client.chat.completions.create(model=model, messages=messages, **options)
    return answer.choices[0].message.content


def refuse(server: ModelServer) -> None:
    with pytest.raises(openai.InternalServerError):
        ask(server)


def failing(
    text: str, error: type[Exception] = ScriptFailed
) -> AbstractContextManager[pytest.ExceptionInfo[Exception]]:
    """Expects the end of a server's block to raise."""
    return pytest.raises(error, match=text)


def open_client(server: ModelServer) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.url, api_key="test-key", max_retries=0, timeout=20)


async def read(client: AsyncOpenAI, text: str, *, model: str = "m") -> str:
    found = ""
    chunks = await client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], stream=True
    )
    async with chunks:
        async for chunk in chunks:
            found += chunk.choices[0].delta.content or ""
    return found


# Choosing.


def test_a_queue_is_used_up_and_then_the_default_answers() -> None:
    with ModelServer([Text("one"), Text("two")], default=Text("more")) as server:
        assert [ask(server) for _ in range(4)] == ["one", "two", "more", "more"]
        server.enqueue(Text("late"))
        assert [ask(server) for _ in range(2)] == ["late", "more"]


def test_one_reply_answers_everything() -> None:
    with ModelServer(Text("always")) as server:
        assert [ask(server), ask(server)] == ["always", "always"]


def test_models_have_replies_of_their_own() -> None:
    def shout(request: ModelRequest) -> Reply:
        return Text(request.last_text.upper())

    with ModelServer({"a": Text("I am a"), "b": shout}) as server:
        assert [ask(server, model=model) for model in "abc"] == ["I am a", "HELLO", "Hello"]


def test_a_function_sees_what_is_asked_for_and_may_leave_it() -> None:
    seen: list[ModelRequest] = []

    def choose(request: ModelRequest) -> Reply | None:
        seen.append(request)
        return Text("chosen") if request.model == "mine" else None

    with ModelServer(choose) as server:
        assert ask(server, model="mine", max_tokens=5) == "chosen"
        assert ask(server, "left alone") == "left alone"
    assert [(request.number, request.model, request.max_tokens) for request in seen] == [
        (1, "mine", 5),
        (2, "m", None),
    ]
    assert seen[0].protocol == "chat_completions"
    assert seen[0].headers["authorization"] == "Bearer test-key"
    assert "test-key" not in repr(seen[0])


def test_a_function_that_raises_fails_the_call_and_the_test() -> None:
    def broken(request: ModelRequest) -> Reply:
        raise LookupError(request.last_text)

    with failing("LookupError: Hello"), ModelServer(broken) as server:
        with pytest.raises(openai.InternalServerError, match="script failed: LookupError: Hello"):
            ask(server)
        server.enqueue(Text("still there"))
        assert ask(server) == "still there"


def test_a_reply_that_does_not_fit_the_request_fails_the_test() -> None:
    with failing("the request offers none"), ModelServer(AutoToolCall()) as server:
        refuse(server)


def test_the_tests_own_error_goes_before_the_scripts() -> None:
    with failing("the test's own", ZeroDivisionError), ModelServer(AutoToolCall()) as server:
        refuse(server)
        raise ZeroDivisionError("the test's own")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (3, "script is 3; expected a reply such as"),
        ({"m": "text"}, r"script\['m'\] is 'text'; expected a reply"),
        ("text", "the queue of replies holds 't'; expected replies only"),
        ([Text("a"), "b"], "the queue of replies holds 'b'"),
    ],
)
def test_a_script_of_another_type_is_refused(script: Any, error: str) -> None:
    with pytest.raises(TypeError, match=error):
        ModelServer(script)


def test_a_function_that_returns_no_reply_fails_the_test() -> None:
    script: Any = lambda _request: "text"  # noqa: E731 the wrong type on purpose
    with failing("returned 'text'; expected a reply or None"), ModelServer(script) as server:
        refuse(server)


# Recording.


def test_requests_are_recorded(server: ModelServer) -> None:
    before = time.monotonic()
    ask(server, "What?", model="gpt-x")
    (request,) = server.requests
    assert (request.number, request.method, request.path) == (1, "POST", "/v1/chat/completions")
    assert request.body["messages"] == [{"role": "user", "content": "What?"}]
    assert request.api_key == "test-key"
    assert request.headers["content-type"] == "application/json"
    assert "test-key" not in repr(request)
    assert request.status == 200
    assert request.state is RequestState.FINISHED
    assert request.finished_at is not None
    assert before <= request.started_at <= request.finished_at <= time.monotonic()
    assert request.tokens_sent == 1
    assert not request.closed_early
    assert (server.calls, server.closed_early, server.running_calls) == (1, 0, 0)


def test_other_requests_are_recorded_but_are_no_calls(server: ModelServer) -> None:
    with OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        client.models.list()
        with pytest.raises(openai.NotFoundError, match=r"this server has no POST /v1/embeddings"):
            client.embeddings.create(model="m", input="hi", encoding_format="float")
    assert [(request.number, request.status) for request in server.requests] == [
        (None, 200),
        (None, 404),
    ]
    assert server.calls == 0
    assert server.requests[1].body == {"model": "m", "input": "hi", "encoding_format": "float"}


def test_only_the_last_requests_are_kept_when_asked_for() -> None:
    with ModelServer(keep_requests=2) as server:
        for text in "abc":
            ask(server, text)
        assert [request.number for request in server.requests] == [2, 3]
        assert server.calls == 3


def test_only_the_right_key_is_let_in() -> None:
    with ModelServer(api_key="test-key") as server:
        assert ask(server) == "Hello"
        with (
            OpenAI(base_url=server.url, api_key="wrong", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hello"}]
            )
        assert [request.status for request in server.requests] == [200, 401]


def test_a_key_may_come_in_the_other_header(server: ModelServer) -> None:
    with OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        client.models.list(extra_headers={"Authorization": "", "x-api-key": "other"})
    assert server.requests[0].api_key == "other"


def test_a_server_starts_once(server: ModelServer) -> None:
    with pytest.raises(RuntimeError, match="was started before"):
        server.__enter__()


def test_a_port_that_is_taken_is_told_at_once(server: ModelServer) -> None:
    port = int(server.url.split(":")[-1].split("/")[0])
    with pytest.raises(OSError, match="in use"):
        ModelServer(port=port).__enter__()


def test_what_was_recorded_stays_readable_and_threads_end() -> None:
    with ModelServer() as server:
        ask(server)
        assert any(thread.name == "model-server" for thread in threading.enumerate())
    assert server.requests[0].status == 200
    assert server.open_connections == 0
    with pytest.raises(RuntimeError, match="does not run"):
        server.wait_for_calls()


# Waiting.


def test_waiting_in_vain_ends_with_the_figures(server: ModelServer) -> None:
    ask(server)
    server.wait_for_calls(1)
    with pytest.raises(TimeoutError, match=r"waited 0.05 s for 2 calls; the server has 1 calls"):
        server.wait_for_calls(2, timeout_s=0.05)
    with pytest.raises(TimeoutError, match="1 responses closed early"):
        server.wait_for_close(timeout_s=0.05)
    with pytest.raises(TimeoutError, match="sent 2 tokens"):
        server.wait_for_tokens(2, timeout_s=0.05)


def test_waiting_ends_when_the_call_comes(server: ModelServer) -> None:
    caller = threading.Timer(0.05, ask, [server])
    caller.start()
    server.wait_for_calls(1)
    server.wait_for_idle()
    caller.join()
    assert server.calls == 1


@pytest.mark.anyio
async def test_a_client_that_cancels_midway_is_noticed() -> None:
    slow = Text.of_tokens(1000, tokens_per_second=100)
    with ModelServer(slow) as server:
        async with open_client(server) as client, anyio.create_task_group() as calls:
            calls.start_soon(read, client, "go")
            await server.await_tokens(5)
            with pytest.raises(TimeoutError):
                await server.await_idle(timeout_s=0.01)
            calls.cancel_scope.cancel()
        await server.await_close()
        (request,) = server.requests
        assert request.state is RequestState.CLIENT_LEFT
        assert 5 <= request.tokens_sent < 1000
        assert server.closed_early == 1
        assert server.running_calls == 0
        sent = request.tokens_sent
        await anyio.sleep(0.05)
        assert server.requests[0].tokens_sent == sent


@pytest.mark.anyio
async def test_a_client_that_cancels_before_the_first_byte_is_noticed() -> None:
    with ModelServer(Hang()) as server:
        async with open_client(server) as client, anyio.create_task_group() as calls:
            calls.start_soon(read, client, "go")
            await server.await_calls(1)
            calls.cancel_scope.cancel()
        await server.await_close(1)
        assert server.requests[0].tokens_sent == 0


@pytest.mark.anyio
async def test_a_client_that_leaves_the_loop_is_noticed() -> None:
    with ModelServer(Text.of_tokens(1000, tokens_per_second=200)) as server:
        async with open_client(server) as client:
            chunks = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "go"}], stream=True
            )
            async with chunks:
                async for _chunk in chunks:
                    break
            await server.await_close(1)


@pytest.mark.anyio
async def test_200_streams_at_once_get_each_its_own_answer() -> None:
    answers: dict[int, str] = {}

    with ModelServer(Echo(), tokens_per_second=20, together=200) as server:
        async with open_client(server) as client:

            async def one(index: int) -> None:
                answers[index] = await read(client, f"call {index} says {index} again")

            async with anyio.create_task_group() as calls:
                for index in range(200):
                    calls.start_soon(one, index)
        await server.await_idle()
        assert answers == {index: f"call {index} says {index} again" for index in range(200)}
        assert server.calls == 200
        assert server.most_running_calls == 200
        assert {request.tokens_sent for request in server.requests} == {5}
        assert {request.state for request in server.requests} == {RequestState.FINISHED}
        assert len({request.number for request in server.requests}) == 200


@pytest.mark.anyio
async def test_faults_do_not_touch_the_streams_beside_them() -> None:
    def choose(request: ModelRequest) -> Reply | None:
        return HttpError(status=500) if request.model == "bad" else None

    failures = 0
    with ModelServer(choose, tokens_per_second=200) as server:
        async with open_client(server) as client:

            async def one(index: int) -> None:
                nonlocal failures
                if index % 2:
                    assert await read(client, f"good {index}") == f"good {index}"
                    return
                with pytest.raises(openai.InternalServerError):
                    await read(client, "x", model="bad")
                failures += 1

            async with anyio.create_task_group() as calls:
                for index in range(40):
                    calls.start_soon(one, index)
    assert failures == 20
