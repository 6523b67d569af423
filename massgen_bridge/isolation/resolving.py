"""Making locks: uv's universal ones, or pip's for this system and Python."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet

from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.folders import cache_advice, cache_path
from massgen_bridge.isolation.environments import python_of
from massgen_bridge.isolation.indexes import without_index
from massgen_bridge.isolation.installers import Installer, pip_of
from massgen_bridge.isolation.locking import (
    LOCK_TABLE,
    Lock,
    download_size,
    parse_lock,
    read_lock,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from massgen_bridge.isolation.requirements import EnvironmentRequest

__all__ = ["estimate", "resolve", "write_lock"]

_MINORS = range(11, 31)
_HEADER = "# Written by `massgen-bridge env lock`; it writes a new one when that is run again.\n"
_SECRET = re.compile(r"(?<=://)[^/@\s]+@")
_COMMENT = re.compile(r"\A(#[^\n]*\n)+")


def write_lock(
    request: EnvironmentRequest,
    path: Path,
    *,
    progress: Callable[[str], object] = lambda _: None,
) -> Lock:
    """Find the newest versions that fit together and write them down; blocks.

    Args:
        request: What is wanted, without pins.
        path: The file; it is replaced whole.
        progress: Called with lines for a person on what is being done.

    Raises:
        EnvironmentFailed: There are no such versions, or they cannot be asked for.
        ConfigError: A package has no hashes.
    """
    try:
        text, lock = resolve(request, path, universal=True, progress=progress)
    except EnvironmentFailed as error:
        raise EnvironmentFailed(f"{request.wording} cannot be locked: {error}") from error
    try:
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise EnvironmentFailed(
            f"the lock cannot be written to '{path}': {error.strerror or error}; make the folder"
            " writable"
        ) from error
    return lock


def estimate(request: EnvironmentRequest) -> int | None:
    """How many bytes would be downloaded, at most, to build an environment; blocks.

    Args:
        request: What it has to hold.

    Returns:
        None where nobody knows: pip does not tell.

    Raises:
        EnvironmentFailed: There are no versions that fit together, or they cannot be asked for.
    """
    if request.lock is not None:
        return download_size(read_lock(Path(request.lock)))
    if Installer().uv is None:
        return None
    try:
        found = resolve(request, Path("pylock.toml"), universal=False)[1]
    except EnvironmentFailed as error:
        raise EnvironmentFailed(
            f"the environment for {request.wording} (Python {request.python}) cannot be built:"
            f" {error}"
        ) from error
    return download_size(found)


def resolve(
    request: EnvironmentRequest,
    path: Path,
    *,
    universal: bool,
    progress: Callable[[str], object] = lambda _: None,
) -> tuple[str, Lock]:
    """Find the newest versions that fit together; blocks.

    Args:
        request: What is wanted, without pins.
        path: The file that the lock is for.
        universal: Whether it is to hold for all systems and newer Pythons, where uv is there.
        progress: Called with lines for a person on what is being done.

    Raises:
        EnvironmentFailed: There are no such versions, or they cannot be asked for.
        ConfigError: A package has no hashes.
    """
    installer = Installer()
    progress(f"looking for versions with {installer.name}")
    cache = cache_path()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".lock-", dir=cache) as scratch:
            said = _asked(installer, request, Path(scratch), universal=universal)
    except OSError as error:
        raise EnvironmentFailed(
            f"'{cache}' cannot be used: {error.strerror or error}; {cache_advice(error)}"
        ) from error
    public = _SECRET.sub("", _COMMENT.sub("", said))
    text = f"{_HEADER}{public.rstrip()}\n\n{_table(request)}"
    return text, parse_lock(text, path)


def _asked(
    installer: Installer, request: EnvironmentRequest, folder: Path, *, universal: bool
) -> str:
    if installer.uv is not None:
        return _by_uv(installer.uv, installer, request, folder, universal=universal)
    return _by_pip(installer, request, folder)


def _by_uv(
    uv: str, installer: Installer, request: EnvironmentRequest, folder: Path, *, universal: bool
) -> str:
    asked = folder / "asked.txt"
    asked.write_text("\n".join(request.requirements), encoding="utf-8")
    made = folder / "pylock.toml"
    command = [uv, "pip", "compile", "--quiet", "--format", "pylock.toml", str(asked)]
    command += ["--no-sources", "--output-file", str(made)]
    if universal:
        command += ["--universal", "--python-version", _lowest(request.python)]
    if without_index():
        command.append("--no-index")
    installer.run(command, log=folder / "log", tell=_ignore)
    return made.read_text(encoding="utf-8")


def _by_pip(installer: Installer, request: EnvironmentRequest, folder: Path) -> str:
    venv, report = folder / "venv", folder / "report.json"
    installer.create(venv, request.python, log=folder / "log", tell=_ignore)
    asked = folder / "asked.txt"
    asked.write_text("\n".join(request.requirements), encoding="utf-8")
    command = [*pip_of(python_of(venv)), "install", "--dry-run", "--quiet"]
    command += ["--ignore-installed", "--no-input", "--report", str(report), "-r", str(asked)]
    installer.run(command, log=folder / "log", tell=_ignore)
    return _in_standard_form(json.loads(report.read_text(encoding="utf-8")))


def _in_standard_form(report: Mapping[str, Any]) -> str:
    """What pip reports, as a lock for this system and Python."""
    facts = report["environment"]
    names = ("sys_platform", "platform_machine", "python_version", "implementation_name")
    here = " and ".join(f"{name} == '{facts[name]}'" for name in names)
    lines = [
        'lock-version = "1.0"',
        f"environments = [{_quoted(here)}]",
        'created-by = "massgen-bridge"',
    ]
    for one in sorted(report["install"], key=lambda one: str(one["metadata"]["name"]).lower()):
        lines += ["", "[[packages]]", *_package(one)]
    return "\n".join(lines)


def _package(installed: Mapping[str, Any]) -> Iterator[str]:
    about, source = installed["metadata"], installed["download_info"]
    hashes = source.get("archive_info", {}).get("hashes", {})
    said = ", ".join(f"{name} = {_quoted(value)}" for name, value in sorted(hashes.items()))
    file = f"{{ url = {_quoted(source['url'])}, hashes = {{ {said} }} }}"
    yield f"name = {_quoted(about['name'])}"
    yield f"version = {_quoted(about['version'])}"
    if installed.get("is_direct"):
        yield f"archive = {file}"
    elif source["url"].endswith(".whl"):
        yield f"wheels = [{file}]"
    else:
        yield f"sdist = {file}"


def _table(request: EnvironmentRequest) -> str:
    asked = "".join(f"  {_quoted(one)},\n" for one in request.requirements)
    return f"[tool.{LOCK_TABLE}]\npython = {_quoted(request.python)}\nrequirements = [\n{asked}]\n"


def _quoted(text: str) -> str:
    """A basic string of TOML, which JSON's strings are too."""
    return json.dumps(text)


def _lowest(python: str) -> str:
    """The oldest Python that will do, as in `3.11`."""
    wanted = SpecifierSet(python)
    for minor in _MINORS:
        if wanted.contains(f"3.{minor}.99"):
            return f"3.{minor}"
    raise EnvironmentFailed(f"no Python {python} is known")


def _ignore(_: str) -> None:
    """Nobody watches."""
