"""Clients of providers' SDKs, shared by the agents that speak to one endpoint in the same way.

Making a client costs tens of milliseconds, nearly all of it for TLS, so agents share one. A
connection pool looks at all its connections for every request, so not too many share one.

No SDK is imported here: those of OpenAI and Anthropic come from one generator and have the same
names for what is needed of them.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
from anyio import to_thread
from anyio.lowlevel import RunVar

from massgen_bridge.certificates import trusted_certificates
from massgen_bridge.models.addresses import is_plain_loopback
from massgen_bridge.models.tape import Tape, current_tape
from massgen_bridge.models.watching import first_token_hook, hear_quota

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from massgen_bridge.connection import Connection

__all__ = [
    "ClientPool",
    "Endpoint",
    "Lease",
    "ambient_headers",
    "client_settings",
    "transport",
]

_AGENTS_PER_CLIENT = 50
_CONNECT_S = 30.0
# Idle connections go before the other side cuts them: a request that meets the cut is lost, and
# nobody knows whether it arrived. Servers for models on one's own machines wait 5 s as a rule, and
# there a new connection costs next to nothing; balancers of hosted providers wait a minute or more,
# and there a new one costs several ways there and back.
_IDLE_S = 4.0
_IDLE_TLS_S = 45.0

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a client is made from; agents with equal ones can share it.

    Attributes:
        base_url: Where it leads.
        api_key: The key; None for none.
        headers: The connection's own headers, their names in title case.
        timeout_s: Longest wait for bytes, in seconds.
        watches_first_token: Whether the wait for the first token is limited, too.
        tape: What records the calls or answers them; None for the network alone.
    """

    base_url: str
    api_key: str | None = field(repr=False)
    headers: frozenset[tuple[str, str]] = field(repr=False)
    timeout_s: float
    watches_first_token: bool = False
    tape: Tape | None = field(default=None, repr=False)

    @classmethod
    def of(cls, connection: Connection) -> Endpoint:
        """What a connection says of its client."""
        return cls(
            base_url=connection.base_url,
            api_key=connection.api_key.get_secret_value() if connection.api_key else None,
            headers=frozenset((name.title(), value) for name, value in connection.headers.items()),
            timeout_s=connection.timeout_s,
            watches_first_token=connection.first_token_timeout_s is not None,
            tape=current_tape(),
        )

    @property
    def is_keyless(self) -> bool:
        """Whether no request may hold a key: there is none, also among the headers."""
        return self.api_key is None and not self.has_header("Authorization")

    def sent_headers(self, variable: str, omit: object) -> dict[str, Any]:
        """The headers of every request beside the SDK's own; the key goes as a bearer token.

        Args:
            variable: The environment variable from which the SDK takes headers: those are left out.
            omit: What stands for a header that is not to be sent.
        """
        headers = ambient_headers(variable, omit)
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return headers | dict(self.headers)

    def key_header(self, omit: object, *, own_key: bool = False) -> dict[str, Any]:
        """The header of each request so that the SDK sends this key, or none where there is none.

        Args:
            omit: What stands for a header that is not to be sent.
            own_key: Whether the client has another key than this endpoint, or none, since many
                turns share it, each with a key of its own.
        """
        if own_key and self.api_key is not None:
            return {"Authorization": f"Bearer {self.api_key}"}
        return {"Authorization": omit} if self.is_keyless else {}

    def has_header(self, name: str) -> bool:
        """Whether the connection has this header of its own; `name` is in title case."""
        return any(name == own for own, _ in self.headers)


@dataclass(slots=True, eq=False)
class _Shared(Generic[C]):
    client: C
    users: int = 0


class Lease(Generic[C]):
    """One agent's share in a client; the last to give its share back closes the client.

    Attributes:
        client: The client.
        endpoint: What it was made from.
    """

    __slots__ = ("_pool", "_shared", "client", "endpoint")

    def __init__(self, pool: ClientPool[C], endpoint: Endpoint, shared: _Shared[C]) -> None:
        self._pool = pool
        self._shared = shared
        self.client = shared.client
        self.endpoint = endpoint

    async def release(self) -> None:
        """Give the share back; to be called once."""
        await self._pool.give_back(self.endpoint, self._shared)


class ClientPool(Generic[C]):
    """The clients of one SDK; each event loop has its own, as its connections have.

    Args:
        name: Tells this pool from others.
        make: Makes a client.
        close: Closes one.
    """

    def __init__(
        self, name: str, make: Callable[[Endpoint], C], close: Callable[[C], Awaitable[object]]
    ) -> None:
        self._make = make
        self._close = close
        self._clients: RunVar[dict[Endpoint, list[_Shared[C]]]] = RunVar(name)
        self._making: RunVar[anyio.Lock] = RunVar(f"{name} making")

    async def lease(self, connection: Connection) -> Lease[C]:
        """Take a share in a client; call it in the event loop that the client shall work in.

        Where there is none with room, it is made in a thread: it may read certificates from disk.
        """
        endpoint = Endpoint.of(connection)
        shared = self._with_room(endpoint)
        if shared is None:
            lock = self._making.get(None) or anyio.Lock()
            self._making.set(lock)
            async with lock:
                shared = self._with_room(endpoint) or await self._new(endpoint)
        shared.users += 1
        return Lease(self, endpoint, shared)

    def _with_room(self, endpoint: Endpoint) -> _Shared[C] | None:
        same = self._clients.get({}).get(endpoint, ())
        return next((one for one in same if one.users < _AGENTS_PER_CLIENT), None)

    async def _new(self, endpoint: Endpoint) -> _Shared[C]:
        shared = _Shared(await to_thread.run_sync(self._make, endpoint))
        clients = self._clients.get({})
        self._clients.set(clients)
        clients.setdefault(endpoint, []).append(shared)
        return shared

    async def give_back(self, endpoint: Endpoint, shared: _Shared[C]) -> None:
        """Take a share back, and close its client if it was the last."""
        shared.users -= 1
        if shared.users == 0:
            clients = self._clients.get()
            clients[endpoint].remove(shared)
            if not clients[endpoint]:
                del clients[endpoint]
            await self._close(shared.client)

    def users(self) -> list[list[int]]:
        """How many agents share each client of this event loop, by endpoint."""
        return [[one.users for one in same] for same in self._clients.get({}).values()]


def transport(sdk: Any, endpoint: Endpoint) -> dict[str, Any]:
    """What the HTTP client below an SDK's client is made with, as `client_settings` has it.

    Args:
        sdk: The SDK's module.
        endpoint: Where it leads.
    """
    # The majors of an SDK stand on different HTTP libraries; this is the one that it has imported.
    library = type(sdk.DEFAULT_CONNECTION_LIMITS).__module__.partition(".")[0]
    return client_settings(sys.modules[library], endpoint)


def client_settings(http: Any, endpoint: Endpoint) -> dict[str, Any]:
    """What an HTTP client is made with: an asynchronous one, for its hooks are.

    Args:
        http: The HTTP library: `httpx`, or its successor.
        endpoint: Where it leads.
    """
    plain = is_plain_loopback(endpoint.base_url)
    timeout = endpoint.timeout_s
    settings = {
        "limits": _limits(http, endpoint),
        "timeout": http.Timeout(timeout, connect=min(timeout, _CONNECT_S), pool=None),
        "trust_env": not plain,  # no proxy stands before this machine
        "follow_redirects": False,  # HTTP libraries take only some headers with keys off
        # Loading the certificates costs most of the time, and here nobody shows one.
        "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else trusted_certificates(),
    }
    heard: list[Callable[[Any], Awaitable[None]]] = [hear_quota]
    if endpoint.watches_first_token:
        heard.append(first_token_hook(http))
    settings["event_hooks"] = {"response": heard}
    if endpoint.tape is None:
        return settings
    return {
        "event_hooks": settings.pop("event_hooks"),
        "timeout": settings["timeout"],
        "trust_env": False,  # whatever sends in its place sees to proxies
        "follow_redirects": False,
        "transport": endpoint.tape.wire(http, settings, endpoint.base_url),
    }


def _limits(http: Any, endpoint: Endpoint) -> Any:
    """Room for as many calls as the run makes at once; so many connections are kept for the next.

    The connection's own settings bound the calls, and say so when one waits: a bound here would let
    calls queue where nobody sees it.
    """
    encrypted = endpoint.base_url.lower().startswith("https:")
    return http.Limits(
        max_connections=None,
        max_keepalive_connections=None,
        keepalive_expiry=_IDLE_TLS_S if encrypted else _IDLE_S,
    )


def ambient_headers(
    variable: str, omit: object, environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The headers that an SDK takes from an environment variable, as ones to leave out.

    The connection alone says what is sent.

    Args:
        variable: Its name; it holds a header a line.
        omit: What stands for a header that is not to be sent.
        environ: The environment variables; those of this process by default.
    """
    lines = (os.environ if environ is None else environ).get(variable, "").split("\n")
    return {line.partition(":")[0].strip(): omit for line in lines if line.strip()}
