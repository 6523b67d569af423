"""The words of a report, whatever its form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.display.words import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.cli._report import CheckResult, Counts, Report

__all__ = [
    "COLUMNS",
    "abilities",
    "by_guarantee",
    "by_reason",
    "facts",
    "shown",
    "verdict",
]

COLUMNS = {
    "passed": "passed",
    "failed": "failed",
    "expected_failure": "expected to fail",
    "not_claimed": "not claimed",
    "not_run": "not run",
}
"""The ways in which a check ends, in words."""

_ABILITIES = {
    "streaming": "streaming",
    "tools": "tools",
    "structured": "structured output",
    "history": "history",
    "group": "a group of agents",
}


def verdict(report: Report) -> str:
    """The verdict in one line."""
    kind, totals = report.adapter.kind, report.totals
    checks = sum(totals.checks.model_dump().values())
    if report.interrupted:
        so_far = f"{checks - totals.checks.not_run} of {count(checks, 'check')}"
        failed = totals.checks.failed
        return f"{kind}: interrupted after {so_far}, {failed} failed, so this is no verdict"
    if report.verdict == "none":
        failed = totals.checks.failed + totals.checks.not_run
        of = count(checks, "check")
        return f"{kind}: {failed} of {of} failed in a part of the suite, so this is no verdict"
    if report.verdict == "does_not_conform":
        of = count(totals.guarantees, "guarantee")
        and_open = f", {totals.open} not run" if totals.open else ""
        return f"{kind} does not conform ({totals.broken} of {of} broken{and_open})"
    excused = len({one.guarantee for one in report.of("expected_failure")})
    but = f", but for {excused} expected to fail" if excused else ""
    return f"{kind} conforms ({count(totals.guarantees, 'guarantee')} hold{but})"


def facts(report: Report) -> dict[str, str]:
    """What was tested, where, and how long it took."""
    adapter, where, totals = report.adapter, report.surroundings, report.totals
    origin = adapter.file or " ".join(filter(None, (adapter.distribution, adapter.version)))
    told = {
        "Adapter": f"{adapter.kind} from {origin}" if origin else adapter.kind,
        "Builds on": ", ".join(f"{one.name} {one.version}" for one in adapter.packages),
        "Speaks": ", ".join(adapter.protocols),
        "Can": abilities(report),
        "Options": ", ".join(adapter.options),
        "Suite": f"{report.suite} of massgen-bridge {where.massgen_bridge}",
        "Only": ", ".join(report.only),
        "Asked": report.question or "",
        "Run on": f"{where.python}, {where.system}, {where.date}",
        "Took": f"{totals.wall_s:g} s, {totals.cpu_s:g} s of CPU",
    }
    return {name: value for name, value in told.items() if value}


def abilities(report: Report) -> str:
    """What the adapter claims to be able to do."""
    able = report.capabilities
    told = [words for name, words in _ABILITIES.items() if able.get(name)]
    inputs = able.get("inputs")
    told += [f"{one} input" for one in inputs] if isinstance(inputs, list) else []
    return ", ".join(str(one) for one in [*told, f"{able.get('cancellation')} cancellation"])


def shown(report: Report) -> dict[str, str]:
    """The columns that a table needs: the first two, and others that hold anything."""
    counts: Counts = report.totals.checks
    always = {"passed", "failed"}
    return {key: words for key, words in COLUMNS.items() if key in always or getattr(counts, key)}


def by_guarantee(checks: Iterable[CheckResult]) -> dict[str, list[CheckResult]]:
    """Checks by what they hold an adapter to."""
    found: dict[str, list[CheckResult]] = {}
    for one in checks:
        found.setdefault(one.guarantee, []).append(one)
    return found


def by_reason(checks: Iterable[CheckResult]) -> dict[str, list[str]]:
    """The parameters of checks of one guarantee, by why these fail."""
    found: dict[str, list[str]] = {}
    for one in checks:
        parameters = one.name.removeprefix(one.guarantee).removeprefix("[").removesuffix("]")
        found.setdefault(one.reason, []).append(parameters)
    return found
