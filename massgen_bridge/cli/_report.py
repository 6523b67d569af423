"""What came out of the conformance suite: values, ready to be printed in any form."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from pydantic import Field

import massgen_bridge
from massgen_bridge.cli._suite_wire import Check, Outcome
from massgen_bridge.errors import AdapterMissing
from massgen_bridge.messages import Frozen, JsonValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from massgen_bridge.agent import Capabilities
    from massgen_bridge.cli._suite_run import SuiteRun
    from massgen_bridge.specs import AdapterSpec

__all__ = [
    "AdapterFacts",
    "CheckResult",
    "Counts",
    "GroupResult",
    "Package",
    "Report",
    "Surroundings",
    "Totals",
    "make_report",
    "packages_of",
    "surroundings",
]


class Package(Frozen):
    """A distribution that the adapter builds on; `version` is the installed one."""

    name: str
    requirement: str
    version: str | None


class AdapterFacts(Frozen):
    """What was tested.

    Attributes:
        kind: The value of `backend.type`.
        summary: One line about it.
        distribution: What it comes from; None for a file.
        version: That distribution's version.
        file: The name of its file, where it is one.
        protocols: By which it speaks to a model; empty where it uses none.
        options: The names of the options that were given.
        packages: What it builds on.
    """

    kind: str
    summary: str
    distribution: str | None
    version: str | None
    file: str | None
    protocols: tuple[str, ...]
    options: tuple[str, ...]
    packages: tuple[Package, ...]


class Surroundings(Frozen):
    """Where it was tested; `date` is the day in UTC."""

    massgen_bridge: str
    python: str
    system: str
    date: str


class Counts(Frozen):
    """How many checks ended in which way."""

    passed: int = 0
    failed: int = 0
    expected_failure: int = 0
    not_claimed: int = 0
    not_run: int = 0


class GroupResult(Frozen):
    """A group of guarantees."""

    name: str
    about: str
    guarantees: int
    checks: Counts


class CheckResult(Check):
    """A check and how it ended; `reason` is short, `details` hold tracebacks."""

    outcome: Outcome
    reason: str
    details: str
    seconds: float


class Totals(Frozen):
    """Everything together.

    Attributes:
        guarantees: How many guarantees there are.
        broken: Those of which a check failed.
        open: Those that are not broken, but of which a check was not run.
        checks: How the checks ended.
        wall_s: Seconds that it took.
        cpu_s: Seconds of CPU; 0 where the system does not tell.
    """

    guarantees: int
    broken: int
    open: int
    checks: Counts
    wall_s: float
    cpu_s: float


class Report(Frozen):
    """The report on an adapter.

    Attributes:
        format: Of this report; another number where a reader of the old one would be misled.
        verdict: `none` where only a part of the suite was run.
        interrupted: Whether somebody ended it early; what was not reached is `not_run`.
        only: That part, as it was asked for.
        question: What the agent was asked, where the suite's own questions were not used.
        suite: The suite's name.
        adapter: What was tested.
        surroundings: Where.
        capabilities: What the adapter claims to be able to do, with these options.
        groups: The groups of guarantees, in the order of the suite.
        checks: Every check, in the same order.
        totals: Everything together.
    """

    format: Literal[1] = 1
    verdict: Literal["conforms", "does_not_conform", "none"]
    interrupted: bool = False
    only: tuple[str, ...]
    question: str | None
    suite: str
    adapter: AdapterFacts
    surroundings: Surroundings
    capabilities: dict[str, JsonValue] = Field(default_factory=dict)
    groups: tuple[GroupResult, ...]
    checks: tuple[CheckResult, ...]
    totals: Totals

    def of(self, *outcomes: Outcome) -> list[CheckResult]:
        """The checks that ended in one of some ways."""
        return [one for one in self.checks if one.outcome in outcomes]


def packages_of(
    spec: AdapterSpec, versions: Mapping[str, str] | None = None
) -> tuple[Package, ...]:
    """What an adapter builds on, with the versions that are installed.

    Args:
        spec: The adapter.
        versions: Those in an environment of its own, by name; None: this process's packages.

    Raises:
        AdapterMissing: Something of it is not installed.
    """
    found = []
    for requirement in spec.requires:
        named = re.match(r"[A-Za-z0-9._-]+", requirement)
        name = named[0] if named else requirement
        installed = _version(name) if versions is None else versions.get(_canonical(name))
        if installed is None:
            if ";" in requirement:  # needed in other surroundings, as it seems
                continue
            raise AdapterMissing(
                f"agent kind {spec.kind!r} needs {requirement!r}, which is not installed; install "
                f"it with: pip install {requirement!r}"
            )
        found.append(Package(name=name, requirement=requirement, version=installed))
    return tuple(found)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def surroundings() -> Surroundings:
    """Where this process runs, as far as it is anybody's business."""
    return Surroundings(
        massgen_bridge=massgen_bridge.__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.machine()}",
        date=f"{datetime.now(UTC):%Y-%m-%d}",
    )


def make_report(
    run: SuiteRun,
    facts: AdapterFacts,
    *,
    only: Sequence[str],
    question: str | None,
    times: tuple[float, float],
    scrub: Callable[[str], str],
) -> Report:
    """The report on a run that has ended.

    Args:
        run: The run.
        facts: What was tested.
        only: The part of the suite that was asked for; empty for all of it.
        question: What the agent was asked; None for what the suite asks.
        times: Seconds that it took, and seconds of CPU.
        scrub: Takes out of a text what must not be published.
    """
    assert run.ready is not None  # noqa: S101 - it has ended, so it was set up
    checks = tuple(_result(one, run, scrub) for one in run.ready.checks)
    broken = {one.guarantee for one in checks if one.outcome == "failed"}
    not_run = {one.guarantee for one in checks if one.outcome == "not_run"}
    totals = Totals(
        guarantees=len({one.guarantee for one in checks}),
        broken=len(broken),
        open=len(not_run - broken),
        checks=_counts(checks),
        wall_s=round(times[0], 1),
        cpu_s=round(times[1], 1),
    )
    partial = bool(only) or run.interrupted
    return Report(
        verdict="none" if partial else "does_not_conform" if broken or not_run else "conforms",
        interrupted=run.interrupted,
        only=tuple(only),
        question=None if question is None else scrub(question),
        suite=run.ready.suite,
        adapter=facts,
        surroundings=surroundings(),
        capabilities=_plain(run.ready.capabilities),
        groups=tuple(_group(name, about, checks) for name, about in run.ready.groups.items()),
        checks=checks,
        totals=totals,
    )


def _result(check: Check, run: SuiteRun, scrub: Callable[[str], str]) -> CheckResult:
    ended = run.ended[check.name]
    return CheckResult(
        **check.model_dump(),
        outcome=ended.outcome,
        reason=scrub(ended.reason),
        details=scrub(ended.details),
        seconds=ended.seconds,
    )


def _group(name: str, about: str, checks: Sequence[CheckResult]) -> GroupResult:
    own = [one for one in checks if one.group == name]
    guarantees = len({one.guarantee for one in own})
    return GroupResult(name=name, about=about, guarantees=guarantees, checks=_counts(own))


def _counts(checks: Sequence[CheckResult]) -> Counts:
    outcomes = [one.outcome for one in checks]
    return Counts(**{name: outcomes.count(name) for name in set(outcomes)})


def _plain(capabilities: Capabilities) -> dict[str, JsonValue]:
    plain = capabilities.model_dump(mode="json")
    return {**plain, "inputs": sorted(plain["inputs"])}
