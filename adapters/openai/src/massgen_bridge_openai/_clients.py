"""OpenAI's SDK, fed by the connection alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import openai

from massgen_bridge import Connection
from massgen_bridge.adapting import ClientPool, Endpoint, transport

__all__ = ["CLIENTS", "request_options", "stream"]

_NO_KEY = "none"


def _new_client(endpoint: Endpoint) -> openai.AsyncOpenAI:
    settings = transport(openai, endpoint)
    client = openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key or _NO_KEY,
        default_headers=endpoint.sent_headers("OPENAI_CUSTOM_HEADERS", openai.Omit()),
        timeout=settings["timeout"],
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(**settings),
    )
    # The SDK takes these from the environment; the connection alone says what is sent.
    client.organization = client.project = None
    if hasattr(client, "admin_api_key"):
        client.admin_api_key = None
    return client


CLIENTS = ClientPool("massgen_bridge_openai_clients", _new_client, openai.AsyncOpenAI.close)
"""The clients of all agents."""


def request_options(connection: Connection) -> openai.RequestOptions:
    """What each request needs so that the SDK sends no key where there is none."""
    keyless = Endpoint.of(connection).is_keyless
    return {"headers": {"Authorization": openai.Omit()}} if keyless else {}


class _WholeStream(openai.AsyncStream[object]):
    """A stream that is read to its end, which lets its connection serve the next request.

    Release 2 of the SDK stops at the end marker; release 3 reads on by itself.
    """

    async def _iter_events(self) -> AsyncIterator[Any]:
        events = super()._iter_events()
        async for event in events:
            if event.data.startswith("[DONE]"):
                async for _ in events:
                    pass
            yield event


_STREAM = _WholeStream if openai.__version__.startswith("2.") else openai.AsyncStream[object]


async def stream(
    client: openai.AsyncOpenAI, request: Mapping[str, Any], options: openai.RequestOptions
) -> openai.AsyncStream[object]:
    """Ask for an answer and stream its chunks, as they come from JSON.

    The SDK's own method for it makes models of the request and of every chunk, which costs
    several times as much as all the rest and tells nothing more.

    Args:
        client: Sends the request.
        request: The body.
        options: Settings of this request.
    """
    return await client.post(
        "/chat/completions",
        cast_to=object,
        body=request,
        options=options,
        stream=True,
        stream_cls=_STREAM,
    )
