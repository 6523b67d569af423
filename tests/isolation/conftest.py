"""Tiny packages in a folder, the only place that pip and uv know of; and one that never answers."""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tiny_wheels import MakeWheel, only_from, write_wheel

from massgen_bridge.isolation.environments import Environments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
    for name, value in only_from(folder).items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def make_wheel(links: Path) -> MakeWheel:
    """Puts a package with one module of its name into the folder."""

    return partial(write_wheel, links)


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
