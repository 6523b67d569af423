"""A report to be published: Markdown as GitHub renders it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from massgen_bridge.cli._report_words import (
    by_guarantee,
    by_reason,
    facts,
    shown,
    verdict,
)
from massgen_bridge.display.text import clean
from massgen_bridge.display.words import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from massgen_bridge.cli._report import CheckResult, Report

__all__ = ["report_markdown"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")
_CODE_SPAN = re.compile(r"(`[^`|]+`)")
_RUNS_OF_TICKS = re.compile("`+")


def report_markdown(report: Report, *, verbose: bool) -> str:
    """The report, with its verdict at the top.

    Args:
        report: The report.
        verbose: Show everything that is known of failures.
    """
    parts = [f"# Conformance of `{report.adapter.kind}`", f"**{_escaped(verdict(report))}**"]
    head, *rows = [(name, _escaped(value)) for name, value in facts(report).items()]
    parts.append(_table(head, rows))
    parts += ["## Guarantees", _groups(report)]
    failed, excused = report.of("failed"), report.of("expected_failure")
    for title, found in (("Failures", failed), ("Expected failures", excused)):
        broken = by_guarantee(found)
        parts += [f"## {title}"] if broken else []
        for name, checks in broken.items():
            parts += _broken(name, checks, verbose=verbose)
    missing = report.of("not_run")
    if missing:
        reason = _escaped(missing[0].reason)
        parts += ["## Not run", f"{count(len(missing), 'check')}: {reason}"]
    return "\n\n".join(parts) + "\n"


def _groups(report: Report) -> str:
    columns = shown(report)
    head = ("Group", *(words.capitalize() for words in columns.values()), "What it is about")
    rows = [
        (one.name, *(str(getattr(one.checks, key)) for key in columns), _escaped(one.about))
        for one in report.groups
    ]
    total = ("**all**", *(f"**{getattr(report.totals.checks, key)}**" for key in columns), "")
    return _table(head, [*rows, total], numbers=range(1, len(columns) + 1))


def _broken(guarantee: str, checks: Sequence[CheckResult], *, verbose: bool) -> Iterator[str]:
    """A guarantee that does not hold: what it says, and why it fails in which check."""
    yield f"### `{guarantee}`"
    yield _escaped(checks[0].sentence)
    for reason, names in by_reason(checks).items():
        parameters = ", ".join(_code(name) for name in names if name)
        if parameters:
            yield parameters
        yield _fenced(reason)
    details = [one.details for one in checks if one.details] if verbose else []
    for one in details:
        yield f"<details><summary>Details</summary>\n\n{_fenced(one)}\n\n</details>"


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()
) -> str:
    aligned = set(numbers)
    rule = ["--:" if position in aligned else "---" for position in range(len(head))]
    lines = [head, rule, *([" ".join(cell.split()) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """Text as it is, but for what stands between backticks, which is code."""
    parts = _CODE_SPAN.split(clean(text))
    return "".join(one if number % 2 else _plain(one) for number, one in enumerate(parts))


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _code(text: str) -> str:
    plain = clean(text).replace("`", "'")
    return f"`{plain}`"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in _RUNS_OF_TICKS.findall(text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{clean(text)}\n{ticks}"
