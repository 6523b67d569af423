"""SDK clients, shared by the agents that speak to one endpoint in the same way.

Making a client costs tens of milliseconds, nearly all of it for TLS, so agents share one. A
connection pool looks at all its connections for every request, so not too many share one.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import openai
from anyio.lowlevel import RunVar
from openai import RequestOptions

from massgen_bridge import Connection
from massgen_bridge.adapting import is_plain_loopback, trusted_certificates

__all__ = ["Lease"]

_CONNECT_S = 30.0
_AGENTS_PER_CLIENT = 50
_NO_KEY = "none"


@dataclass(frozen=True, slots=True)
class _Key:
    base_url: str
    api_key: str | None = field(repr=False)
    headers: frozenset[tuple[str, str]] = field(repr=False)
    timeout_s: float


@dataclass(slots=True, eq=False)
class _Shared:
    client: openai.AsyncOpenAI
    users: int = 0


# Connections belong to an event loop, so each loop has its own clients.
_CLIENTS: RunVar[dict[_Key, list[_Shared]]] = RunVar("massgen_bridge_openai_clients")


class Lease:
    """One agent's share in a client; the last to give its share back closes the client."""

    def __init__(self, connection: Connection) -> None:
        """Take a share; call it in the event loop that the client shall work in."""
        self._key = _Key(
            base_url=connection.base_url,
            api_key=connection.api_key.get_secret_value() if connection.api_key else None,
            headers=frozenset((n.title(), value) for n, value in connection.headers.items()),
            timeout_s=connection.timeout_s,
        )
        self._clients = _CLIENTS.get({})
        _CLIENTS.set(self._clients)
        same = self._clients.setdefault(self._key, [])
        shared = next((one for one in same if one.users < _AGENTS_PER_CLIENT), None)
        if shared is None:
            shared = _Shared(_new_client(self._key))
            same.append(shared)
        shared.users += 1
        self._shared = shared
        self._options = _request_options(self._key)

    async def stream(self, request: Mapping[str, Any]) -> openai.AsyncStream[object]:
        """Ask for an answer and stream its chunks, as they come from JSON.

        The SDK's own method for it makes models of the request and of every chunk, which costs
        several times as much as all the rest and tells nothing more.

        Args:
            request: The body.
        """
        return await self._shared.client.post(
            "/chat/completions",
            cast_to=object,
            body=request,
            options=self._options,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )

    async def release(self) -> None:
        """Give the share back; to be called once."""
        self._shared.users -= 1
        if self._shared.users == 0:
            same = self._clients[self._key]
            same.remove(self._shared)
            if not same:
                del self._clients[self._key]
            await self._shared.client.close()


def _new_client(key: _Key) -> openai.AsyncOpenAI:
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
        max_connections=None, max_keepalive_connections=_AGENTS_PER_CLIENT
    )
    plain = is_plain_loopback(key.base_url)
    timeout = openai.Timeout(key.timeout_s, connect=min(key.timeout_s, _CONNECT_S), pool=None)
    client = openai.AsyncOpenAI(
        base_url=key.base_url,
        api_key=key.api_key or _NO_KEY,
        default_headers=_headers(key),
        timeout=timeout,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(
            limits=limits,
            timeout=timeout,
            trust_env=not plain,  # no proxy stands before this machine
            # Loading the certificates costs most of the time, and here nobody shows one.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else trusted_certificates(),
        ),
    )
    # The SDK takes these from the environment; the connection alone says what is sent.
    client.organization = client.project = None
    if hasattr(client, "admin_api_key"):
        client.admin_api_key = None
    return client


def _headers(key: _Key) -> Mapping[str, str]:
    """The connection's headers, and nothing of what the SDK finds in the environment."""
    ambient = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    headers: dict[str, Any] = {line.partition(":")[0].strip(): openai.Omit() for line in ambient}
    if key.api_key is not None:
        headers["Authorization"] = f"Bearer {key.api_key}"
    return headers | dict(key.headers)


def _request_options(key: _Key) -> RequestOptions:
    if key.api_key is not None or any(name == "Authorization" for name, _ in key.headers):
        return {}
    return {"headers": {"Authorization": openai.Omit()}}  # there is no key, so none is sent
