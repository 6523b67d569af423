"""Where packages come from: the user's settings for pip, said in uv's words where uv has none."""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["installer_environ", "without_index"]

# They would send packages elsewhere than into the environment, or hide what it lacks.
_MISLEADING = frozenset(
    {
        "CONDA_PREFIX",
        "PIP_DRY_RUN",
        "PIP_EDITABLE",
        "PIP_PREFIX",
        "PIP_PYTHON",
        "PIP_REQUIREMENT",
        "PIP_ROOT",
        "PIP_TARGET",
        "PYTHONHOME",
        "PYTHONPATH",
        "UV_PROJECT",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_WORKING_DIR",
        "VIRTUAL_ENV",
        "__PYVENV_LAUNCHER__",
    }
)
_INDEX_VARIABLES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
)


def installer_environ(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment variables for pip and uv: the user's, without what would mislead them.

    uv reads no settings of pip. Where the user has some for pip alone, they are given to uv in
    its own variables: in the environment and never on a command line, which others can read.
    """
    clean = {name: value for name, value in environ.items() if name not in _MISLEADING}
    clean |= {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "NO_COLOR": "1"}
    if not _uv_has_indexes(environ):
        pip = dict(_pip_settings(environ))
        for name, value in _in_uv_words(pip):
            clean.setdefault(name, value)
    return clean


def without_index(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether pip is told to ask no index, and uv nothing of its own: it has no variable for it."""
    pip = {} if _uv_has_indexes(environ) else dict(_pip_settings(environ))
    return pip.get("no-index", "").lower() in {"1", "true", "yes", "on"}


def _uv_has_indexes(environ: Mapping[str, str]) -> bool:
    if any(environ.get(name) for name in _INDEX_VARIABLES):
        return True
    own = environ.get("UV_CONFIG_FILE")
    homes = [platformdirs.user_config_path("uv", appauthor=False), Path.home() / ".config/uv"]
    files = [Path(own)] if own else [*(home / "uv.toml" for home in homes), Path("/etc/uv/uv.toml")]
    return any("index" in text or "find-links" in text for text in map(_text, files))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _pip_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What pip is told, in the order in which a later one wins."""
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_text(path))
        except configparser.Error:
            continue  # pip itself will say so, where it is used
        for section in ("global", "install"):
            if parser.has_section(section):
                yield from parser.items(section)
    for name, value in environ.items():
        if name.startswith("PIP_"):
            yield name.removeprefix("PIP_").lower().replace("_", "-"), value


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    own = environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    if sys.platform != "win32":
        yield Path("/etc") / name
        yield Path("/etc/xdg/pip") / name
    yield platformdirs.site_config_path("pip", appauthor=False) / name
    yield Path.home() / (".pip" if sys.platform != "win32" else "pip") / name
    yield platformdirs.user_config_path("pip", appauthor=False, roaming=True) / name
    yield Path(sys.prefix) / name
    if own:
        yield Path(own)


def _in_uv_words(pip: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if index := pip.get("index-url"):
        yield "UV_DEFAULT_INDEX", index.strip()
    if more := pip.get("extra-index-url", "").split():
        yield "UV_INDEX", " ".join(more)
        # As pip does it: the best version of all indexes.
        yield "UV_INDEX_STRATEGY", "unsafe-best-match"
    if links := pip.get("find-links", "").split():
        yield "UV_FIND_LINKS", ",".join(links)
    if hosts := pip.get("trusted-host", "").split():
        yield "UV_INSECURE_HOST", " ".join(hosts)
    if certificates := pip.get("cert"):
        yield "SSL_CERT_FILE", certificates
