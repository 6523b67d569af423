"""Addresses of model servers on this machine, and how proxies must leave them alone.

A proxy from the environment is a trap for them: SDKs built on httpx send requests for 127.0.0.1
through HTTP_PROXY as well, unless NO_PROXY says otherwise.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "host_within",
    "is_loopback",
    "is_plain_loopback",
    "no_proxy_for_loopback",
    "origin_of",
    "within_url",
]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def host_within(host: str, hosts: Iterable[str]) -> bool:
    """Whether `host` is one of `hosts`, or a name below one of them."""
    return any(host == known or host.endswith(f".{known}") for known in hosts)


def is_loopback(url: str) -> bool:
    """Whether the host of `url` is this machine, by its name or number."""
    host = urlsplit(url).hostname
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_plain_loopback(url: str) -> bool:
    """Whether `url` is unencrypted on this machine, so that neither proxies nor certificates count.

    TLS to this machine is another matter: its certificate may be one of the environment's.
    """
    return urlsplit(url).scheme == "http" and is_loopback(url)


def no_proxy_for_loopback(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set so that no HTTP client sends loopback requests through a proxy.

    Empty where no proxy is set, or where NO_PROXY covers loopback already. Both spellings are
    given, since clients differ in which one they prefer.
    """
    if not any(environ.get(name) or environ.get(name.lower()) for name in _PROXIES):
        return {}
    # The lower-case name wins where both are set, in curl as in Python.
    in_force = environ.get("no_proxy", environ.get("NO_PROXY", ""))
    hosts = [host.strip() for host in in_force.split(",") if host.strip()]
    missing = [host for host in _LOOPBACK if host not in hosts]
    if "*" in hosts or not missing:
        return {}
    value = ",".join([*hosts, *missing])
    return {"NO_PROXY": value, "no_proxy": value}


def origin_of(url: str) -> str:
    """Scheme, host and port of `url`: what of an address is no secret and says who is meant."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{parts.port}" if parts.port else "")


def within_url(url: str) -> Iterator[str]:
    """What of an address may be secret: user, password and the values of its query."""
    parts = urlsplit(url)
    yield from (unquote(one) for one in (parts.username, parts.password) if one)
    yield from (value for _, value in parse_qsl(parts.query))
