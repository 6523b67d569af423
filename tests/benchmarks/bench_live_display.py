"""What the live display costs a run: ten `openai` agents, each streaming 100 tokens a second.

Both sides are the same run with the journal on disk; one of them draws into a terminal that another
process reads. The agents' answers are alike, so that all of a run is streaming. Meanwhile a task
of the event loop sleeps for 5 ms again and again: what it oversleeps is the loop's lag.
"""

from __future__ import annotations

import os
import pty
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
from benchmarks.measuring import figure, own_data_folder
from benchmarks.model_server import model_server

import massgen_bridge
from massgen_bridge.display.live import LiveDisplay
from massgen_bridge.testing.agents import TEST_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

    from benchmarks.measuring import Figure

__all__ = ["SMALL", "measure"]

SMALL: Mapping[str, Any] = {"agents": 2, "tokens": 20}
"""Arguments that make `measure` quick; the figures then say nothing."""

_NAP_S = 0.005
_TOKENS_PER_SECOND = 100.0


class _Taken(NamedTuple):
    """One run: the loop's lag at the 99th percentile, and the share of a core, both from 0."""

    lag_ms: float
    share: float


def measure(pairs: int = 20, *, agents: int = 10, tokens: int = 300) -> list[Figure]:
    """Measure the display.

    Args:
        pairs: How often both sides take their turn.
        agents: How many stream at the same time.
        tokens: How many each of them streams.
    """
    os.environ["BENCHMARK_KEY"] = TEST_KEY
    with model_server(tokens_per_second=_TOKENS_PER_SECOND) as server, own_data_folder():
        config = _config(server.url, agents, tokens)
        _shown(config)
        taken = []
        for number in range(pairs):
            if number % 2:
                hidden = _hidden(config)
                taken.append((_shown(config), hidden))
            else:
                shown = _shown(config)
                taken.append((shown, _hidden(config)))
    what = f"{agents} agents streaming {_TOKENS_PER_SECOND:g} tokens a second each"
    return [
        figure(
            "live_display_lag",
            f"lag of the event loop, 99th percentile in ms, live display of {what}",
            [shown.lag_ms for shown, _ in taken],
            goal=20,
            without_display_ms=round(statistics.median(hidden.lag_ms for _, hidden in taken), 2),
        ),
        figure(
            "live_display_share",
            f"percent of a core that the live display adds, {what}",
            [max(100 * (shown.share - hidden.share), 0.0) for shown, hidden in taken],
            goal=5,
            without_display_percent=round(
                100 * statistics.median(hidden.share for _, hidden in taken), 1
            ),
        ),
    ]


def _shown(config: Mapping[str, Any]) -> _Taken:
    with _terminal() as terminal:
        display = LiveDisplay(stdout=terminal, stderr=terminal)
        with display:
            taken, result = anyio.run(_run, config, display.listen)
        display.finish(result)
    return taken


def _hidden(config: Mapping[str, Any]) -> _Taken:
    return anyio.run(_run, config, None)[0]


async def _run(config: Mapping[str, Any], listen: Any) -> tuple[_Taken, Any]:
    lags: list[float] = []
    cpu, wall = time.process_time(), time.perf_counter()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, lags)
        result = await massgen_bridge.arun(config, "Say much.", on_record=listen)
        tasks.cancel_scope.cancel()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if result.status != "answered" or len(result.answers) != 1:
        raise AssertionError(f"expected one answer of all: {result}")
    p99 = statistics.quantiles(lags, n=100)[-1]
    return _Taken(lag_ms=1000 * p99, share=cpu / wall), result


async def _watch(lags: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await anyio.sleep(_NAP_S)
        lags.append(max(time.perf_counter() - before - _NAP_S, 0.0))


@contextmanager
def _terminal() -> Iterator[TextIO]:
    """A terminal of 120 by 40 that somebody reads as fast as it can be read."""
    master, slave = pty.openpty()
    with (
        subprocess.Popen(
            (sys.executable, "-c", "import os\nwhile os.read(0, 65536): pass"),
            stdin=master,
            stderr=subprocess.DEVNULL,
        ),
        os.fdopen(slave, "w") as terminal,
    ):
        os.close(master)
        os.environ.update(COLUMNS="120", LINES="40", TERM="xterm-256color")
        yield terminal


def _config(url: str, agents: int, tokens: int) -> dict[str, Any]:
    return {
        "version": 1,
        "models": {
            "talker": {
                "provider": "openai",
                "model": f"talker#{tokens}",
                "base_url": url,
                "api_key": "${BENCHMARK_KEY}",
            }
        },
        "agents": [
            {"id": f"ada{number}", "backend": {"type": "openai", "model": "talker"}}
            for number in range(1, agents + 1)
        ],
    }
