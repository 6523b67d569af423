"""How light the core is: what an empty environment holds once its wheel is installed.

The wheel is built from this checkout and installed alone, with the releases of the lock file.
Packages are counted by their metadata, the core itself included; sizes are those of all files
under site-packages, as installed: uv compiles no bytecode and installs no pip.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import figure

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

__all__ = ["contents", "measure"]

_ROOT = Path(__file__).parents[2]


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the core's environment.

    Args:
        pairs: Of no meaning here: it is counted once.
    """
    del pairs
    with tempfile.TemporaryDirectory() as folder:
        packages, size, largest = contents(_installed(Path(folder)))
    return [
        figure("core_packages", "packages of the core alone", [packages], goal=25),
        figure("core_size", "MB of the core alone", [size / 1e6], goal=45, largest_mb=largest),
    ]


def contents(site_packages: Path) -> tuple[int, int, dict[str, float]]:
    """What is installed there.

    Returns:
        How many packages, how many bytes, and the five largest folders in MB.
    """
    packages = len(list(site_packages.glob("*.dist-info")))
    sizes: dict[str, int] = {}
    for path in site_packages.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            top = path.relative_to(site_packages).parts[0]
            sizes[top] = sizes.get(top, 0) + path.stat().st_size
    by_size = sorted(sizes.items(), key=lambda item: item[1], reverse=True)
    largest = {name: round(size / 1e6, 1) for name, size in by_size[:5]}
    return packages, sum(sizes.values()), largest


def _installed(folder: Path) -> Path:
    locked = folder / "locked.txt"
    exported = _uv("export", "--frozen", "--no-dev", "--no-hashes", "--project", str(_ROOT))
    # Only releases bind: lines that name folders of this checkout are left out.
    locked.write_text("\n".join(re.findall(r"^[A-Za-z0-9_.-]+==.*$", exported, re.MULTILINE)))
    _uv("build", "--wheel", "--out-dir", str(folder), str(_ROOT))
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    _uv("venv", str(environment))
    _uv("pip", "install", "--python", str(environment), "--constraint", str(locked), str(wheel))
    (site_packages,) = environment.glob("lib/python*/site-packages")
    return site_packages


def _uv(*arguments: str) -> str:
    command = ["uv", *arguments, "--quiet"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
