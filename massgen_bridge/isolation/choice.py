"""Deciding where an agent runs."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from massgen_bridge.errors import ConfigError

if TYPE_CHECKING:
    from massgen_bridge.isolation.packages import Packages
    from massgen_bridge.isolation.placement import Isolation, Mode, Placement
    from massgen_bridge.plugins import AdapterOrigin
    from massgen_bridge.specs import AdapterSpec

__all__ = ["Needs", "environment_requirements", "place", "stays_here", "usual_mode"]

_OWN = "agents of this kind usually run in a process of their own"
_ASKED = "the configuration says so"


class Needs(Protocol):
    """What is known of an adapter, also without its code: an `AdapterSpec` or an `AdapterInfo`."""

    @property
    def requires(self) -> Sequence[str]:
        """The pip requirements of the framework."""

    @property
    def python(self) -> str:
        """Which Python versions the framework runs on."""

    @property
    def own_process(self) -> bool:
        """Whether agents usually run in a process of their own."""


def usual_mode(needs: Needs, packages: Packages) -> Mode:
    """Where agents of a kind run when neither configuration nor options say anything else."""
    if _lacking(needs, packages):
        return "environment"
    return "process" if needs.own_process else "none"


def stays_here(spec: AdapterSpec, origin: AdapterOrigin) -> str | None:
    """Why agents of a kind can run in the host's own process alone; None where they can move."""
    if spec.is_team:
        return "a team has no process of its own, but each of its members may have one"
    if spec.needs_person is not None and not spec.requires:
        return "a person is asked by this process"
    if origin.module is not None:
        return None
    if origin.source == "configuration":
        return (
            f"its adapter is the configuration's own plugin {origin.target!r}, and only the adapter"
            " of an installed package can be had in another process"
        )
    return "what makes them is an object of this process, not the module of a package"


def place(
    spec: AdapterSpec,
    options: Any,
    isolation: Isolation,
    *,
    origin: AdapterOrigin,
    packages: Packages,
    variables: Sequence[str] = (),
    more: Sequence[str] = (),
) -> Placement:
    """Decide where an agent runs.

    Args:
        spec: Its kind.
        options: Its validated options.
        isolation: What its configuration asks for.
        origin: Where its adapter comes from.
        packages: What is installed here.
        variables: Names of the environment variables that it is to get beside the usual ones.
        more: pip requirements of its own beside those of its kind.

    Returns:
        Its place, without a lock.

    Raises:
        ConfigError: What is asked for cannot be had; the text says why and what to do.
    """
    from massgen_bridge.isolation.placement import Placement  # noqa: PLC0415 - not for each command

    redirected = spec.redirects is not None and spec.redirects(options)
    fixed = stays_here(spec, origin)
    if fixed is not None:
        if more:
            raise ConfigError(
                f"agents of kind {spec.kind!r} run in this process alone, without packages of"
                f" their own: {fixed}; take 'packages' out, and install them here"
            )
        return _here_alone(spec, isolation, fixed, redirected=redirected)
    if more:
        spec = replace(spec, requires=(*spec.requires, *more))
    lacking = _lacking(spec, packages)
    if isolation == "auto":
        mode, reason = _chosen(spec, lacking, redirected=redirected)
    else:
        mode, reason = isolation, _ASKED
        _check_asked(spec, isolation, lacking, redirected=redirected)
    if mode == "none":
        return Placement(reason=reason)
    return Placement(
        mode=mode,
        module=origin.module or "",
        requirements=environment_requirements(spec) if mode == "environment" else (),
        python=spec.python,
        variables=tuple(variables),
        redirected=redirected,
        reason=reason,
    )


def environment_requirements(needs: Needs) -> tuple[str, ...]:
    """What an environment for agents of a kind has to hold, with what a worker needs itself.

    Raises:
        ConfigError: Its adapter requires something that cannot be read.
    """
    from massgen_bridge.isolation.requirements import (  # noqa: PLC0415 - not for each command
        core_requirements,
        normalised,
    )

    return normalised((*needs.requires, *core_requirements()))


def _here_alone(
    spec: AdapterSpec, isolation: Isolation, why: str, *, redirected: bool
) -> Placement:
    from massgen_bridge.isolation.placement import Placement  # noqa: PLC0415 - not for each command

    if isolation in {"process", "environment"}:
        raise ConfigError(
            f"agents of kind {spec.kind!r} run in this process alone: {why}; use 'auto' or 'none'"
        )
    if redirected:
        raise ConfigError(
            "the models of your own objects can be redirected only in a process of its own, and"
            f" agents of kind {spec.kind!r} run in this one alone: {why}"
        )
    return Placement(reason=why)


def _chosen(spec: AdapterSpec, lacking: str | None, *, redirected: bool) -> tuple[Mode, str]:
    """What `auto` means for an agent, and why."""
    if lacking:
        return "environment", lacking
    if redirected:
        return "process", "the models of its objects are redirected"
    if spec.own_process:
        return "process", _OWN
    return "none", "its packages are installed here" if spec.requires else "it needs no packages"


def _check_asked(
    spec: AdapterSpec, isolation: Isolation, lacking: str | None, *, redirected: bool
) -> None:
    """See that what a configuration asks for can be had."""
    if isolation == "environment":
        if spec.imports_code and not spec.requires:
            raise ConfigError(
                "an environment of its own would hold nothing that your code may need: agents of"
                f" kind {spec.kind!r} require no packages; name those that it needs in 'packages',"
                " or use 'process', which has all that is installed here"
            )
        return
    if lacking:
        where = "this process" if isolation == "none" else "a process with this Python"
        raise ConfigError(
            f"{isolation!r} is {where}, but {lacking}; use 'auto' or 'environment', or install it"
        )
    if isolation == "none" and redirected:
        raise ConfigError(
            "the models of your own objects can be redirected only in a process of its own; use"
            " 'auto' or 'process'"
        )


def _lacking(needs: Needs, packages: Packages) -> str | None:
    """What keeps a framework from running in this Python, in words; None where nothing does."""
    if not packages.suits(needs.python):
        here = platform.python_version()
        return f"its framework needs Python {needs.python}, and this is {here}"
    unmet = packages.unmet(needs.requires)
    return f"this Python lacks {', '.join(unmet)}" if unmet else None
