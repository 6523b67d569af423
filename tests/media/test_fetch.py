"""Files from the web: within limits, and never from the network around this machine."""

from __future__ import annotations

import ipaddress
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from massgen_bridge.errors import MediaError
from massgen_bridge.media.fetch import Address, fetch, is_public
from massgen_bridge.messages import ImagePart
from massgen_bridge.testing.pictures import PICTURES, make

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

PNG = make(PICTURES[0])


class _Files(BaseHTTPRequestHandler):
    """What is there, by its path."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        match path:
            case "/cat.jpg":
                self._send(200, PNG)
            case "/page":
                self._send(200, b"<html>hello</html>")
            case "/to":
                self.send_response(302)
                self.send_header("Location", query)
                self.end_headers()
            case "/host":
                self._send(200, self.headers["Host"].encode())
            case "/long":
                self._send(200, b"", length=10**12)
            case "/endless":
                self.send_response(200)
                self.end_headers()
                self._drip(bytes(65536), 0)
            case "/slow":
                self.send_response(200)
                self.end_headers()
                self._drip(b"x", 0.05)
            case "/packed":
                self._send(200, b"", encoding="gzip")
            case _:
                self._send(404, b"")

    def _send(
        self, status: int, body: bytes, *, length: int | None = None, encoding: str = "identity"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, piece: bytes, wait_s: float) -> None:
        try:
            while True:
                self.wfile.write(piece)
                time.sleep(wait_s)
        except OSError:
            return  # whoever asked has heard enough

    def log_message(self, *_args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    block_on_close = True


@contextmanager
def files() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Files) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def anywhere(_address: Address) -> bool:
    return True


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
    ],
)
def test_what_is_not_on_the_open_internet_is_known(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_on_the_open_internet_is_known(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x.png",
        "http://localhost:8080/x.png",
        "http://2130706433/x.png",
        "http://0x7f.1/x.png",
        "http://[::1]/x.png",
        "http://[::ffff:10.0.0.1]/x.png",
        "http://[fe80::1%25lo]/x.png",
        "https://169.254.169.254/latest/meta-data",
    ],
)
async def test_nothing_is_fetched_from_within(url: str) -> None:
    with pytest.raises(MediaError, match=r"not on the open internet|there is no host"):
        await fetch(url)


async def test_a_file_is_what_its_content_says() -> None:
    with files() as base:
        part = await fetch(f"{base}/cat.jpg", kind="image", allow=anywhere)
        assert part == ImagePart(media_type="image/png", data=PNG, name="cat.jpg")
        with pytest.raises(MediaError, match="is no picture: its content is a document"):
            await fetch(f"{base}/page", kind="image", allow=anywhere)
        named = await fetch(f"{base}/host", allow=anywhere)
        assert (named.data or b"").decode() == base.removeprefix("http://")


async def test_each_redirect_is_looked_at() -> None:
    with files() as base:
        port = base.rpartition(":")[2]
        part = await fetch(f"{base}/to?/to?/cat.jpg", kind="image", allow=anywhere)
        assert part.data == PNG

        def first_only(address: Address) -> bool:
            return str(address) == "127.0.0.1"

        for target, told in (
            (f"http://127.0.0.2:{port}/cat.jpg", "'127.0.0.2' is not on"),
            (f"http://[::1]:{port}/cat.jpg", "'::1' is not on"),
            ("file:///etc/passwd", "it is no address of the form"),
            ("http://me@127.0.0.1/x", "it is no address of the form"),
            ("", "it is redirected to nowhere"),
        ):
            with pytest.raises(MediaError, match=told):
                await fetch(f"{base}/to?{target}", allow=first_only)
        loop = "/to?" * 7 + "/cat.jpg"
        with pytest.raises(MediaError, match="redirected more than 5 times"):
            await fetch(base + loop, allow=anywhere)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/none", "the answer is 404"),
        ("/long", "it has 1,000,000,000,000 bytes; at most 100,000 are fetched"),
        ("/endless", "it has more than the 100,000 bytes"),
        ("/slow", "it took longer than 0.3 s"),
        ("/packed", "it comes packed"),
    ],
)
async def test_what_is_too_much_or_not_there_is_told(path: str, told: str) -> None:
    within_s = 0.3 if path == "/slow" else 20
    with files() as base, pytest.raises(MediaError, match=told) as caught:
        await fetch(base + path, largest=100_000, within_s=within_s, allow=anywhere)
    assert f"cannot fetch '{base}{path}'" in str(caught.value)


async def test_a_host_that_is_not_there_is_told() -> None:
    with pytest.raises(MediaError, match=r"there is no host 'nobody\.invalid'"):
        await fetch("https://nobody.invalid/x.png")
    with files() as base:
        gone = base
    with pytest.raises(MediaError, match="cannot fetch"):
        await fetch(f"{gone}/x.png", allow=anywhere)
