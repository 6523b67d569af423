"""Print all figures that the project promises, as a table, as JSON, or as Markdown.

    python tests/benchmarks/run.py [--json | --markdown] [--only NAME] [--pairs N]

Each benchmark runs in a process of its own, so that what one imports weighs on no other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BENCHMARKS", "main", "render"]

BENCHMARKS = (
    "startup",
    "run_command",
    "core_size",
    "openai_adapter",
    "anthropic_adapter",
    "gemini_adapter",
    "langchain_adapter",
    "ag2_adapter",
    "ag2_classic_adapter",
    "crewai_adapter",
    "gateway",
    "worker",
    "consensus",
    "staged",
    "live_display",
    "many_agents",
    "streams",
    "faults",
    "scripted_agents",
    "journal",
    "sessions",
    "pictures",
    "conformance",
)
"""The modules `bench_NAME`: each has a function `measure(pairs)`."""

ELSEWHERE = {
    "ag2_adapter": "ag2",
    "ag2_classic_adapter": "ag2_classic",
    "crewai_adapter": "crewai",
}
"""Benchmarks of kinds whose framework stands only in the adapter's own project, by its folder."""

_INSIDE = "--inside"
_ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that are asked for; the exit code is 1 where a goal was missed."""
    options = _parser().parse_args(arguments)
    if options.inside:
        json.dump(_measure(options), sys.stdout)
        return 0
    figures: list[dict[str, Any]] = []
    for name in options.only or BENCHMARKS:
        figures += _in_process(name, options)
    sys.stdout.write(render(figures, options.form) + "\n")
    return 0 if all(figure["passed"] for figure in figures) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure what the project promises; every ratio within one run."
    )
    form = parser.add_mutually_exclusive_group()
    for name, what in (
        ("json", "every pair, and the figures behind it"),
        ("markdown", "a table for the documentation"),
    ):
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=what)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one; again")
    parser.add_argument("--pairs", type=int, default=20, help="measurements of each side (20)")
    parser.add_argument(
        "--small", action="store_true", help="tiny forms, to see that they work; no real figures"
    )
    parser.add_argument(_INSIDE, choices=BENCHMARKS, help=argparse.SUPPRESS)
    return parser


def _in_process(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    python = [sys.executable]
    if name in ELSEWHERE:
        project = str(_ROOT / "adapters" / ELSEWHERE[name])
        python = ["uv", "run", "--quiet", "--frozen", "--project", project, "python"]
    command = [*python, __file__, _INSIDE, name, "--pairs", str(options.pairs)]
    if options.small:
        command.append("--small")
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    figures: list[dict[str, Any]] = json.loads(done.stdout)
    return figures


def _measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    module = resolve_name(f"benchmarks.bench_{options.inside}")
    small = getattr(module, "SMALL", {}) if options.small else {}
    measured = module.measure(options.pairs, **small)
    return measured if isinstance(measured, list) else [measured]


def render(figures: Sequence[dict[str, Any]], form: str | None = None) -> str:
    """The figures as text.

    Args:
        figures: As `benchmarks.measuring.Figure` has them.
        form: `json`, `markdown`, or None for a plain table.
    """
    if form == "json":
        return json.dumps(figures, indent=2)
    head = ("figure", "median", "min - max", "goal", "")
    rows = _rows(figures)
    if form == "markdown":
        lines = [head, ("---", "--:", "--:", "---", "---"), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )


def _rows(figures: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, str, str]]:
    return [
        (
            figure["what"],
            f"{figure['median']:.3g}",
            f"{figure['min']:.3g} - {figure['max']:.3g}",
            f"{figure['sense']} {figure['goal']:g}",
            "met" if figure["passed"] else "MISSED",
        )
        for figure in figures
    ]


if __name__ == "__main__":
    sys.exit(main())
