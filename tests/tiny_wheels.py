"""Packages made on the spot, in a folder that is the only place that pip and uv know of."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from base64 import urlsafe_b64encode
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Protocol

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MakeWheel", "only_from", "pack_installed", "write_wheel"]


class MakeWheel(Protocol):
    """Puts a package with one module of its name into a folder."""

    def __call__(self, name: str, version: str = ..., *, needs: tuple[str, ...] = ...) -> Path:
        """Return the wheel."""


def write_wheel(
    folder: Path, name: str, version: str = "1.0", *, needs: tuple[str, ...] = ()
) -> Path:
    """Put a package with one module of its name into a folder."""
    info = f"{name}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {one}\n" for one in needs)
    files = {
        f"{name}/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_sha(text)},{len(text)}\n" for path, text in files.items())
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            wheel.writestr(member, text)
    return path


def pack_installed(folder: Path, *names: str) -> None:
    """Put what is installed here, and all that it needs, into a folder as wheels."""
    waiting, seen = list(names), set[str]()
    while waiting:
        found = distribution(waiting.pop())
        name = canonicalize_name(found.name)
        if name in seen:
            continue
        seen.add(name)
        needs = [Requirement(text) for text in found.requires or ()]
        waiting += [
            one.name for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
        (tag,) = re.findall(r"^Tag: (\S+)", found.read_text("WHEEL") or "", re.MULTILINE)[:1]
        wheel = folder / f"{name.replace('-', '_')}-{found.version}-{tag}.whl"
        with zipfile.ZipFile(wheel, "w") as packed:
            for file in found.files or ():
                if file.suffix != ".pyc" and ".." not in file.parts:
                    packed.write(file.locate(), str(file))


def only_from(folder: Path) -> dict[str, str]:
    """The environment variables that let pip and uv find packages in a folder and nowhere else."""
    return {
        "PIP_NO_INDEX": "1",  # uv is told, too
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": str(folder / "uv"),
    }


def _sha(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={urlsafe_b64encode(digest).decode().rstrip('=')}"
