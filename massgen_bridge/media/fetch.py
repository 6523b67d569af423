"""Files from the web, without a way into the network that this machine is in.

An address is resolved once, what it resolves to is checked, and the connection goes to exactly
that; each redirect anew.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urljoin, urlsplit

import anyio
from anyio import to_thread

from massgen_bridge.certificates import trusted_certificates
from massgen_bridge.errors import MediaError
from massgen_bridge.media.files import LARGEST_FILE, part_of_bytes

if TYPE_CHECKING:
    import httpx2

    from massgen_bridge.agent import InputKind
    from massgen_bridge.messages import MediaPart

__all__ = ["Allow", "Fetcher", "fetch", "is_public"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Allow = Callable[[Address], bool]
"""Says whether a file may be fetched from an address."""

_MOST_S: Final = 30.0
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
_OK: Final = 200
_SHOWN: Final = 120
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
# Beside what Python calls private, in all its versions: what the registries of special addresses
# say, and the public number by which an Azure machine learns about itself.
_INTERNAL: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, also where it holds another within.

    Private, loopback, link-local, shared, multicast and reserved ones are not; so are not those
    by which a cloud's machines learn their keys.
    """
    if isinstance(address, ipaddress.IPv6Address):
        within = _within(address)
        if within:
            return all(map(is_public, within))
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _INTERNAL)
    )


def _within(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses that packets to an IPv6 address may end at."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64 or address in _COMPATIBLE:
        return (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF),)
    return ()


async def fetch(
    url: str,
    *,
    kind: InputKind | None = None,
    name: str | None = None,
    largest: int = LARGEST_FILE,
    within_s: float = _MOST_S,
    allow: Allow = is_public,
) -> MediaPart:
    """Fetch a file from the web.

    Args:
        url: Beginning with `http://` or `https://`.
        kind: What it has to be; None: whatever it is.
        name: What it is called; by default the last part of the address's path.
        largest: Most bytes that it may have.
        within_s: Seconds for all of it, redirects included.
        allow: Whether it may come from an address; each one that a name resolves to is asked for.

    Returns:
        A part with its bytes, of the type that they say themselves.

    Raises:
        MediaError: It is not there, too large, too slow, of another kind, or where nothing may be
            fetched from.
    """
    shown = repr(url if len(url) <= _SHOWN else f"{url[:_SHOWN]}…")
    with anyio.move_on_after(within_s):
        try:
            data = await _followed(url, largest, allow)
        except MediaError as error:
            raise MediaError(f"cannot fetch {shown}: {error.message}") from None
        name = name or urlsplit(url).path.rpartition("/")[2] or None
        made = partial(part_of_bytes, data, name=name, kind=kind, where=f"what is at {shown}")
        return await to_thread.run_sync(made)
    raise MediaError(f"cannot fetch {shown}: it took longer than {within_s:g} s")


async def _followed(url: str, largest: int, allow: Allow) -> bytes:
    import httpx2  # noqa: PLC0415 - most runs fetch nothing

    # Loading certificates takes long, and reads files.
    verify = await to_thread.run_sync(_certificates)
    async with httpx2.AsyncClient(verify=verify, timeout=None, follow_redirects=False) as client:
        for _ in range(_MOST_REDIRECTS + 1):
            host, target = await _checked(url, allow)
            request = client.build_request(
                "GET",
                target,
                headers={"Host": host, "Accept-Encoding": "identity", "Accept": "*/*"},
                # The certificate has to be that of the name, not of the number.
                extensions={"sni_hostname": urlsplit(url).hostname},
            )
            try:
                response = await client.send(request, stream=True)
                try:
                    if response.status_code not in _REDIRECTS:
                        return await _read(response, largest)
                finally:
                    await response.aclose()
            except httpx2.HTTPError as error:
                raise MediaError(str(error) or type(error).__name__) from None
            url = _redirected(url, response.headers.get("location", ""))
    raise MediaError(f"it is redirected more than {_MOST_REDIRECTS} times")


def _certificates() -> ssl.SSLContext:
    found = trusted_certificates()
    return ssl.create_default_context() if isinstance(found, bool) else found


def _redirected(url: str, location: str) -> str:
    if not location:
        raise MediaError("it is redirected to nowhere")
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise MediaError("it is redirected to where it would come in clear text")
    return target


async def _checked(url: str, allow: Allow) -> tuple[str, str]:
    """The value of the Host header, and the address with a number in place of the host's name."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise MediaError(f"it is no address: {error}") from None
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        raise MediaError("it is no address of the form https://host/path, or leads to one")
    found = await _resolved(host, port or _PORTS[parts.scheme])
    for address in found:
        if not allow(address):
            _refuse(host, address)
    number = f"[{found[0]}]" if found[0].version == 6 else str(found[0])  # noqa: PLR2004 - IPv6
    netloc = f"{number}:{port}" if port else number
    return parts.netloc, parts._replace(netloc=netloc, fragment="").geturl()


def _refuse(host: str, address: Address) -> NoReturn:
    found = "" if host == str(address) else f"{address}, which is "
    raise MediaError(
        f"{host!r} is {found}not on the open internet; download the file, and give its path"
    )


async def _resolved(host: str, port: int) -> list[Address]:
    try:
        found = await anyio.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise MediaError(f"there is no host {host!r} ({error})") from None
    # A number may have the name of a network interface behind it.
    numbers = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    return [ipaddress.ip_address(number) for number in numbers]


async def _read(response: httpx2.Response, largest: int) -> bytes:
    if response.status_code != _OK:
        raise MediaError(f"the answer is {response.status_code} {response.reason_phrase}".rstrip())
    if response.headers.get("content-encoding", "identity") != "identity":
        raise MediaError("it comes packed, which was not asked for")
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length) > largest:
        raise MediaError(f"it has {int(length):,} bytes; at most {largest:,} are fetched")
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > largest:
            raise MediaError(f"it has more than the {largest:,} bytes that are fetched at most")
    return bytes(data)


class Fetcher:
    """Fetches the files of a run, each once.

    Args:
        allow: As for `fetch`.
    """

    def __init__(self, *, allow: Allow = is_public) -> None:
        self._allow = allow
        self._done: dict[str, MediaPart | MediaError] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def __call__(self, part: MediaPart) -> MediaPart:
        """The part with its bytes in place of its address.

        Raises:
            MediaError: They cannot be fetched.
        """
        url = part.url
        if url is None:
            return part
        async with self._locks.setdefault(url, anyio.Lock()):
            if url not in self._done:
                try:
                    self._done[url] = await fetch(
                        url, kind=part.type, name=part.name, allow=self._allow
                    )
                except MediaError as error:
                    self._done[url] = error
        done = self._done[url]
        if isinstance(done, MediaError):
            raise MediaError(done.message)
        return done
