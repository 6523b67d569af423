"""Where agents of a kind usually run here, and on which version of their framework."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from massgen_bridge.folders import cache_path
from massgen_bridge.isolation.choice import Needs, usual_mode
from massgen_bridge.isolation.packages import Packages

if TYPE_CHECKING:
    from massgen_bridge.isolation.environments import Environment
    from massgen_bridge.isolation.placement import Mode

__all__ = ["Described", "Standing", "Standings"]


class Described(Needs, Protocol):
    """What is known of an adapter, with what its framework is."""

    @property
    def framework(self) -> str | None:
        """The distribution whose version is the framework's."""


class Standing(NamedTuple):
    """How a kind stands here.

    Attributes:
        mode: Where its agents usually run.
        environment: Whether the environment of its own is there, where it needs one.
        framework_version: The version of the framework that they run on; None for a kind without
            a framework, and as long as its environment is not there.
    """

    mode: Mode
    environment: Literal["ready", "missing"] | None = None
    framework_version: str | None = None


class Standings:
    """Looks at what is installed here and at the environments that were built, once for all."""

    def __init__(self) -> None:
        self._packages = Packages()

    def of(self, kind: Described) -> Standing:
        """How a kind stands here.

        Raises:
            ConfigError: What its adapter requires cannot be read.
        """
        mode = usual_mode(kind, self._packages)
        if mode != "environment":
            version = self._packages.version(kind.framework) if kind.framework else None
            return Standing(mode, None, version)
        found = self._environment(kind)
        if found is None:
            return Standing(mode, "missing")
        return Standing(mode, "ready", found.installed.get(kind.framework or ""))

    def _environment(self, kind: Needs) -> Environment | None:
        """The environment for a kind that was used last, locked or not."""
        if not self._built:
            return None
        from massgen_bridge.isolation.choice import environment_requirements  # noqa: PLC0415 - slow
        from massgen_bridge.isolation.requirements import (  # noqa: PLC0415 - slow
            EnvironmentRequest,
        )

        wanted = EnvironmentRequest.of(environment_requirements(kind), python=kind.python)
        for one in self._built:
            asked = one.request.model_copy(update={"pins": (), "lock": None})
            if asked == wanted:
                return one
        return None

    @cached_property
    def _built(self) -> tuple[Environment, ...]:
        # What reads environments takes long to import, and most often there are none.
        if not any(cache_path().glob("environments/*/environment.json")):
            return ()
        from massgen_bridge.isolation.environments import Environments  # noqa: PLC0415 - see above

        return Environments().list()
