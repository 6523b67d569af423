"""Google's SDK and what it sends by, fed by the connection alone."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import anyio
import httpx2
from google import genai
from google.genai import errors, types

from massgen_bridge import Connection, ProtocolFailed
from massgen_bridge.adapting import ClientPool, Endpoint, client_settings

__all__ = ["CLIENTS", "GeminiClient", "streamed"]

_KEY = "x-goog-api-key"
_NO_KEY = "none"
_VERSION = "v1beta"
_FULL_NAMES = ("models/", "tunedModels/")
# Lines of an event that are not its data.
_NO_DATA = (b":", b"event:", b"id:", b"retry:")


@dataclass(frozen=True, slots=True, eq=False)
class GeminiClient:
    """A client of the SDK and what it sends by, which it does not close by itself.

    Attributes:
        sdk: Sends files.
        http: Sends everything, and keeps the connections.
        url: Where the API's paths begin.
    """

    sdk: genai.Client
    http: httpx2.AsyncClient
    url: str

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()


def _new_client(endpoint: Endpoint) -> GeminiClient:
    settings = client_settings(httpx2, endpoint)
    timeout: httpx2.Timeout = settings["timeout"]
    host = httpx2.URL(endpoint.base_url).host

    async def complete(request: httpx2.Request) -> None:
        # The SDK knows one limit for the whole call, and its own headers beat a caller's.
        request.extensions["timeout"] = timeout.as_dict()
        if request.headers.get(_KEY) == _NO_KEY:
            del request.headers[_KEY]
        if request.url.host == host:  # files go where the provider says
            for name, value in endpoint.headers:
                request.headers[name] = value

    hooks = settings.pop("event_hooks", {})
    hooks["request"] = [complete]
    # Redirects are not followed: the key's header would go along to any host.
    http = httpx2.AsyncClient(**settings, event_hooks=hooks)
    options = types.HttpOptions(
        base_url=endpoint.base_url,
        api_version=_VERSION,
        httpx_async_client=http,
        # Never used; the SDK would load certificates for one of its own.
        httpx_client=httpx2.Client(transport=httpx2.MockTransport(_not_async)),
        async_client_args={"ssl": settings.get("verify") or False},
    )
    sdk = genai.Client(vertexai=False, api_key=endpoint.api_key or _NO_KEY, http_options=options)
    return GeminiClient(sdk, http, f"{endpoint.base_url.rstrip('/')}/{_VERSION}")


def _not_async(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError(f"the SDK sent {request.method} {request.url} without the event loop")


CLIENTS = ClientPool("massgen_bridge_gemini_clients", _new_client, GeminiClient.aclose)
"""The clients of all agents."""


@asynccontextmanager
async def streamed(
    client: GeminiClient, connection: Connection, body: Mapping[str, Any]
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Ask for an answer and stream its chunks, as they come from JSON.

    The SDK's own method for it makes models of the request and of every chunk, which costs more
    than all the rest and tells nothing more.

    Args:
        client: Sends the request.
        connection: Has the model and the key.
        body: The request; bytes in it become base64.

    Raises:
        google.genai.errors.APIError: The provider refused it, or gave up on the way.
        httpx2.HTTPError: It was not to be reached.
        ProtocolFailed: What it sent is no JSON.
    """
    model = connection.model
    name = model if model.startswith(_FULL_NAMES) else f"models/{model}"
    headers = {"Content-Type": "application/json"}
    if connection.api_key is not None:
        headers[_KEY] = connection.api_key.get_secret_value()
    request = client.http.build_request(
        "POST",
        f"{client.url}/{quote(name)}:streamGenerateContent?alt=sse",
        content=json.dumps(body, default=_in_base64),
        headers=headers,
    )
    response = await client.http.send(request, stream=True)
    try:
        await errors.APIError.raise_for_async_response(response)
        async with aclosing(_chunks(response)) as chunks:
            yield chunks
    finally:
        if not response.is_closed:
            with anyio.CancelScope(shield=True):
                await response.aclose()


def _in_base64(data: object) -> str:
    if not isinstance(data, bytes):
        raise TypeError(f"{type(data).__name__} is nothing that JSON knows")
    return base64.b64encode(data).decode("ascii")


async def _chunks(response: httpx2.Response) -> AsyncGenerator[dict[str, Any]]:
    """The events of a stream; what is none is an error that came in the midst of it, as JSON."""
    data: list[bytes] = []
    stray: list[bytes] = []
    async for line in _lines(response):
        if line.startswith(b"data:"):
            data.append(line[5:])
        elif line:
            if not line.startswith(_NO_DATA):
                stray.append(line)
        elif data:
            yield await _decoded(data, response)
            data.clear()
    for rest in (data, stray):
        if rest:
            yield await _decoded(rest, response)


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Lines without their ends; the HTTP library's own break JSON at further characters."""
    begun: list[bytes] = []
    async for piece in response.aiter_bytes():
        first, *others = piece.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun).rstrip(b"\r")
            begun = [other]
    yield b"".join(begun).rstrip(b"\r")


async def _decoded(data: list[bytes], response: httpx2.Response) -> dict[str, Any]:
    try:
        chunk = json.loads(b"\n".join(data))
    except (ValueError, RecursionError) as error:
        raise ProtocolFailed(f"an event of the stream is no JSON: {error}") from error
    if isinstance(chunk, list) and len(chunk) == 1:
        chunk = chunk[0]
    if not isinstance(chunk, dict):
        raise ProtocolFailed(f"an event of the stream is no object, but {type(chunk).__name__}")
    if isinstance(chunk.get("error"), dict):
        code = chunk["error"].get("code")
        await errors.APIError.raise_error_async(
            code if isinstance(code, int) else 0, chunk, response
        )
    return chunk
