"""What `massgen-bridge run` costs around its model calls, over importing one provider's SDK.

CPU time of the whole process, user and system together, as the system counts it when the model
server hears of a call: from the start to the first call, and from the last call to the exit.
Reading the last answer belongs to the second figure, too. A consensus of three `openai` agents,
with the journal on disk, with bytecode cached; the sides take turns.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.bench_startup import cpu_of
from benchmarks.measuring import DISK, figure, own_data_folder
from benchmarks.model_server import answer_or_vote

from massgen_bridge.testing.agents import TEST_KEY
from massgen_bridge.testing.servers import ModelServer

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

    from massgen_bridge.testing.servers import ModelRequest, Reply

__all__ = ["measure"]

_AGENTS = 3
_BARE = (sys.executable, "-c", "import openai")
_TICKS = os.sysconf("SC_CLK_TCK")


class _Taken(NamedTuple):
    """CPU seconds of one process: before its first model call, and after its last."""

    start: float
    end: float


class _Watch:
    """Reads the CPU time of the process under test whenever a model call of its arrives."""

    def __init__(self) -> None:
        self.pid = 0
        self.seen: list[float] = []

    def __call__(self, request: ModelRequest) -> Reply:
        # After the name in brackets: the state is the third field of the line, user time the 14th.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        self.seen.append((int(fields[11]) + int(fields[12])) / _TICKS)
        return answer_or_vote(request)


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the command against `import openai`.

    Args:
        pairs: How often both sides take their turn.
    """
    watch = _Watch()
    taken: list[tuple[_Taken, float]] = []
    DISK.mkdir(exist_ok=True)
    with (
        ModelServer(watch) as server,
        own_data_folder(),
        tempfile.TemporaryDirectory(dir=DISK) as folder,
    ):
        config = Path(folder, "team.json")
        config.write_text(json.dumps(_config(server.url)))
        _run(config, watch)
        cpu_of(_BARE)
        for number in range(pairs):
            if number % 2:
                bare = cpu_of(_BARE)
                taken.append((_run(config, watch), bare))
            else:
                ours = _run(config, watch)
                taken.append((ours, cpu_of(_BARE)))
    return [
        figure(
            "run_start",
            "`massgen-bridge run`, start to first model call / `import openai`, CPU time",
            [ours.start / bare for ours, bare in taken],
            goal=1.5,
        ),
        figure(
            "run_end",
            "`massgen-bridge run`, last model call to exit / `import openai`, CPU time",
            [ours.end / bare for ours, bare in taken],
            goal=0.3,
        ),
    ]


def _run(config: Path, watch: _Watch) -> _Taken:
    script = str(Path(sys.executable).with_name("massgen-bridge"))
    watch.seen = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        (script, "run", str(config), "How many words does it take?"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**environ, "BENCHMARK_KEY": TEST_KEY},
    ) as process:
        watch.pid = process.pid
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode or len(watch.seen) != 2 * _AGENTS:
        raise AssertionError(f"exit code {process.returncode}, {len(watch.seen)} calls")
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _Taken(start=watch.seen[0], end=whole - watch.seen[-1])


def _config(url: str) -> dict[str, object]:
    numbers = range(1, _AGENTS + 1)
    return {
        "version": 1,
        "models": {
            f"model{number}": {
                "provider": "openai",
                "model": f"model{number}",
                "base_url": url,
                "api_key": "${BENCHMARK_KEY}",
            }
            for number in numbers
        },
        "agents": [
            {"id": f"ada{number}", "backend": {"type": "openai", "model": f"model{number}"}}
            for number in numbers
        ],
    }
