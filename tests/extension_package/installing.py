"""Installs the distributions beside this file as an installer would, without a network."""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent.name for path in HERE.glob("*/pyproject.toml"))


def install(target: Path, *folders: str) -> None:
    """Put distributions into a folder: their packages and the metadata that an installer writes."""
    for folder in folders:
        for package in (HERE / folder).glob("bridge_*"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(package, target / package.name, ignore=ignored)
        write_metadata(HERE / folder / "pyproject.toml", target)


def write_metadata(pyproject: Path, target: Path) -> None:
    """Write what an installer writes of a project: its name, version, needs and entry points."""
    project = tomllib.loads(pyproject.read_text())["project"]
    name, version = project["name"], project["version"]
    metadata = target / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    needed = "".join(f"Requires-Dist: {one}\n" for one in project.get("dependencies", ()))
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}"
    )
    lines = [
        f"{entry} = {value}" for entry, value in project["entry-points"]["massgen_bridge"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(["[massgen_bridge]", *lines, ""]))


@contextmanager
def installed(target: Path, *folders: str) -> Iterator[Path]:
    """Distributions that this process finds; afterwards they are gone and forgotten."""
    install(target, *folders)
    sys.path.insert(0, str(target))
    try:
        yield target
    finally:
        sys.path.remove(str(target))
        for name in [name for name in sys.modules if name.partition(".")[0].startswith("bridge_")]:
            del sys.modules[name]
