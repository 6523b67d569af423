"""Clients: shared by agents whose connections are alike, and closed by the last of them."""

from __future__ import annotations

import ssl
import threading
import time
from typing import Any

import anyio
import pytest

from massgen_bridge.models.sdk_clients import (
    ClientPool,
    Endpoint,
    ambient_headers,
    client_settings,
)
from massgen_bridge.testing.agents import TEST_KEY, connection_to

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9/v1"


class _Client:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.closed = False

    async def close(self) -> None:
        self.closed = True


def _pool() -> ClientPool[_Client]:
    return ClientPool("tests_sdk_clients", _Client, _Client.close)


async def test_alike_connections_share_a_client_until_the_last_has_gone() -> None:
    pool = _pool()
    first, second = [await pool.lease(connection_to(URL)) for _ in range(2)]
    assert first.client is second.client
    await first.release()
    assert not second.client.closed
    await second.release()
    assert second.client.closed
    assert pool.users() == []


@pytest.mark.parametrize(
    "other",
    [
        {"api_key": "another"},
        {"api_key": None},
        {"headers": {"x-team": "red"}},
        {"timeout_s": 7.0},
    ],
)
async def test_unlike_connections_share_nothing(other: dict[str, Any]) -> None:
    pool = _pool()
    leases = [await pool.lease(connection_to(URL, **more)) for more in ({}, other)]
    assert pool.users() == [[1], [1]]
    for lease in leases:
        await lease.release()
    assert pool.users() == []


async def test_names_of_headers_are_alike_in_any_case() -> None:
    pool = _pool()
    leases = [await pool.lease(connection_to(URL, headers={n: "1"})) for n in ("x-team", "X-Team")]
    assert pool.users() == [[2]]
    for lease in leases:
        assert lease.endpoint.has_header("X-Team")
        await lease.release()


async def test_not_too_many_share_a_client() -> None:
    """A connection pool looks at all its connections for every request."""
    pool = _pool()
    leases = [await pool.lease(connection_to(URL)) for _ in range(120)]
    assert pool.users() == [[50, 50, 20]]
    await leases.pop(0).release()
    leases.append(await pool.lease(connection_to(URL)))
    assert pool.users() == [[50, 50, 20]], "room is used again"
    for lease in leases:
        await lease.release()


async def test_agents_that_ask_at_once_share_a_client_that_is_made_off_the_loop() -> None:
    made: list[int] = []

    def make(endpoint: Endpoint) -> _Client:
        time.sleep(0.05)  # in the loop this would raise
        made.append(threading.get_ident())
        return _Client(endpoint)

    pool = ClientPool("tests_sdk_clients_slow", make, _Client.close)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(pool.lease, connection_to(URL))
    assert pool.users() == [[20]]
    assert len(made) == 1
    assert made != [threading.get_ident()]


def test_each_event_loop_has_clients_of_its_own() -> None:
    pool = _pool()

    async def main() -> _Client:
        assert pool.users() == []
        return (await pool.lease(connection_to(URL))).client

    assert anyio.run(main) is not anyio.run(main)


async def test_a_lease_shows_no_key() -> None:
    lease = await _pool().lease(connection_to(URL, headers={"X-Key": TEST_KEY}))
    assert TEST_KEY not in f"{lease!r} {lease.endpoint!r}"
    await lease.release()


class _Parts:
    def __init__(self, *whole: float, **parts: float | None) -> None:
        self.whole = whole
        self.parts = parts


class _Http:
    """The names that the HTTP libraries have for what is needed of them."""

    Limits = _Parts
    Timeout = _Parts


@pytest.mark.parametrize(
    ("url", "trust_env", "idle_s"),
    [
        (URL, False, 4),
        ("http://model.example.com/v1", True, 4),
        ("https://127.0.0.1:9/v1", True, 45),
        ("HTTPS://api.example.com/v1", True, 45),
    ],
)
def test_proxies_and_certificates_count_but_for_plain_text_on_this_machine(
    url: str, idle_s: float, *, trust_env: bool
) -> None:
    settings = client_settings(_Http, Endpoint.of(connection_to(url, timeout_s=90)))
    assert settings["trust_env"] is trust_env
    assert isinstance(settings["verify"], ssl.SSLContext) or trust_env
    timeout, limits = settings["timeout"], settings["limits"]
    assert (timeout.whole, timeout.parts) == ((90,), {"connect": 30, "pool": None})
    assert limits.parts == {
        "max_connections": None,
        "max_keepalive_connections": None,
        "keepalive_expiry": idle_s,
    }


def test_headers_of_the_environment_are_left_out() -> None:
    environ = {"SDK_HEADERS": "X-One: a\n\nx-two:b:c"}
    assert ambient_headers("SDK_HEADERS", None, environ) == {"X-One": None, "x-two": None}
    assert ambient_headers("SDK_HEADERS", None, {}) == {}


def test_the_connection_alone_says_what_headers_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDK_HEADERS", "X-One: a")
    plain = Endpoint.of(connection_to(URL, api_key="k", headers={"x-team": "red"}))
    assert plain.sent_headers("SDK_HEADERS", None) == {
        "X-One": None,
        "Authorization": "Bearer k",
        "X-Team": "red",
    }
    assert not plain.is_keyless
    keyless = Endpoint.of(connection_to(URL, api_key=None))
    assert keyless.sent_headers("SDK_HEADERS", None) == {"X-One": None}
    assert keyless.is_keyless
    own = Endpoint.of(connection_to(URL, api_key=None, headers={"authorization": "Basic x"}))
    assert not own.is_keyless
