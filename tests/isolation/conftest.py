"""Tiny packages in a folder, the only place that pip and uv know of; and one that never answers."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
import zipfile
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import pytest

from massgen_bridge.isolation.environments import Environments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class MakeWheel(Protocol):
    def __call__(self, name: str, version: str = ..., *, needs: tuple[str, ...] = ...) -> Path: ...


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of one's own."""
    monkeypatch.setenv("MASSGEN_BRIDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MASSGEN_BRIDGE_INSTALLER", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that packages come from: no index, and no settings of this machine."""
    folder = tmp_path / "links"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # uv is told, too
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return folder


@pytest.fixture
def make_wheel(links: Path) -> MakeWheel:
    """Puts a package with one module of its name into the folder."""

    def make(name: str, version: str = "1.0", *, needs: tuple[str, ...] = ()) -> Path:
        info = f"{name}-{version}.dist-info"
        required = "".join(f"Requires-Dist: {one}\n" for one in needs)
        files = {
            f"{name}/__init__.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + required,
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{path},{_sha(text)},{len(text)}\n" for path, text in files.items())
        path = links / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for member, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
                wheel.writestr(member, text)
        return path

    return make


def _sha(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={urlsafe_b64encode(digest).decode().rstrip('=')}"


class SilentIndex:
    """A package index that takes connections and says nothing."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/simple"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._open.append(self._server.accept()[0])
                self.asked.set()

    def close(self) -> None:
        """Hang up."""
        self._server.close()
        for one in self._open:
            one.close()


@pytest.fixture
def silent_index(links: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentIndex]:
    """Makes an index that never answers the only one."""
    del links
    index = SilentIndex()
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    yield index
    index.close()


@pytest.fixture
def environments() -> Environments:
    """Those of the empty cache."""
    return Environments()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder whose distributions this process finds; afterwards they are forgotten."""
    folder = tmp_path / "site"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0].startswith("bridge_")]:
        del sys.modules[name]
