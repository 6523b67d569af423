"""The HTTP clients by which the gateway asks models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import httpx2

from massgen_bridge.models.sdk_clients import ClientPool, Endpoint, client_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from massgen_bridge.connection import Connection
    from massgen_bridge.models.sdk_clients import Lease

__all__ = ["Upstream", "headers_to_client", "headers_to_model"]

# The connection alone says where a request goes and by whose account; the rest is the client's.
_TO_MODEL: Final = frozenset(
    {"accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta", "user-agent"}
)
_NOT_TO_CLIENT: Final = frozenset(
    {
        "connection",
        "content-encoding",  # decoded on the way
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-should-retry",
    }
)
_ANTHROPIC_VERSION: Final = "2023-06-01"


def _new_client(endpoint: Endpoint) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(**client_settings(httpx2, endpoint))


_CLIENTS = ClientPool("massgen_bridge_gateway_clients", _new_client, httpx2.AsyncClient.aclose)


class Upstream:
    """A client for each agent and endpoint, kept over turns."""

    def __init__(self) -> None:
        self._leases: dict[tuple[str, Endpoint], Lease[httpx2.AsyncClient]] = {}
        self._leasing = anyio.Lock()

    async def client(self, agent_id: str, connection: Connection) -> httpx2.AsyncClient:
        """The client for an agent's requests."""
        key = agent_id, Endpoint.of(connection)
        lease = self._leases.get(key)
        if lease is None:
            async with self._leasing:
                lease = self._leases.get(key)
                if lease is None:
                    lease = self._leases[key] = await _CLIENTS.lease(connection)
        return lease.client

    async def aclose(self) -> None:
        """Give all clients back."""
        while self._leases:
            _, lease = self._leases.popitem()
            await lease.release()


def headers_to_model(given: Mapping[str, str], connection: Connection) -> dict[str, str]:
    """The headers of a request as they go to the model.

    Args:
        given: Those of the client, their names in lower case.
        connection: Has the key, and headers of its own.
    """
    headers = {name: value for name, value in given.items() if name in _TO_MODEL}
    headers.setdefault("content-type", "application/json")
    headers["accept-encoding"] = "identity"
    if connection.protocol == "messages":
        headers.setdefault("anthropic-version", _ANTHROPIC_VERSION)
    if connection.api_key is not None:
        key = connection.api_key.get_secret_value()
        if connection.protocol == "gemini":
            headers["x-goog-api-key"] = key
        else:
            headers["authorization"] = f"Bearer {key}"
    return headers | {name.lower(): value for name, value in connection.headers.items()}


def headers_to_client(given: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers of an answer as they go to the client, who is not to ask again by itself."""
    kept = [(name, value) for name, value in given if name.lower() not in _NOT_TO_CLIENT]
    return [*kept, ("x-should-retry", "false")]
