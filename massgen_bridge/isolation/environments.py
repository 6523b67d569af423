"""Environments of packages that agents run in: found, built, mended and thrown away.

One environment holds the packages of one request, and is shared by all agents, runs and processes
of this user that ask for the same. It lies in a folder of its own in the cache::

    environments/<key>/environment.json     what is there; without it, nothing is ready
    environments/<key>/venv-<random>/       the environment that it names
    environments/<key>.lock                 held by whoever builds or deletes

An environment is built in its final place under a new name, and counts when `environment.json`
names it. So nobody sees one that is half built, and one that is in use is never changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from secrets import token_hex
from typing import IO, TYPE_CHECKING

from packaging.utils import canonicalize_name
from pydantic import ValidationError

from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.folders import cache_advice, cache_path
from massgen_bridge.isolation.requirements import EnvironmentRequest
from massgen_bridge.locks import try_lock
from massgen_bridge.messages import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Environment", "Environments", "python_of"]

_RECORD = "environment.json"
_USED = "in-use"
_BEGINNING = "venv-"
_CODE = frozenset({".py", ".so", ".pyd", ".dylib", ".dll"})
_ASK = "import platform; print(platform.python_version())"
_ASK_S = 60.0


class Environment(Frozen):
    """An environment that is ready.

    Attributes:
        key: Its name, from the request.
        path: Its folder.
        python: Its Python.
        python_version: As in `3.11.7`.
        request: What it was asked to hold.
        installed: The packages in it with their versions, by name.
        top: What lies at the top of its folder of packages.
        size: Bytes on disk; an installer may share them with its own cache.
        built_at: Unix time in seconds.
        installer: What has built it.
        exempt: Files that never were as their packages say.
    """

    key: str
    path: Path
    python: Path
    python_version: str
    request: EnvironmentRequest
    installed: dict[str, str]
    top: tuple[str, ...]
    size: int
    built_at: float
    installer: str
    exempt: tuple[str, ...] = ()

    @property
    def used_at(self) -> float:
        """When it was last found: Unix time in seconds."""
        try:
            return (self.path.parent / _RECORD).stat().st_mtime
        except OSError:  # it was deleted
            return self.built_at

    def hold(self) -> IO[bytes]:
        """Keep it from being deleted, by any process, until what is returned is closed.

        Raises:
            EnvironmentFailed: It is just being deleted, or is gone.
        """
        try:
            held = (self.path / _USED).open("rb")
        except OSError as error:
            raise EnvironmentFailed(f"the environment at '{self.path}' is gone") from error
        now = _read(self.path.parent) if try_lock(held.fileno(), shared=True) else None
        if now is None or now.path != self.path:
            held.close()
            raise EnvironmentFailed(f"the environment at '{self.path}' is being deleted")
        return held

    @property
    def damage(self) -> str | None:
        """What is wrong with it, looking at each file of each package; None if it is sound."""
        problem = _quick_damage(self)
        if problem is None and (bad := sorted(_bad_files(self.path) - set(self.exempt))):
            problem = f"{len(bad)} files are missing or changed, such as '{bad[0]}'"
        return problem


class Environments:
    """The environments of this user. Many processes may use them at the same time.

    Args:
        root: Where they are, the folder `environments` of the cache if not given.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_path() / "environments"

    def find(self, request: EnvironmentRequest) -> Environment | None:
        """The environment for a request; None where there is none, or where it is broken.

        This looks at a few files only; `ensure` looks at all of them.
        """
        found = _read(self.root / request.key)
        if found is None or _quick_damage(found) is not None:
            return None
        with suppress(OSError):  # a cache that can only be read is a cache, too
            os.utime(found.path.parent / _RECORD)
        return found

    def ensure(
        self,
        request: EnvironmentRequest,
        *,
        progress: Callable[[str], object] = lambda _: None,
    ) -> Environment:
        """The environment for a request, looked at closely, mended or built if need be; blocks.

        Args:
            request: What it has to hold.
            progress: Called with lines for a person on what is being done.

        Raises:
            EnvironmentFailed: It cannot be built; the text says what was asked, why it failed
                and what to do.
        """
        found = self.find(request)
        if found is not None and found.damage is None:
            return found
        return self.build(request, progress=progress)

    def build(
        self,
        request: EnvironmentRequest,
        *,
        progress: Callable[[str], object] = lambda _: None,
    ) -> Environment:
        """Build an environment, unless another process just does or a sound one is there; blocks.

        Call it in a worker thread by `anyio.to_thread.run_sync`: cancelling ends what it started,
        and removes what that left.

        Args:
            request: What it has to hold.
            progress: Called with lines for a person on what is being done.

        Raises:
            EnvironmentFailed: It cannot be built; the text says what was asked, why it failed
                and what to do.
        """
        folder = self.root / request.key
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._only_builder(request.key, progress):
                found = _read(folder)
                if found is None or found.damage is not None:
                    found = self._build(request, folder, progress)
                return found
        except EnvironmentFailed as error:
            raise EnvironmentFailed(
                f"the environment for {request.wording} (Python {request.python}) could not be"
                f" built: {error}"
            ) from error
        except OSError as error:
            raise EnvironmentFailed(
                f"the environment for {request.wording} could not be built in '{folder}':"
                f" {error.strerror or error}; {cache_advice(error)}"
            ) from error

    def list(self) -> tuple[Environment, ...]:
        """All environments that are ready, the one that was used last first."""
        found = [one for one in map(_read, self._folders()) if one is not None]
        return tuple(sorted(found, key=lambda one: one.used_at, reverse=True))

    def prune(self, *, unused_for_s: float = 0.0, dry_run: bool = False) -> tuple[Environment, ...]:
        """Delete environments, and what builds that were ended have left; blocks.

        What is being built or held just now stays.

        Args:
            unused_for_s: Keep those that were used within so many seconds.
            dry_run: Delete nothing.

        Returns:
            Those that were deleted, or would be.

        Raises:
            EnvironmentFailed: One cannot be deleted.
        """
        gone = []
        for folder in self._folders():
            with self._lock_of(folder.name) as lock:
                if not try_lock(lock.fileno()):
                    continue
                found = _read(folder)
                is_old = found is None or time.time() - found.used_at >= unused_for_s
                if found is not None and is_old and _retire(found, dry_run=dry_run):
                    gone.append(found)
                    found = None
                if not dry_run:
                    _sweep(folder, keep=found)
        for one in () if dry_run else gone:
            if one.path.exists():
                raise EnvironmentFailed(
                    f"the environment at '{one.path}' cannot be deleted whole: see who owns its"
                    " files"
                )
        return tuple(gone)

    def _folders(self) -> tuple[Path, ...]:
        if not self.root.is_dir():
            return ()
        return tuple(sorted(path for path in self.root.iterdir() if path.is_dir()))

    def _lock_of(self, key: str) -> IO[bytes]:
        return (self.root / f"{key}.lock").open("ab")

    @contextmanager
    def _only_builder(self, key: str, progress: Callable[[str], object]) -> Iterator[None]:
        """Be the only process that builds it; the system frees the lock if its holder ends."""
        from massgen_bridge.isolation.installers import pause  # noqa: PLC0415 - only a build needs it

        with self._lock_of(key) as lock:
            told = False
            while not try_lock(lock.fileno()):
                if not told:
                    progress("waiting for another process that builds the same environment")
                    told = True
                pause()
            yield

    def _build(
        self, request: EnvironmentRequest, folder: Path, progress: Callable[[str], object]
    ) -> Environment:
        from massgen_bridge.isolation.installers import Installer  # noqa: PLC0415 - only a build needs it

        # The lock is held, so what lies here is broken, or was left by a build that was killed.
        _sweep(folder)
        folder.mkdir(exist_ok=True)
        venv = folder / f"{_BEGINNING}{token_hex(4)}"
        log = self.root / f"{request.key}.log"
        try:
            installer = Installer()
            progress(f"making an environment with {installer.name}")
            installer.create(venv, request.python, log=log, tell=progress)
            python = python_of(venv)
            installer.install(
                python,
                request.pins or request.requirements,
                pinned=bool(request.pins),
                log=log,
                tell=progress,
            )
            made = _described(request, venv, python, installer.name)
            _write(folder, made)
        except BaseException:  # stopped, too: half an environment must not be found
            shutil.rmtree(venv, ignore_errors=True)
            with suppress(OSError):
                folder.rmdir()
            raise
        log.unlink(missing_ok=True)
        progress(f"{len(made.installed)} packages, {made.size / 1e6:.0f} MB")
        return made


def _described(
    request: EnvironmentRequest, venv: Path, python: Path, installer: str
) -> Environment:
    said = subprocess.run(  # noqa: S603 - the Python that was just made
        [python, "-I", "-c", _ASK], capture_output=True, text=True, timeout=_ASK_S, check=False
    )
    if said.returncode:
        raise EnvironmentFailed(f"its Python does not run: {said.stderr.strip()[-300:]}")
    (venv / _USED).touch()
    site = _site_packages(venv)
    found = metadata.distributions(path=[str(site)])
    return Environment(
        key=request.key,
        path=venv,
        python=python,
        python_version=said.stdout.strip(),
        request=request,
        installed=dict(sorted((canonicalize_name(one.name), one.version) for one in found)),
        top=tuple(sorted(path.name for path in site.iterdir())),
        size=_size(venv),
        built_at=time.time(),
        installer=installer,
        exempt=tuple(sorted(_bad_files(venv))),
    )


def python_of(venv: Path) -> Path:
    """The Python of an environment that lies in this folder."""
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _site_packages(venv: Path) -> Path:
    if sys.platform == "win32":
        return venv / "Lib" / "site-packages"
    return next(iter(venv.glob("lib/python3*/site-packages")), venv / "lib")


def _read(folder: Path) -> Environment | None:
    """What a folder says is ready in it; None where nothing is, or where that is unreadable."""
    record = folder / _RECORD
    try:
        said = json.loads(record.read_bytes())
        # Where it lies is known here: a cache may be moved, and shared at another path.
        venv = folder / str(said["path"])
        said |= {"path": venv, "python": python_of(venv)}
        return Environment.model_validate(said)
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def _write(folder: Path, made: Environment) -> None:
    said = made.model_dump(mode="json", exclude={"python"}) | {"path": made.path.name}
    new = folder / f"{_RECORD}.new"
    with new.open("w", encoding="utf-8") as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / _RECORD)


def _quick_damage(found: Environment) -> str | None:
    # A Python that was deleted leaves a link that leads nowhere.
    if not found.python.exists():
        return "its Python is gone"
    if not (found.path / "pyvenv.cfg").exists() or not (found.path / _USED).exists():
        return "a part of it is gone"
    try:
        there = {path.name for path in _site_packages(found.path).iterdir()}
    except OSError:
        return "its packages are gone"
    missing = [name for name in found.top if name not in there]
    return f"'{missing[0]}' is gone" if missing else None


def _bad_files(venv: Path) -> set[str]:
    """The files that are not as their packages say: gone, or code of another size."""
    site = _site_packages(venv)
    sizes: dict[str, set[int | None]] = {}
    for one in metadata.distributions(path=[str(site)]):
        for file in one.files or ():
            # Two packages may bring one file, and the last one wins.
            sizes.setdefault(str(file), set()).add(file.size)
    bad = set()
    for name, known in sizes.items():
        try:
            size = (site / name).stat().st_size
        except OSError:
            if not name.endswith(".pyc"):
                bad.add(name)
            continue
        if Path(name).suffix in _CODE and None not in known and size not in known:
            bad.add(name)
    return bad


def _size(venv: Path) -> int:
    return sum(
        (Path(parent) / name).lstat().st_size
        for parent, _, names in os.walk(venv)
        for name in names
    )


def _retire(found: Environment, *, dry_run: bool) -> bool:
    """Let nobody find an environment any more, unless somebody holds it.

    Returns:
        Whether nobody holds it.
    """
    with suppress(FileNotFoundError), (found.path / _USED).open("rb") as used:
        if not try_lock(used.fileno()):
            return False
        if not dry_run:
            _delete_record(found.path.parent)
    # One that is broken cannot be held; it goes as a whole.
    return True


def _delete_record(folder: Path) -> None:
    (folder / _RECORD).unlink(missing_ok=True)


def _sweep(folder: Path, *, keep: Environment | None = None) -> None:
    """Delete what lies in the folder of an environment, but for one, and for what is held."""
    for left in folder.glob(f"{_BEGINNING}*"):
        if (keep is None or left.name != keep.path.name) and not _is_held(left):
            # What a killed build has started may still write there; the next one sweeps again.
            shutil.rmtree(left, ignore_errors=True)
    if keep is None:
        _delete_record(folder)
        with suppress(OSError):  # something in it is held
            folder.rmdir()


def _is_held(venv: Path) -> bool:
    """Whether somebody uses an environment that nobody finds any more."""
    try:
        with (venv / _USED).open("rb") as used:
            return not try_lock(used.fileno())
    except OSError:  # it was never finished
        return False
