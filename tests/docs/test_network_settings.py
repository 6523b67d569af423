"""What docs/how-to/use-your-own-model.md says of proxies and certificates, kind by kind."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

import pytest

# By kind: what its address ends with, and the path that it asks.
KINDS = {
    "anthropic": ("", "/v1/messages"),
    "gemini": ("", "/v1beta/models/x:streamGenerateContent?alt=sse"),
    "langchain": ("/v1", "/v1/chat/completions"),
    "openai": ("/v1", "/v1/chat/completions"),
}
CERTIFICATE = Path(__file__).parent / "a_invalid.pem"
SETTINGS = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)

pytestmark = [pytest.mark.timeout(120), pytest.mark.parametrize("kind", KINDS)]


@dataclass(kw_only=True)
class Proxy:
    """Stands before all of the network and refuses every request; `seen` has their first lines."""

    url: str
    seen: list[str] = field(default_factory=list)


class StartProxy(Protocol):
    def __call__(self, *, opens_tls: bool = False) -> Proxy:
        """Start a proxy; `opens_tls`: as in some companies, it shows a certificate of its own."""


@pytest.fixture
def start_proxy() -> Iterator[StartProxy]:
    with ExitStack() as stack:

        def start(*, opens_tls: bool = False) -> Proxy:
            class Handler(BaseHTTPRequestHandler):
                def do_POST(self) -> None:
                    proxy.seen.append(self.requestline)
                    self.rfile.read(int(self.headers["Content-Length"]))
                    self.send_error(401)

                def do_CONNECT(self) -> None:
                    proxy.seen.append(self.requestline)
                    if not opens_tls:
                        self.send_error(502)
                        return
                    self.send_response_only(200)
                    self.end_headers()
                    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    tls.load_cert_chain(CERTIFICATE)
                    with (
                        suppress(ssl.SSLError),  # the client left: it does not trust us
                        tls.wrap_socket(self.request, server_side=True) as self.request,
                    ):
                        self.setup()
                        self.handle_one_request()
                        self.finish()

                def log_message(self, *_arguments: object) -> None:
                    pass

            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            proxy = Proxy(url=f"http://127.0.0.1:{server.server_port}")
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(server.shutdown)
            return proxy

        yield start


def _failure(kind: str, host: str, folder: Path, **settings: str) -> str:
    """Run one agent in a process of its own; what its only call failed with."""
    url = host + KINDS[kind][0]
    model = {"provider": "vllm", "base_url": url, "model": "x", "retry": {"attempts": 1}}
    if kind == "gemini":
        model["protocol"] = "gemini"
    config = {
        "version": 1,
        "models": {"m": model},
        "agents": [{"id": "a", "backend": {"type": kind, "model": "m"}}],
        "strategy": "single",
    }
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    own = {name: value for name, value in os.environ.items() if name.upper() not in SETTINGS}
    command = Path(sys.executable).parent / "massgen-bridge"
    done = subprocess.run(
        [command, "run", str(file), "Q?", "--no-journal", "--output", "json"],
        env={**own, "HOME": str(folder), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    (error,) = json.loads(done.stdout)["errors"]
    return f"{error['kind']}: {error['message']}"


def test_http_goes_through_the_proxy(kind: str, start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy()
    _failure(kind, "http://a.invalid", tmp_path, HTTP_PROXY=proxy.url)
    assert proxy.seen == [f"POST http://a.invalid{KINDS[kind][1]} HTTP/1.1"]


def test_https_goes_through_the_proxy(kind: str, start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy()
    _failure(kind, "https://a.invalid", tmp_path, HTTPS_PROXY=proxy.url)
    assert proxy.seen == ["CONNECT a.invalid:443 HTTP/1.1"]


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        ("http://a.invalid", {"NO_PROXY": "a.invalid"}),
        ("http://127.0.0.1:9", {}),
    ],
    ids=["NO_PROXY", "this machine"],
)
def test_what_the_proxy_never_sees(
    kind: str, host: str, settings: dict[str, str], start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy()
    told = _failure(kind, host, tmp_path, HTTP_PROXY=proxy.url, **settings)
    assert told.startswith("network: ")
    assert proxy.seen == []


@pytest.mark.parametrize(
    ("variables", "works"),
    [
        (("SSL_CERT_FILE",), True),
        (("REQUESTS_CA_BUNDLE",), True),
        (("CURL_CA_BUNDLE",), True),
        ((), False),
    ],
)
def test_a_proxy_that_opens_tls(
    kind: str,
    variables: tuple[str, ...],
    *,
    works: bool,
    start_proxy: StartProxy,
    tmp_path: Path,
) -> None:
    proxy = start_proxy(opens_tls=True)
    settings = {"HTTPS_PROXY": proxy.url, **dict.fromkeys(variables, str(CERTIFICATE))}
    told = _failure(kind, "https://a.invalid", tmp_path, **settings)
    assert ("auth: " in told, "CERTIFICATE_VERIFY_FAILED" in told) == (works, not works)
    passed = [f"POST {KINDS[kind][1]} HTTP/1.1"] if works else []
    assert proxy.seen == ["CONNECT a.invalid:443 HTTP/1.1", *passed]


def test_a_variable_that_names_nothing_is_named(kind: str, tmp_path: Path) -> None:
    told = _failure(kind, "https://a.invalid", tmp_path, REQUESTS_CA_BUNDLE="/no/such.pem")
    assert "REQUESTS_CA_BUNDLE names '/no/such.pem', which is no file of certificates" in told
