"""Anthropic's SDK, fed by the connection alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2

from massgen_bridge import Connection
from massgen_bridge.adapting import ClientPool, Endpoint, transport

__all__ = ["CLIENTS", "request_options", "stream"]

_NO_KEY = "none"
# Later versions refuse these, even from models that know them; an earlier one leaves it to those.
_SAMPLING = ("temperature", "top_k", "top_p")
_VERSION_WITH_SAMPLING = "2023-06-01"


def _http_client(settings: Mapping[str, Any]) -> httpx2.AsyncClient:
    if not settings["trust_env"]:
        # The SDK's own takes the environment's proxies whatever it is told.
        return httpx2.AsyncClient(**settings)
    return anthropic.DefaultAsyncHttpxClient(**settings)


def _new_client(endpoint: Endpoint) -> anthropic.AsyncAnthropic:
    settings = transport(anthropic, endpoint)
    return anthropic.AsyncAnthropic(
        base_url=endpoint.base_url,
        # Not as `api_key`, which the majors of the SDK send by different headers: this one is
        # understood by every server that speaks the protocol.
        auth_token=endpoint.api_key or _NO_KEY,
        default_headers=endpoint.sent_headers("ANTHROPIC_CUSTOM_HEADERS", anthropic.Omit()),
        timeout=settings["timeout"],
        max_retries=0,
        http_client=_http_client(settings),
    )


CLIENTS = ClientPool(
    "massgen_bridge_anthropic_clients", _new_client, anthropic.AsyncAnthropic.close
)
"""The clients of all agents."""


def request_options(connection: Connection, *, own_key: bool = False) -> anthropic.RequestOptions:
    """What each request of a connection needs beside its body.

    Args:
        connection: The connection.
        own_key: Whether the key is not the client's, and so goes with each request.
    """
    endpoint = Endpoint.of(connection)
    headers = endpoint.key_header(anthropic.Omit(), own_key=own_key)
    sampling = connection.sampling
    sampled = any(
        getattr(sampling, name, None) is not None or name in sampling.extra for name in _SAMPLING
    )
    if sampled and not endpoint.has_header("Anthropic-Version"):
        headers["anthropic-version"] = _VERSION_WITH_SAMPLING
    return {"headers": headers} if headers else {}


async def stream(
    client: anthropic.AsyncAnthropic,
    request: Mapping[str, Any],
    options: anthropic.RequestOptions,
) -> anthropic.AsyncStream[object]:
    """Ask for an answer and stream its events, as they come from JSON.

    The SDK's own method for it knows no sampling, and makes models of the request and of every
    event, which costs several times as much as all the rest and tells nothing more.

    Args:
        client: Sends the request.
        request: The body.
        options: Settings of this request.
    """
    return await client.post(
        "/v1/messages",
        cast_to=object,
        body=request,
        options=options,
        stream=True,
        stream_cls=anthropic.AsyncStream[object],
    )
