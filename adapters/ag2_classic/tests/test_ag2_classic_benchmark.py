"""The benchmark of this adapter runs, in a tiny form: what it measures then says nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parents[3] / "tests" / "benchmarks" / "run.py"


def test_the_benchmark_gives_its_figures() -> None:
    command = [sys.executable, str(RUN), "--inside", "ag2_classic_adapter", "--pairs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert [one["name"] for one in figures] == [
        "ag2_classic_adapter_1_tokens",
        "ag2_classic_adapter_100_tokens",
    ]
