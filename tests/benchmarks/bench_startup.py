"""What a command costs before it does anything, over importing one provider's SDK.

CPU time, user and system together, of whole processes with their bytecode cached. The sides take
turns, so that whatever else the machine does weighs on all of them. The cache is that of a new
user: with environments of packages in it, `adapters` also reads what they hold.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.measuring import figure

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

__all__ = ["cpu_of", "measure"]

_GOAL = 0.4
_BARE = (sys.executable, "-c", "import openai")
_COMMANDS = {"help": ("--help",), "adapters": ("adapters",)}


def measure(pairs: int = 20) -> list[Figure]:
    """Measure `massgen-bridge --help` and `massgen-bridge adapters` against `import openai`.

    Args:
        pairs: How often all sides take their turn.

    Returns:
        For each command the ratio of CPU times, with milliseconds of both sides as details.
    """
    script = str(Path(sys.executable).with_name("massgen-bridge"))
    ours = {name: (script, *arguments) for name, arguments in _COMMANDS.items()}
    sides: dict[str, tuple[str, ...]] = {**ours, "openai": _BARE}
    for command in sides.values():
        cpu_of(command)  # caches bytecode
    taken: dict[str, list[float]] = {name: [] for name in sides}
    with TemporaryDirectory() as cache:
        for number in range(pairs):
            order = list(sides) if number % 2 else list(reversed(sides))
            for name in order:
                taken[name].append(cpu_of(sides[name], MASSGEN_BRIDGE_CACHE=cache))
    return [
        figure(
            f"startup_{name}",
            f"`massgen-bridge {' '.join(_COMMANDS[name])}` / `import openai`, CPU time",
            [one / bare for one, bare in zip(taken[name], taken["openai"], strict=True)],
            goal=_GOAL,
            ours_cpu_ms=_milliseconds(taken[name]),
            openai_cpu_ms=_milliseconds(taken["openai"]),
        )
        for name in _COMMANDS
    ]


def cpu_of(command: tuple[str, ...], **more: str) -> float:
    """CPU seconds of one process with more environment variables, from its start to its end."""
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | more
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, env=environ, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _milliseconds(seconds: list[float]) -> float:
    return round(1000 * sorted(seconds)[len(seconds) // 2], 1)
