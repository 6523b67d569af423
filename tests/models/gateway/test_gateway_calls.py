"""Model calls through the gateway, made by the providers' SDKs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
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

from massgen_bridge.agent import Limits, Usage
from massgen_bridge.connection import Quirks
from massgen_bridge.errors import LimitReached
from massgen_bridge.events import (
    ModelCallFinished,
    ModelCallStarted,
    ModelRetried,
    ModelWaiting,
)
from massgen_bridge.models.traffic import Traffic
from massgen_bridge.testing.agents import TEST_KEY
from massgen_bridge.testing.servers import (
    Drip,
    HttpError,
    ModelServer,
    Text,
    ToolCalls,
)
from massgen_bridge.testing.servers import Usage as Reported

if TYPE_CHECKING:
    from massgen_bridge.events import TurnEvent

pytestmark = pytest.mark.anyio

_USAGE = Reported(
    input_tokens=100,
    output_tokens=20,
    cached_tokens=60,
    cache_write_tokens=10,
    reasoning_tokens=5,
)
_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a word up.",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string"}},
            "required": ["word"],
        },
    },
}


async def test_a_streamed_answer_comes_through(turns: Turns) -> None:
    with ModelServer(Text("Tea, of course.")) as server:
        async with turns.admit(at(server, model="real")) as inner:
            assert await ask(inner) == "Tea, of course."
    assert turns.told() == ["model_call_started", "model_call_finished"]
    assert turns.events.of(ModelCallStarted)[0].model == "real"
    (request,) = server.requests
    assert request.body["model"] == "real"


async def test_an_answer_in_one_piece_comes_through(turns: Turns) -> None:
    with ModelServer(Text("Tea.", usage=_USAGE)) as server:
        async with turns.admit(at(server)) as inner, openai_client(inner) as client:
            answer = await client.chat.completions.create(model="any", messages=QUESTION)
    assert answer.choices[0].message.content == "Tea."
    (finished,) = turns.events.of(ModelCallFinished)
    assert finished.usage == Usage(
        input_tokens=100, cached_tokens=60, output_tokens=20, reasoning_tokens=5, calls=1
    )


async def test_messages_come_through_with_either_form_of_key(turns: Turns) -> None:
    with ModelServer(Text("Tea.", usage=_USAGE)) as server:
        real = at(server, protocol="messages")
        async with turns.admit(real) as inner, anthropic_client(inner) as client:
            async with client.messages.stream(
                model="any", max_tokens=50, messages=QUESTION
            ) as stream:
                streamed = await stream.get_final_text()
            whole = await client.messages.create(model="any", max_tokens=50, messages=QUESTION)
            async with raw_client(inner) as raw:  # with a bearer token
                body = {"model": "any", "max_tokens": 50, "messages": QUESTION}
                by_bearer = await raw.post("/v1/messages", json=body)
    assert streamed == "Tea."
    assert whole.content[0].type == "text"
    assert whole.content[0].text == "Tea."
    assert by_bearer.status_code == 200
    usages = {finished.usage for finished in turns.events.of(ModelCallFinished)}
    assert {(one.input_tokens, one.cached_tokens, one.output_tokens) for one in usages if one} == {
        (100, 60, 20)
    }
    assert len(turns.events.of(ModelCallFinished)) == 3
    assert all(
        request.headers["authorization"] == f"Bearer {TEST_KEY}" for request in server.requests
    )


async def test_tool_calls_come_through(turns: Turns) -> None:
    with ModelServer(ToolCalls(("look_up", {"word": "tea"}))) as server:
        async with turns.admit(at(server)) as inner, openai_client(inner) as client:
            stream = await client.chat.completions.create(
                model="any", messages=QUESTION, tools=[_TOOL], stream=True
            )
            pieces = [
                call.function.arguments or ""
                async for chunk in stream
                for choice in chunk.choices
                for call in choice.delta.tool_calls or ()
                if call.function
            ]
    assert json.loads("".join(pieces)) == {"word": "tea"}


async def test_the_real_key_and_headers_go_to_the_model_alone(turns: Turns) -> None:
    with ModelServer(api_key=TEST_KEY) as server:
        real = at(server, headers={"X-Account": "ours"})
        async with turns.admit(real) as inner:
            assert inner.api_key is not None
            token = inner.api_key.get_secret_value()
            assert inner.headers == {}
            assert inner.retry.attempts == 1
            await ask(inner)
    (request,) = server.requests
    assert request.headers["x-account"] == "ours"
    assert request.headers["authorization"] == f"Bearer {TEST_KEY}"
    assert token not in str(request.headers)
    assert TEST_KEY not in str(inner.model_dump()) + token


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/chat/completions", "/v1/v1/chat/completions"]
)
async def test_v1_counts_not_at_all(turns: Turns, path: str) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner, raw_client(inner) as client:
            url = inner.base_url.removesuffix("/v1") + path
            answer = await client.post(url, json={"model": "any", "messages": QUESTION})
    assert answer.status_code == 200


async def test_the_models_listed_are_that_of_the_connection(turns: Turns) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server, model="real")) as inner:
            async with openai_client(inner) as client:
                listed = [one.id async for one in client.models.list()]
                alone = await client.models.retrieve("whatever")
            async with raw_client(inner) as raw:
                missing = await raw.post("/embeddings", json={})
    assert listed == ["real"]
    assert alone.id == "real"
    assert missing.status_code == 404
    assert "/v1/chat/completions" in missing.json()["error"]["message"]
    assert server.calls == 0


async def test_usage_of_a_stream_is_counted_and_not_shown_to_who_did_not_ask(turns: Turns) -> None:
    with ModelServer(Drip(answer=Text("Tea is fine.", usage=_USAGE))) as server:
        async with turns.admit(at(server)) as inner, openai_client(inner) as client:
            stream = await client.chat.completions.create(
                model="any", messages=QUESTION, stream=True
            )
            chunks = [chunk async for chunk in stream]
            asked = await client.chat.completions.create(
                model="any",
                messages=QUESTION,
                stream=True,
                stream_options={"include_usage": True},
            )
            shown = [chunk async for chunk in asked]
    assert all(chunk.choices for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Tea is fine."
    assert shown[-1].usage is not None
    for finished in turns.events.of(ModelCallFinished):
        assert finished.usage is not None
        assert finished.usage.input_tokens == 100


async def test_usage_is_not_asked_for_where_the_provider_does_not_understand_that(
    turns: Turns,
) -> None:
    with ModelServer(default=Text("Tea.")) as server:
        plain = at(server).model_copy(update={"quirks": Quirks(stream_usage=False)})
        async with turns.admit(plain) as inner, openai_client(inner) as client:
            stream = await client.chat.completions.create(
                model="any", messages=QUESTION, stream=True
            )
            assert [chunk async for chunk in stream]
        (sent,) = server.requests
    assert "stream_options" not in sent.body


async def test_failures_are_tried_again_by_the_one_policy(turns: Turns) -> None:
    with ModelServer([HttpError(status=500), Text("Tea.")]) as server:
        async with turns.admit(at(server)) as inner:
            assert await ask(inner) == "Tea."
    assert turns.told() == [
        "model_call_started",
        "model_retried",
        "model_call_started",
        "model_call_finished",
    ]
    assert turns.events.of(ModelRetried)[0].kind == "server"


@pytest.mark.parametrize(
    ("status", "calls", "raised"),
    [
        (400, 1, openai.BadRequestError),
        (401, 1, openai.AuthenticationError),
        (403, 1, openai.PermissionDeniedError),
        (404, 1, openai.NotFoundError),
        (429, 2, openai.RateLimitError),
        (500, 2, openai.InternalServerError),
        (503, 2, openai.InternalServerError),
        (529, 2, openai.InternalServerError),
    ],
)
async def test_the_last_failure_comes_through_and_no_client_tries_again(
    turns: Turns, status: int, calls: int, raised: type[Exception]
) -> None:
    error = HttpError(status=status, message=f"no, for the key {TEST_KEY}")
    with ModelServer(error) as server:
        async with turns.admit(at(server)) as inner:
            with pytest.raises(raised) as failed:
                await ask(inner)
    assert server.calls == calls
    assert "no, for the key" in str(failed.value)
    assert TEST_KEY not in str(failed.value)
    assert ModelCallFinished not in {type(event) for event in turns.events.events}


async def test_a_server_that_is_not_there_is_told_in_the_form_of_the_protocol(turns: Turns) -> None:
    with ModelServer() as server:
        real = at(server)
    async with turns.admit(real) as inner:
        with pytest.raises(openai.InternalServerError) as failed:
            await ask(inner)
    assert failed.value.status_code == 502
    assert failed.value.code == "massgen_bridge_network"


async def test_a_turn_makes_no_more_calls_than_it_may(turns: Turns) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server), limits=Limits(max_model_calls=2)) as inner:
            await ask(inner)
            await ask(inner)
            with pytest.raises(openai.PermissionDeniedError, match="2 model calls") as failed:
                await ask(inner)
    assert failed.value.code == "massgen_bridge_limit"
    assert server.calls == 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_quota_that_is_used_up_is_waited_for_by_the_agents_behind_it(
    turns: Turns, *, streamed: bool
) -> None:
    told = {"limit": "1", "remaining": "0", "reset": "50s"}
    spent = tuple((f"x-ratelimit-{what}-requests", said) for what, said in told.items())
    waits: list[ModelWaiting] = []
    scope, traffic = anyio.CancelScope(), Traffic(name="main")

    async def heard(event: TurnEvent, /) -> None:
        if isinstance(event, ModelWaiting):
            waits.append(event)
            scope.cancel()

    with ModelServer(Text("Tea.", headers=spent)) as server:
        async with (
            turns.admit(at(server), agent_id="ada", traffic=traffic) as first,
            turns.admit(at(server), agent_id="lin", traffic=traffic, emit=heard) as second,
            openai_client(first) as client,
        ):
            await client.chat.completions.create(model="m", messages=QUESTION, stream=streamed)
            with scope:
                await ask(second)
    assert [one.reason for one in waits] == ["provider"]
    assert server.calls == 1


async def test_a_call_that_no_budget_is_left_for_is_not_made(turns: Turns) -> None:
    async def spent(event: TurnEvent, /) -> None:
        raise LimitReached(f"the budget is spent: no {event.type}")

    with ModelServer() as server:
        async with turns.admit(at(server), emit=spent) as inner:
            with pytest.raises(openai.PermissionDeniedError, match="budget is spent"):
                await ask(inner)
    assert server.calls == 0


async def test_a_client_of_another_protocol_is_told_both(turns: Turns) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner:
            assert inner.api_key is not None
            async with anthropic_client(
                inner.model_copy(update={"base_url": inner.base_url.removesuffix("/v1")})
            ) as client:
                with pytest.raises(Exception, match=r"speaks 'messages'.*offers 'chat'") as failed:
                    await client.messages.create(model="any", max_tokens=5, messages=QUESTION)
    assert type(failed.value).__name__ == "BadRequestError"
    assert server.calls == 0


@pytest.mark.parametrize(
    "body", [b'{"model": ', b'{"model": ' + b"[" * 100_000], ids=["cut", "too-deep"]
)
async def test_a_body_that_is_no_json_is_refused(turns: Turns, body: bytes) -> None:
    with ModelServer() as server:
        async with turns.admit(at(server)) as inner, raw_client(inner) as client:
            answer = await client.post("/chat/completions", content=body)
    assert answer.status_code == 400
    assert "no JSON object" in answer.json()["error"]["message"]
    assert server.calls == 0
