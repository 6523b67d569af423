"""Google's SDK, fed by the connection alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import cast

import anyio
import httpx2
from google import genai
from google.genai import types

from massgen_bridge import Connection
from massgen_bridge.adapting import ClientPool, Endpoint, client_settings

__all__ = ["CLIENTS", "GeminiClient", "own_options", "streamed"]

_KEY = "x-goog-api-key"
_NO_KEY = "none"
_VERSION = "v1beta"

# The SDK gives no way to close a stream that is not read to its end.
_OPENED: ContextVar[list[httpx2.Response] | None] = ContextVar(
    "massgen_bridge_gemini_opened", default=None
)


@dataclass(frozen=True, slots=True, eq=False)
class GeminiClient:
    """A client of the SDK and what it sends by, which it does not close by itself."""

    sdk: genai.Client
    http: httpx2.AsyncClient

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

    async def remember(response: httpx2.Response) -> None:
        opened = _OPENED.get()
        if opened is not None:
            opened.append(response)

    hooks = settings.pop("event_hooks", {})
    hooks["request"] = [complete]
    hooks["response"] = [remember, *hooks.get("response", ())]
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
    return GeminiClient(sdk, http)


def _not_async(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError(f"the SDK sent {request.method} {request.url} without the event loop")


CLIENTS = ClientPool("massgen_bridge_gemini_clients", _new_client, GeminiClient.aclose)
"""The clients of all agents."""


def own_options(connection: Connection) -> types.HttpOptions | None:
    """What each request of a connection needs whose key is not the client's."""
    if connection.api_key is None:
        return None
    return types.HttpOptions(headers={_KEY: connection.api_key.get_secret_value()})


def _as_given(contents: Sequence[types.Content]) -> types.ContentListUnionDict:
    """The same in the form that the SDK takes soonest: it tries each model for what it might be."""
    if len(contents) == 1:
        return contents[0]
    return [cast("types.ContentDict", one.model_dump(exclude_none=True)) for one in contents]


@asynccontextmanager
async def streamed(
    client: GeminiClient,
    *,
    model: str,
    contents: Sequence[types.Content],
    config: types.GenerateContentConfig | None,
) -> AsyncIterator[AsyncIterator[types.GenerateContentResponse]]:
    """Ask for an answer and stream it; what was opened for it is closed in the end.

    Args:
        client: Sends the request.
        model: The model.
        contents: The conversation.
        config: Everything else, if there is anything.
    """
    opened: list[httpx2.Response] = []
    token = _OPENED.set(opened)
    try:
        yield await client.sdk.aio.models.generate_content_stream(
            model=model, contents=_as_given(contents), config=config
        )
    finally:
        _OPENED.reset(token)
        left = [response for response in opened if not response.is_closed]
        if left:
            with anyio.CancelScope(shield=True):
                for response in left:
                    await response.aclose()
