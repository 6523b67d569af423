"""A report for a terminal."""

from __future__ import annotations

from textwrap import indent, wrap
from typing import TYPE_CHECKING

from massgen_bridge.cli._report_words import (
    COLUMNS,
    by_guarantee,
    by_reason,
    facts,
    shown,
    verdict,
)
from massgen_bridge.cli._stdout import columns
from massgen_bridge.cli._tables import table
from massgen_bridge.display.text import clean
from massgen_bridge.display.words import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from massgen_bridge.cli._report import CheckResult, Report

__all__ = ["report_text"]

_USUAL_WIDTH = 80
_WIDEST = 100
_INDENT = "  "


def report_text(report: Report, *, verbose: bool) -> str:
    """The report, with its verdict as the last line.

    Args:
        report: The report.
        verbose: Show everything that is known of failures.
    """
    parts = [_facts(report), _groups(report)]
    for outcome in ("failed", "expected_failure"):
        for name, checks in by_guarantee(report.of(outcome)).items():
            parts.append(_broken(name, checks, verbose=verbose))
    parts += _not_run(report)
    return clean("\n\n".join([*parts, verdict(report)]) + "\n")


def _facts(report: Report) -> str:
    told = facts(report)
    width = max(map(len, told)) + len(_INDENT)
    lines = []
    for name, value in told.items():
        first, *rest = wrap(value, _width() - width)
        lines += [f"{name:<{width}}{first}", *(" " * width + line for line in rest)]
    return "\n".join(lines)


def _groups(report: Report) -> str:
    columns = shown(report)
    head = ["GROUP", *(words.upper() for words in columns.values()), ""]
    rows = [
        [one.name, *(str(getattr(one.checks, key)) for key in columns), one.about]
        for one in report.groups
    ]
    total = ["", *(str(getattr(report.totals.checks, key)) for key in columns), ""]
    return table(head, [*rows, total]).rstrip("\n")


def _broken(guarantee: str, checks: Sequence[CheckResult], *, verbose: bool) -> str:
    """A guarantee that does not hold: what it says, and why it fails in which check."""
    outcome = COLUMNS[checks[0].outcome].upper()
    lines = [f"{outcome}: {guarantee}", *_wrapped(checks[0].sentence)]
    for reason, names in by_reason(checks).items():
        parameters = ", ".join(filter(None, names))
        lines += [f"{_INDENT}- {parameters}"] if parameters else []
        lines += _indented(reason)
    if verbose:
        lines += [indent(one.details, f"{_INDENT}| ") for one in checks if one.details]
    return "\n".join(lines)


def _not_run(report: Report) -> Iterator[str]:
    missing = report.of("not_run")
    if missing:
        yield "\n".join([f"NOT RUN {count(len(missing), 'check')}", *_wrapped(missing[0].reason)])


def _wrapped(text: str) -> list[str]:
    return wrap(text, _width(), initial_indent=_INDENT, subsequent_indent=_INDENT)


def _indented(text: str) -> list[str]:
    """Lines as they are; in a terminal they are wrapped, so that the indent stays to be seen."""
    lines = text.splitlines()
    if columns() is None:
        return [_INDENT * 2 + line for line in lines]
    first, rest = _INDENT * 2, _INDENT * 4
    wrapped = (wrap(line, _width(), initial_indent=first, subsequent_indent=rest) for line in lines)
    return [line for part in wrapped for line in part]


def _width() -> int:
    width = columns()
    return _USUAL_WIDTH if width is None else max(40, min(width, _WIDEST))
