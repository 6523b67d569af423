"""Locks: exact versions with hashes, in a file beside the configuration.

There is one file an environment, in the standard format of Python lock files (PEP 751), so that
other tools can read and audit it. What we ask of it ourselves stands in its own table there.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.markers import InvalidMarker, Marker
from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from massgen_bridge.errors import ConfigError
from massgen_bridge.isolation.requirements import EnvironmentRequest, check_floor, parsed
from massgen_bridge.messages import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from massgen_bridge.isolation.placement import Placement

__all__ = [
    "LOCK_TABLE",
    "Lock",
    "download_size",
    "lock_file",
    "parse_lock",
    "read_lock",
    "request_of",
    "with_lock",
]

LOCK_TABLE = "massgen-bridge"
_AGAIN = "run `massgen-bridge env lock` on the configuration to write it anew"
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_-]+")


class Lock(Frozen):
    """What a lock says.

    Attributes:
        path: Its file.
        requirements: What it was made for; empty where another tool has made it.
        pins: Exact versions with hashes: one pip requirement a line.
        environments: Markers of where it holds; empty if everywhere.
        sizes: Bytes of each file that may be downloaded, by its name.
    """

    path: Path
    requirements: tuple[str, ...]
    pins: tuple[str, ...]
    environments: tuple[str, ...]
    sizes: dict[str, int]

    def misfit(self, request: EnvironmentRequest) -> str | None:
        """Why it does not serve a request, in words; None if it does."""
        here = request.abi != "other"
        if here and self.environments and not any(map(_holds, self.environments)):
            return f"it was made for another system or Python: {'; '.join(self.environments)}"
        pinned = [parsed(pin.partition(" --hash")[0]) for pin in self.pins]
        for text in request.requirements:
            asked = parsed(text)
            if asked.marker is not None and not asked.marker.evaluate():
                continue
            if problem := _lack(asked, [one for one in pinned if _names(one, asked)], here=here):
                return problem
        known = {_name_and_extras(parsed(one)) for one in self.requirements}
        for text in request.requirements if known else ():
            if _name_and_extras(parsed(text)) not in known:
                return f"it was not made for {text!r}"
        return None


def lock_file(config: Path, name: str) -> Path:
    """Where a lock of a configuration is, or will be.

    Args:
        config: The file of the configuration.
        name: What it is for: a kind of agents, say.
    """
    whole = "-".join(_UNNAMEABLE.sub("-", part) for part in (config.stem, name))
    return config.with_name(f"pylock.{whole}.toml")


def with_lock(place: Placement, config: Path | None, name: str) -> Placement:
    """A place with the lock that lies beside the configuration, if there is one.

    Args:
        place: Where an agent runs.
        config: The file of the configuration, where it is in one.
        name: What the lock is for: the agent's kind, say.
    """
    if config is None or place.mode != "environment":
        return place
    path = lock_file(config, name)
    return place.model_copy(update={"lock": str(path)}) if path.exists() else place


def request_of(place: Placement) -> EnvironmentRequest:
    """What the environment of an agent has to hold, with the exact versions of its lock.

    Raises:
        ConfigError: A requirement has no lowest version, or the lock cannot be read or does not
            fit; the text says what to do.
    """
    for one in place.requirements:
        check_floor(one)
    asked = EnvironmentRequest.of(place.requirements, python=place.python)
    if place.lock is None:
        return asked
    lock = read_lock(Path(place.lock))
    if problem := lock.misfit(asked):
        raise ConfigError(f"this lock does not fit any more: {problem}; {_AGAIN}", file=place.lock)
    return asked.model_copy(update={"pins": lock.pins, "lock": place.lock})


def read_lock(path: Path) -> Lock:
    """Read a lock.

    Raises:
        ConfigError: It cannot be read, or is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"this lock cannot be read: {error}; {_AGAIN}", file=str(path)) from error
    return parse_lock(text, path)


def parse_lock(text: str, path: Path) -> Lock:
    """Read the text of a lock.

    Args:
        text: What is in it.
        path: The file that it is, or is to be, in.

    Raises:
        ConfigError: That is no lock, or one that names a package without hashes.
    """
    try:
        said = tomllib.loads(text)
        if str(said["lock-version"]).split(".")[0] != "1":
            raise ConfigError(
                f"this lock has version {said['lock-version']!r}, and 1.0 is known; {_AGAIN}",
                file=str(path),
            )
        packages = said["packages"]
        return Lock(
            path=path,
            requirements=tuple(said.get("tool", {}).get(LOCK_TABLE, {}).get("requirements", ())),
            pins=tuple(_pin(one, path) for one in packages),
            environments=tuple(said.get("environments", ())),
            sizes={
                _file_name(file): file["size"]
                for one in packages
                for file in _files(one)
                if "size" in file
            },
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"this is no lock in the format of pylock.toml ({type(error).__name__}: {error});"
            f" {_AGAIN}",
            file=str(path),
        ) from error


def download_size(lock: Lock) -> int | None:
    """How many bytes this Python would download for a lock; None where it does not say."""
    order = {tag: place for place, tag in enumerate(sys_tags())}
    best: dict[str, tuple[int, int]] = {}
    for name, size in lock.sizes.items():
        if not name.endswith(".whl"):
            continue
        try:
            project, version, _, tags = parse_wheel_filename(name)
        except InvalidWheelFilename:
            continue
        place = min((order[tag] for tag in tags if tag in order), default=None)
        key = f"{project}=={version}"
        if place is not None and (key not in best or place < best[key][0]):
            best[key] = (place, size)
    wanted = {
        f"{one.name}{one.specifier}"
        for one in (parsed(pin.partition(" --hash")[0]) for pin in lock.pins)
        if one.marker is None or one.marker.evaluate()
    }
    return sum(size for key, (_, size) in best.items() if key in wanted) or None


def _files(package: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from package.get("wheels", ())
    for kind in ("sdist", "archive"):
        if kind in package:
            yield package[kind]


def _file_name(file: Mapping[str, Any]) -> str:
    return str(file.get("name") or file.get("url") or file.get("path")).rpartition("/")[2]


def _pin(package: Mapping[str, Any], path: Path) -> str:
    name = canonicalize_name(package["name"])
    hashes = sorted(
        {
            f"--hash={algorithm}:{value}"
            for file in _files(package)
            for algorithm, value in file.get("hashes", {}).items()
            if algorithm == "sha256"
        }
    )
    if not hashes:
        raise ConfigError(
            f"{name!r} has no sha256 in this lock, so that nothing vouches for it: let it come"
            f" from an index, and {_AGAIN}",
            file=str(path),
        )
    at = f" @ {package['archive']['url']}" if "archive" in package else f"=={package['version']}"
    marker = f" ; {package['marker']}" if "marker" in package else ""
    return " ".join((f"{name}{at}{marker}", *hashes))


def _holds(marker: str) -> bool:
    try:
        return Marker(marker).evaluate()
    except InvalidMarker:
        return False


def _names(one: Requirement, other: Requirement) -> bool:
    return canonicalize_name(one.name) == canonicalize_name(other.name)


def _name_and_extras(one: Requirement) -> tuple[str, frozenset[str]]:
    return canonicalize_name(one.name), frozenset(map(canonicalize_name, one.extras))


def _lack(asked: Requirement, pinned: Sequence[Requirement], *, here: bool) -> str | None:
    """What is wrong with the versions that a lock has of one package."""
    fitting = [one for one in pinned if not here or one.marker is None or one.marker.evaluate()]
    if not fitting:
        return f"{str(asked)!r} is required, and it has no {asked.name!r}"
    for one in fitting:
        versions = [part.version for part in one.specifier]
        if all(asked.specifier.contains(version, prereleases=True) for version in versions):
            return None
    return f"{str(asked)!r} is required, and it has {fitting[0].name} {fitting[0].specifier}"
