"""Clients of Gemini at the gateway: Google's own SDK, as a framework would make it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from google import genai
from google.genai import errors, types
from models.gateway.turns import Turns, at, raw_client

from massgen_bridge.agent import Usage
from massgen_bridge.events import ModelCallFinished
from massgen_bridge.testing import servers
from massgen_bridge.testing.agents import TEST_KEY
from massgen_bridge.testing.servers import EndsEarly, HttpError, Refusal, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from massgen_bridge.connection import Connection
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

COUNTED = servers.Usage(input_tokens=50, output_tokens=9, cached_tokens=20, reasoning_tokens=4)
SAME = Usage(input_tokens=50, output_tokens=9, cached_tokens=20, reasoning_tokens=4, calls=1)


@asynccontextmanager
async def _client(inner: Connection) -> AsyncIterator[genai.client.AsyncClient]:
    assert inner.api_key is not None
    options = types.HttpOptions(base_url=inner.base_url)
    key = inner.api_key.get_secret_value()
    async with genai.Client(api_key=key, http_options=options).aio as client:
        yield client


async def _ask(client: genai.client.AsyncClient, *, stream: bool) -> str:
    if not stream:
        return (await client.models.generate_content(model="mine", contents="Tea?")).text or ""
    answer = await client.models.generate_content_stream(model="mine", contents="Tea?")
    return "".join([response.text or "" async for response in answer])


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_pass_with_the_key_and_the_model_of_the_connection(
    turns: Turns, model_server: StartModelServer, *, stream: bool
) -> None:
    """What they used is counted, also where it is streamed."""
    server = model_server(Text("Tea, of course.", usage=COUNTED))
    async with (
        turns.admit(at(server, protocol="gemini", model="gemini-x")) as inner,
        _client(inner) as client,
    ):
        assert inner.api_key is not None
        assert inner.api_key.get_secret_value() != TEST_KEY
        assert await _ask(client, stream=stream) == "Tea, of course."
    (request,) = server.requests
    assert request.path.startswith("/v1/models/gemini-x:")
    assert request.headers["x-goog-api-key"] == TEST_KEY
    assert "authorization" not in request.headers
    (finished,) = turns.events.of(ModelCallFinished)
    assert (finished.model, finished.usage) == ("gemini-x", SAME)


async def test_a_stream_that_breaks_off_is_no_answer(
    turns: Turns, model_server: StartModelServer
) -> None:
    """It is asked for again before anything of it was passed on, and else fails visibly."""
    server = model_server([HttpError(status=503), EndsEarly(after=2), Text("Not this.")])
    async with (
        turns.admit(at(server, protocol="gemini")) as inner,
        _client(inner) as client,
    ):
        with pytest.raises(errors.APIError, match="massgen_bridge_"):
            await _ask(client, stream=True)
    assert server.calls == 2


async def test_a_blocked_prompt_is_a_whole_answer(
    turns: Turns, model_server: StartModelServer
) -> None:
    server = model_server(Refusal(""))
    async with turns.admit(at(server, protocol="gemini")) as inner, _client(inner) as client:
        assert await _ask(client, stream=True) == ""
    assert len(turns.events.of(ModelCallFinished)) == 1
    assert server.calls == 1


async def test_the_models_are_told_in_the_form_of_google(
    turns: Turns, model_server: StartModelServer
) -> None:
    server = model_server()
    async with (
        turns.admit(at(server, protocol="gemini", model="gemini-x")) as inner,
        _client(inner) as client,
    ):
        names = [model.name async for model in await client.models.list()]
        one = await client.models.get(model="gemini-x")
    assert names == [one.name] == ["models/gemini-x"]
    assert server.calls == 0


async def test_a_client_of_another_protocol_is_told_so(
    turns: Turns, model_server: StartModelServer
) -> None:
    server = model_server()
    async with turns.admit(at(server)) as inner:
        bare = inner.model_copy(update={"base_url": inner.base_url.removesuffix("/v1")})
        async with _client(bare) as client:
            with pytest.raises(errors.ClientError, match="this client speaks 'gemini'") as caught:
                await _ask(client, stream=True)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert server.calls == 0


async def test_a_token_of_no_turn_is_refused_in_the_form_of_google(
    turns: Turns, model_server: StartModelServer
) -> None:
    async with turns.admit(at(model_server(), protocol="gemini")) as inner:
        pass
    async with raw_client(inner) as client:
        answer = await client.post(
            "/v1beta/models/m:generateContent", headers={"x-goog-api-key": "none"}, json={}
        )
    assert answer.status_code in {401, 403}
    assert answer.json()["error"]["code"] == answer.status_code
