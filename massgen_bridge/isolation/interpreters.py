"""Which Python an environment is made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from packaging.specifiers import SpecifierSet

from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.isolation.requirements import host_satisfies

__all__ = ["find_uv", "interpreter_for"]

_MINORS = range(30, 10, -1)
_ASK_S = 10.0
_ASK = "import platform; print(platform.python_version())"


def find_uv() -> str | None:
    """The program `uv`: what is on the PATH, or what the package `uv` put beside this Python."""
    found = shutil.which("uv")
    if found is None:
        found = shutil.which("uv", path=sysconfig.get_path("scripts"))
    return found


def interpreter_for(python: str, *, uv: str | None) -> str:
    """A Python for `python -m venv` or `uv venv --python`: the host's own, if it will do.

    Args:
        python: Which versions will do, as a version specifier.
        uv: The program `uv`, which finds others, and fetches them where that is allowed.

    Raises:
        EnvironmentFailed: None is there; the text says what to do.
    """
    if host_satisfies(python):
        return sys.executable
    if uv is not None:
        return python
    for minor in _MINORS:
        found = shutil.which(f"python3.{minor}")
        version = None if found is None else _version(found)
        if found and version and SpecifierSet(python).contains(version, prereleases=True):
            return found
    raise EnvironmentFailed(
        f"no Python {python} was found: this one is {sys.version.split()[0]}, and none on the PATH"
        " will do; install such a Python, or uv, which fetches it (`pip install uv`)"
    )


def _version(python: str) -> str | None:
    """What version a Python says it is; None where it does not run."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    try:
        said = subprocess.run(  # noqa: S603 - a Python that the user has on the PATH
            [Path(python), "-I", "-c", _ASK],
            check=True,
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            env=environ,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()
