"""A pytest plugin that writes down what became of each test: `-p testing.planted_bugs.report`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["WHERE", "pytest_runtest_logreport", "pytest_sessionfinish"]

WHERE = "PLANTED_BUGS_REPORT"
"""The variable with the path to write to: JSON, by node id and phase what failed there."""

_FAILED: dict[str, dict[str, str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a phase of a test, and why it failed if it did."""
    phases = _FAILED.setdefault(report.nodeid.partition("::")[2], {})
    if not report.passed:
        phases[report.when or ""] = f"{report.outcome}: {report.longreprtext}"


def pytest_sessionfinish() -> None:
    """Write it all down."""
    Path(os.environ[WHERE]).write_text(json.dumps(_FAILED))
