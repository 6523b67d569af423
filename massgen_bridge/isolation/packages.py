"""The distributions that are installed beside the core, held against what adapters require."""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError
from typing import TYPE_CHECKING

from massgen_bridge.plugins.metadata import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.requirements import Requirement

__all__ = ["Packages"]

_PLAIN = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?P<extras>\[[^\]]*\])?"
    r"(?P<bounds>(?:>=|<)[0-9.]+(?:,(?:>=|<)[0-9.]+)*)?"
)
_RELEASE = re.compile(r"[0-9]+(?:\.[0-9]+)*")


class Packages:
    """What this Python has installed; each distribution is looked up once.

    `packaging` decides, but takes longer to import than a listing of the kinds may: the plain form
    `name>=1.2,<3` of an installed release is compared without it.
    """

    def __init__(self) -> None:
        self._distributions: dict[str, Distribution | None] = {}
        self._unmet: dict[tuple[str, ...], tuple[str, ...]] = {}

    def version(self, name: str) -> str | None:
        """The version of a distribution; None where it is not installed."""
        found = self._distribution(name)
        return None if found is None else written(found, "Version")

    def unmet(self, requirements: Iterable[str]) -> tuple[str, ...]:
        """Those of some requirements that are not met here, each with what there is instead.

        A requirement with an extra is met only where the extra's own requirements are met too;
        one whose marker does not hold here is met.

        Raises:
            ConfigError: One is not written as requirements are.
        """
        asked = tuple(requirements)
        if asked not in self._unmet:
            self._unmet[asked] = tuple(
                f"{text} ({reason})" for text in asked if (reason := self._lack(text)) is not None
            )
        return self._unmet[asked]

    def suits(self, python: str) -> bool:
        """Whether this Python is one of those that a version specifier allows.

        Raises:
            ConfigError: It is no specifier.
        """
        version = ".".join(map(str, sys.version_info[:3]))
        plain = _compared(version, python)
        if plain is not None:
            return plain
        from massgen_bridge.isolation.requirements import host_satisfies  # noqa: PLC0415 - see the class

        return host_satisfies(python)

    def _distribution(self, name: str) -> Distribution | None:
        if name not in self._distributions:
            try:
                self._distributions[name] = Distribution.from_name(name)
            except PackageNotFoundError:
                self._distributions[name] = None
        return self._distributions[name]

    def _lack(self, text: str) -> str | None:
        """What is missing for a requirement, in words; None where it is met."""
        plain = _PLAIN.fullmatch(text)
        if plain is not None:
            found = self.version(plain["name"])
            if found is None:
                return "not installed"
            is_met = _compared(found, plain["bounds"] or "")
            if is_met is False:
                return f"installed: {found}"
            if is_met and not plain["extras"]:
                return None
        from massgen_bridge.isolation.requirements import parsed  # noqa: PLC0415 - see the class

        return self._lack_of(parsed(text), frozenset())

    def _lack_of(self, requirement: Requirement, seen: frozenset[tuple[str, str]]) -> str | None:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            return None
        name = requirement.name
        found = self.version(name)
        if found is None:
            return "not installed"
        if not requirement.specifier.contains(found, prereleases=True):
            return f"installed: {found}"
        for extra in sorted(requirement.extras):
            if (name, extra) in seen:  # an extra may ask for itself, by way of others
                continue
            for inner in self._of_extra(name, extra):
                lack = self._lack_of(inner, seen | {(name, extra)})
                if lack is not None:
                    return f"{inner.name}, which {name}[{extra}] needs: {lack}"
        return None

    def _of_extra(self, name: str, extra: str) -> Iterator[Requirement]:
        """What an extra of an installed distribution requires beside the distribution itself."""
        from massgen_bridge.isolation.requirements import parsed  # noqa: PLC0415 - see the class

        found = self._distribution(name)
        for text in (found.requires if found is not None else None) or ():
            inner = parsed(text)
            marker, inner.marker = inner.marker, None
            if marker is None or marker.evaluate({"extra": ""}):
                continue
            if marker.evaluate({"extra": extra}):
                yield inner


def _compared(version: str, specifier: str) -> bool | None:
    """Whether a release satisfies plain bounds; None where that needs the whole grammar."""
    if not _RELEASE.fullmatch(version):
        return None
    for bound in filter(None, specifier.split(",")):
        operator, limit = bound.rstrip("0123456789."), bound.lstrip("<>=")
        if operator not in {">=", "<"} or not _RELEASE.fullmatch(limit):
            return None
        is_below = _numbers(version) < _numbers(limit)
        if is_below != (operator == "<"):
            return False
    return True


def _numbers(release: str) -> tuple[int, ...]:
    """A release's numbers without the zeros at its end, which do not count."""
    numbers = [int(number) for number in release.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
