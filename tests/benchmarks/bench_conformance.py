"""What the conformance suite takes on one adapter: CPU time of pytest and all that it starts.

Most of its time on the clock is waiting, for paced answers and for what must not happen.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measuring import Figure

__all__ = ["SMALL", "measure"]

_GOAL_S = 60.0
_MOST_RUNS = 3  # one takes a quarter of a minute, and they hardly differ
_ROOT = Path(__file__).parents[2]
_SUITES = {
    "anthropic": "test_anthropic_conformance.py::TestConformance",
    "gemini": "test_gemini_conformance.py::TestConformance",
    "langchain": "test_langchain_conformance.py::TestModelConformance",
    "openai": "test_openai_conformance.py::TestConformance",
}

SMALL = {"options": ("-k", "well_formed")}


def measure(pairs: int = 20, *, options: Sequence[str] = ()) -> list[Figure]:
    """Run the suite on each adapter, in a process of its own.

    Args:
        pairs: How often, up to three times.
        options: Further ones for pytest.
    """
    figures = []
    for kind, suite in _SUITES.items():
        tests = _ROOT / "adapters" / kind / "tests" / suite
        command = (sys.executable, "-m", "pytest", "-q", str(tests), *options)
        taken = [_cpu(command) for _ in range(min(pairs, _MOST_RUNS))]
        what = f"conformance suite on the {kind} adapter, seconds of CPU time"
        figures.append(figure(f"conformance_{kind}", what, taken, goal=_GOAL_S))
    return figures


def _cpu(command: Sequence[str]) -> float:
    """CPU seconds of one process and its children, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=_ROOT, stdout=sys.stderr, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
