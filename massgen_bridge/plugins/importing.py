"""Code that a configuration names: modules and files, imported here and nowhere else."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

from massgen_bridge.errors import ConfigError
from massgen_bridge.plugins.records import nearest, one_line

__all__ = ["FROM_FILE", "load_module", "load_object", "source_files"]

FROM_FILE = "massgen_bridge_file_"
"""How the names of modules begin that were loaded from a file, by its path."""

_EXPECTED = "expected 'module:attribute' or 'file.py:attribute'"
_path_lock = threading.RLock()


class _ReadOnce(SourceFileLoader):
    """Runs exactly the bytes that its module is named after; leaves no bytecode beside them."""

    def __init__(self, fullname: str, path: str, source: bytes) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> object:  # type: ignore[override]  # a code object
        del fullname
        return self.source_to_code(self._source, self.path)


def load_object(reference: str, base_dir: Path) -> object:
    """Import what a configuration names.

    Args:
        reference: `package.module:attribute`, or `file.py:attribute` with a path that is absolute
            or relative to `base_dir`. The attribute may have dots.
        base_dir: Folder of the configuration. Its modules are found after the installed ones.

    Raises:
        ConfigError: The reference has another form, the module or the attribute is missing, or
            the module's own code failed.
    """
    target, _, attribute = reference.rpartition(":")
    if not target or not attribute:
        raise ConfigError(f"cannot import {reference!r}: {_EXPECTED}")
    value: object = load_module(target, base_dir)
    for name in attribute.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            known = [other for other in dir(value) if not other.startswith("_")]
            raise ConfigError(
                f"cannot import {reference!r}: {target!r} has no {attribute!r}"
                f"{nearest(name, known)}"
            ) from None
    return value


def load_module(target: str, base_dir: Path) -> ModuleType:
    """Import a module by its dotted name, or a file by its path; see `load_object`.

    Raises:
        ConfigError: There is no such module or file, or its own code failed.
    """
    if _is_file(target):
        return _load_file(target, (base_dir / target).resolve())
    if not _is_dotted_name(target):
        raise ConfigError(f"cannot import {target!r}: it is neither a module's name nor a .py file")
    with _importable(base_dir):
        try:
            module = importlib.import_module(target)  # noqa: TID251 - the one place that may
        except ModuleNotFoundError as error:
            if error.name and f"{target}.".startswith(f"{error.name}."):
                raise ConfigError(
                    f"cannot import {target!r}: there is no module {error.name!r}, neither"
                    f" installed nor in {str(base_dir)!r}"
                ) from None
            raise _broken(target, error) from error
        except (Exception, SystemExit) as error:  # a plugin boundary: any code runs here
            raise _broken(target, error) from error
    _check_origin(target, module, base_dir)
    return module


def source_files(reference: str, base_dir: Path) -> tuple[Path, ...]:
    """The files that importing a reference would run first, found without importing anything.

    Args:
        reference: As for `load_object`, or without an attribute.
        base_dir: As for `load_object`.

    Returns:
        The file, or the files of a module and of the packages above it; what does not exist or
        is no file is left out.
    """
    target = reference
    if ":" in reference and not reference.endswith(".py"):
        target = reference.rpartition(":")[0]
    if _is_file(target):
        path = (base_dir / target).resolve()
        return (path,) if path.is_file() else ()
    origins = [Path(spec.origin) for spec in _specs(target, base_dir) if spec.origin]
    return tuple(path for path in origins if path.is_file())


def _is_file(target: str) -> bool:
    return target.endswith(".py") or "/" in target or "\\" in target


def _is_dotted_name(target: str) -> bool:
    return all(part.isidentifier() for part in target.split("."))


def _specs(target: str, base_dir: Path) -> Iterator[ModuleSpec]:
    """The module specs from the top package down to `target`; nothing of them is imported."""
    if not _is_dotted_name(target):
        return
    names = target.split(".")
    spec = _top_spec(names[0]) or PathFinder.find_spec(names[0], [str(base_dir)])
    for depth in range(1, len(names) + 1):
        if spec is None:
            return
        yield spec
        if depth < len(names):
            name = ".".join(names[: depth + 1])
            spec = PathFinder.find_spec(name, spec.submodule_search_locations)


def _top_spec(name: str) -> ModuleSpec | None:
    """What an import would find now, whatever has been imported before."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None)
        if spec is not None:
            return spec
    return None


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules of a folder be found after all others, for a moment."""
    entry = str(folder)
    with _path_lock:
        sys.path.append(entry)
        try:
            yield
        finally:
            # From the end: imported code may have put the same folder in front on purpose.
            for index in range(len(sys.path) - 1, -1, -1):
                if sys.path[index] == entry:
                    del sys.path[index]
                    break


def _load_file(target: str, path: Path) -> ModuleType:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot import {target!r}: cannot read {str(path)!r}: {error.strerror}"
        ) from None
    name = _module_name(path, source)
    with _path_lock:
        if name in sys.modules:
            return sys.modules[name]
        loader = _ReadOnce(name, str(path), source)
        spec = importlib.util.spec_from_file_location(name, path, loader=loader)
        assert spec is not None  # noqa: S101 - a loader was given, so there is a spec
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            with _importable(path.parent):
                loader.exec_module(module)
        except (Exception, SystemExit) as error:  # a plugin boundary: any code ran
            del sys.modules[name]
            raise _broken(target, error) from error
        except BaseException:  # stopped: what is half imported must not be found
            del sys.modules[name]
            raise
    return module


def _module_name(path: Path, source: bytes) -> str:
    """A name of its own for each content at each place, so that a changed file is run anew."""
    import hashlib  # noqa: PLC0415 - seldom needed, and commands should start fast

    stem = "".join(letter if letter.isalnum() else "_" for letter in path.stem)
    digest = hashlib.sha256(str(path).encode(errors="surrogateescape") + b"\0" + source)
    return f"{FROM_FILE}{stem}_{digest.hexdigest()[:16]}"


def _broken(target: str, error: BaseException) -> ConfigError:
    import traceback  # noqa: PLC0415 - seldom needed, and commands should start fast

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith("<frozen")]
    place = f"{own[-1].filename}, line {own[-1].lineno}" if own else target
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}, line {error.lineno}"
    return ConfigError(f"cannot import {target!r}: {one_line(error)} ({place})")


def _check_origin(target: str, module: ModuleType, base_dir: Path) -> None:
    """Refuse a module of the same name that was imported from another configuration's folder."""
    files = source_files(target, base_dir)
    found = getattr(module, "__file__", None)
    if not files or found is None or not files[-1].is_relative_to(base_dir):
        return
    if files[-1].resolve() != Path(found).resolve():
        raise ConfigError(
            f"cannot import {target!r}: a module of this name is already imported from {found!r};"
            " give the path of the file instead"
        )
