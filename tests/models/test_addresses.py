from __future__ import annotations

from urllib.request import proxy_bypass

import pytest

from massgen_bridge.models.addresses import (
    host_within,
    is_loopback,
    no_proxy_for_loopback,
    origin_of,
)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:11434/v1",
        "http://127.0.0.1/v1",
        "http://127.9.9.9:80",
        "http://[::1]:8000",
        "https://model.localhost",
        "http://LOCALHOST",
    ],
)
def test_this_machine_is_loopback(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "http://localhost.example.com",
        "https://example.com/localhost",
        "http://127.0.0.1.example.com",
        "no address",
        "",
    ],
)
def test_everything_else_is_not(url: str) -> None:
    assert not is_loopback(url)


def test_the_origin_of_an_address_holds_no_secret() -> None:
    assert origin_of("https://me:secret@api.example.com/v1/secret?key=secret") == (
        "https://api.example.com"
    )
    assert origin_of("http://[::1]:8000/v1") == "http://[::1]:8000"


def test_a_host_is_within_itself_and_within_its_parents() -> None:
    assert host_within("api.example.com", ["api.example.com"])
    assert host_within("eu.api.example.com", ["api.example.com"])
    assert not host_within("evil-api.example.com", ["api.example.com"])
    assert not host_within("example.com", ["api.example.com"])
    assert not host_within("api.example.com.evil.org", ["api.example.com"])


def test_without_a_proxy_nothing_has_to_change() -> None:
    assert no_proxy_for_loopback({"NO_PROXY": "example.com", "HTTP_PROXY": ""}) == {}


@pytest.mark.parametrize("covered", ["*", "::1, localhost,127.0.0.1", "example.com,*"])
def test_nothing_changes_where_loopback_is_left_alone_already(covered: str) -> None:
    assert no_proxy_for_loopback({"http_proxy": "http://proxy", "NO_PROXY": covered}) == {}


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_PROXY": "http://proxy:3128"},
        {"all_proxy": "http://proxy:3128"},
        {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "intra.example.com, 10.0.0.0/8"},
        {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "127.0.0.1"},
        {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "::1,localhost,127.0.0.1", "no_proxy": ""},
        {"HTTP_PROXY": "http://p", "NO_PROXY": "127.0.0.1", "no_proxy": "intra.example.com"},
    ],
)
def test_afterwards_no_client_asks_a_proxy_for_loopback(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = no_proxy_for_loopback(environ)

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in {**environ, **changes}.items():
        monkeypatch.setenv(name, value)
    assert all(proxy_bypass(host) for host in ("127.0.0.1", "localhost", "::1"))
    assert not proxy_bypass("api.example.com")
    if "intra" in str(environ):
        assert proxy_bypass("intra.example.com")
