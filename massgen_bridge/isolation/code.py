"""Our own code and an adapter's, given to an environment that holds neither.

A folder in the cache holds a copy of just these packages and is named by a digest of its content.
So a worker sees what the host runs, whether that comes from a checkout, an editable installation
or a wheel, and nothing else that lies beside it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.folders import cache_advice, cache_path
from massgen_bridge.plugins.bundled import bundled_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["code_root", "injected", "prune_code"]

# What the interpreter writes by itself, and the adapters that come with the core.
_LEFT_OUT = frozenset({"__pycache__", "_bundled"})
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyo"})
_NAME_LENGTH = 16
_BEGINNING = ".copy-"

_known: dict[tuple[str, ...], Path] = {}


def code_root() -> Path:
    """The folder of all these copies."""
    return cache_path() / "code"


def injected(packages: Sequence[str | Path]) -> Path:
    """A folder that holds a copy of these packages alone, for a worker's path; blocks.

    The content is read once a process, so that all its workers run the same code.

    Args:
        packages: Each the name of a module, of which the whole package is taken, or the folder
            or file of one.

    Raises:
        EnvironmentFailed: One cannot be found or copied.
    """
    root = code_root()
    asked = (str(root), *map(str, packages))
    if asked in _known and _is_whole(_known[asked], None):
        return _known[asked]
    try:
        content = {path: source.read_bytes() for path, source in _files(packages)}
        folder = root / _digest(content)
        if not _is_whole(folder, content):
            _place(content, folder)
        with suppress(PermissionError):  # somebody else's, who prunes it
            os.utime(folder)
    except OSError as error:
        raise EnvironmentFailed(
            f"the code of {', '.join(map(str, packages))} cannot be copied to '{root}':"
            f" {error.strerror or error}; {cache_advice(error)}"
        ) from error
    _known[asked] = folder
    return folder


def prune_code(*, unused_for_s: float, now: float) -> int:
    """Delete copies that no worker was started with lately; blocks.

    Args:
        unused_for_s: Keep those that were asked for within so many seconds.
        now: Unix time in seconds.

    Returns:
        How many were deleted.
    """
    root = code_root()
    gone = 0
    for folder in root.iterdir() if root.is_dir() else ():
        with suppress(OSError):  # another process has just deleted it
            if now - folder.stat().st_mtime >= unused_for_s:
                shutil.rmtree(folder)
                gone += 1
    return gone


def _files(packages: Sequence[str | Path]) -> Iterator[tuple[str, Path]]:
    """The files of packages by the path that they get."""
    for one in packages:
        source = one if isinstance(one, Path) else _source_of(one)
        if source.is_file():
            yield source.name, source
        for parent, folders, names in os.walk(source):
            folders[:] = sorted(set(folders) - _LEFT_OUT)
            for name in sorted(names):
                path = Path(parent) / name
                if path.suffix not in _LEFT_OUT_SUFFIXES:
                    yield path.relative_to(source.parent).as_posix(), path


def _source_of(module: str) -> Path:
    package = module.partition(".")[0]
    try:
        spec = find_spec(package)
    except ValueError:  # a module that was run as a script has none
        spec = None
    if spec is not None and spec.submodule_search_locations:
        found = Path(next(iter(spec.submodule_search_locations)))
    elif spec is not None and spec.origin:
        found = Path(spec.origin)
    elif (bundled := bundled_source(package)) is not None:
        found = bundled / package
    else:
        raise EnvironmentFailed(
            f"the code of {package!r} was not found, so that no worker can be given it: install it"
            " beside massgen-bridge"
        )
    if not found.exists():
        raise EnvironmentFailed(
            f"the code of {package!r} is in '{found}', which is no folder and no file of its own"
            " (an archive, perhaps): install it unpacked"
        )
    return found


def _digest(content: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path, data in content.items():
        digest.update(f"{path}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:_NAME_LENGTH]


def _is_whole(folder: Path, content: Mapping[str, bytes] | None) -> bool:
    """Whether a copy is there, with all files where it is known which."""
    if content is None:
        return folder.is_dir()
    try:
        return all((folder / path).stat().st_size == len(data) for path, data in content.items())
    except OSError:
        return False


def _place(content: Mapping[str, bytes], folder: Path) -> None:
    """Write a copy beside its place and move it there, whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=_BEGINNING, dir=folder.parent))
    try:
        for path, data in content.items():
            target = made / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        if folder.is_dir() and not _is_whole(folder, content):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            made.rename(folder)
        except OSError:
            # Another process was faster, and its copy is the same.
            if not _is_whole(folder, content):
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
