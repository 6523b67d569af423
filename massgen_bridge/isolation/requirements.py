"""What an environment is asked to hold, as a value with a key of its own."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import tomllib
from functools import cache
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Self

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from massgen_bridge.errors import ConfigError
from massgen_bridge.messages import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "EnvironmentRequest",
    "check_floor",
    "core_requirements",
    "host_satisfies",
    "normalised",
    "parsed",
    "without_floor",
]

# What the core imports in a worker, beside the standard library.
_WORKER_NEEDS = frozenset({"anyio", "pluggy", "pydantic"})
_FLOORS = {">=", ">", "==", "===", "~="}
_KEY_LENGTH = 16
_SECRET = re.compile(r"(?<=://)[^/@\s]+@")


class EnvironmentRequest(Frozen):
    """What an environment has to hold; two that are equal share one environment.

    Attributes:
        requirements: pip requirements in their normal form, sorted.
        python: Which Python versions will do, as a version specifier.
        abi: The host's own kind of Python, such as `cpython-311-x86_64-linux-gnu`, where that one
            is used; else `other`.
        system: The operating system and the processor.
        pins: Exact versions with hashes, one requirement a line, where a lock gives them.
        lock: The file that the pins come from.
    """

    requirements: tuple[str, ...]
    python: str
    abi: str
    system: str
    pins: tuple[str, ...] = ()
    lock: str | None = None

    @classmethod
    def of(
        cls,
        requirements: Iterable[str],
        *,
        python: str = ">=3.11",
        pins: Iterable[str] = (),
        lock: str | None = None,
    ) -> Self:
        """A request for this machine.

        Raises:
            ConfigError: A requirement or the specifier cannot be read.
        """
        return cls(
            requirements=normalised(requirements),
            python=str(_specifier(python)),
            abi=EXTENSION_SUFFIXES[0].split(".")[1] if host_satisfies(python) else "other",
            system=f"{sys.platform}-{platform.machine().lower()}",
            pins=tuple(pins),
            lock=lock,
        )

    @property
    def key(self) -> str:
        """The name of the environment: a digest of all that makes a difference."""
        # Exact versions leave nothing to what was asked for.
        less = {"lock": None} | ({"requirements": ()} if self.pins else {})
        said = self.model_copy(update=less).model_dump_json()
        return hashlib.sha256(said.encode()).hexdigest()[:_KEY_LENGTH]

    @property
    def wording(self) -> str:
        """What is asked for, in words for a person; what the core needs goes without saying."""
        own = [one for one in self.requirements if one not in core_requirements()]
        return ", ".join(map(_worded, own or self.requirements)) or "no packages"


def _worded(requirement: str) -> str:
    """A requirement as people write it: the lowest version first."""
    found = parsed(requirement)
    if found.url:
        return f"{found.name} @ {_SECRET.sub('', found.url)}"
    extras = f"[{','.join(sorted(found.extras))}]" if found.extras else ""
    bounds = sorted(found.specifier, key=lambda one: (one.operator not in _FLOORS, str(one)))
    return f"{found.name}{extras}{','.join(map(str, bounds))}"


def parsed(requirement: str) -> Requirement:
    """Read a pip requirement.

    Raises:
        ConfigError: It is none.
    """
    try:
        return Requirement(requirement)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{requirement!r} is no pip requirement ({reason}): expected one like 'crewai>=1.15'"
        ) from error


def normalised(requirements: Iterable[str]) -> tuple[str, ...]:
    """Requirements in their normal form, sorted, each once.

    Raises:
        ConfigError: One cannot be read.
    """
    found = set()
    for one in requirements:
        requirement = parsed(one)
        requirement.name = canonicalize_name(requirement.name)
        found.add(str(requirement))
    return tuple(sorted(found))


def without_floor(requirements: Iterable[str]) -> tuple[str, ...]:
    """Those requirements that any old version meets.

    Resolvers silently fall back by years to make ends meet, so that each needs a lowest version.

    Raises:
        ConfigError: One cannot be read.
    """
    return tuple(
        one
        for one in requirements
        if not (found := parsed(one)).url
        and not any(part.operator in _FLOORS for part in found.specifier)
    )


def check_floor(requirement: str) -> None:
    """See that a requirement has a lowest version.

    Raises:
        ConfigError: It has none, or is no requirement.
    """
    if without_floor([requirement]):
        raise ConfigError(
            f"{requirement!r} has no lowest version, so that one of years ago would do: give it"
            f" one, as in '{parsed(requirement).name}>=1.2'"
        )


def host_satisfies(python: str) -> bool:
    """Whether the Python that runs this is one of these versions.

    Raises:
        ConfigError: That is no version specifier.
    """
    return _specifier(python).contains(platform.python_version(), prereleases=True)


@cache
def core_requirements() -> tuple[str, ...]:
    """What a worker needs for the core itself, in the versions that the core asks for."""
    try:
        declared = metadata.requires("massgen-bridge") or []
    except metadata.PackageNotFoundError:  # the sources alone, on the path
        project = Path(__file__).parents[2] / "pyproject.toml"
        declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    wanted = [one for one in declared if parsed(one).name in _WORKER_NEEDS and ";" not in one]
    return normalised(wanted)


def _specifier(python: str) -> SpecifierSet:
    try:
        return SpecifierSet(python)
    except InvalidSpecifier as error:
        raise ConfigError(
            f"{python!r} is no specifier of Python versions: expected one like '>=3.11,<3.14'"
        ) from error
