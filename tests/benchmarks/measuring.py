"""What all benchmarks share: two sides that take turns, and the figure that comes of it."""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

__all__ = ["DISK", "Figure", "Sample", "figure", "in_turns", "own_data_folder", "ratios"]

# On the disk of the checkout: a temporary folder may be in memory, where nothing has to be durable.
DISK = Path(__file__).parents[2] / ".cache"


class Figure(TypedDict):
    """One promise and what was measured.

    Attributes:
        name: Names it for `--only`.
        what: What is measured, and in what: a ratio names both sides.
        median: Of `pairs`; `min` and `max` likewise.
        goal: What was promised; `sense` says on which side of it the median has to be.
        passed: Whether it is.
        pairs: What each pair of measurements gave, sorted.
        details: Absolute figures and whatever else helps to read the median.
    """

    name: str
    what: str
    median: float
    min: float
    max: float
    goal: float
    sense: Literal["at most", "at least", "exactly"]
    passed: bool
    pairs: list[float]
    details: dict[str, Any]


def figure(
    name: str,
    what: str,
    pairs: Sequence[float],
    *,
    goal: float,
    sense: Literal["at most", "at least", "exactly"] = "at most",
    **details: Any,
) -> Figure:
    """A figure from what each pair gave; a count that must be exact is held to in every pair."""
    median = statistics.median(pairs)
    passed = {
        "at most": median <= goal,
        "at least": median >= goal,
        "exactly": all(pair == goal for pair in pairs),
    }[sense]
    return Figure(
        name=name,
        what=what,
        median=round(median, 3),
        min=round(min(pairs), 3),
        max=round(max(pairs), 3),
        goal=goal,
        sense=sense,
        passed=passed,
        pairs=sorted(round(pair, 3) for pair in pairs),
        details=details,
    )


class Sample(NamedTuple):
    """What one measurement took, in seconds: on the clock, and of this process's CPU time."""

    wall: float
    cpu: float


async def in_turns(
    pairs: int, ours: Callable[[], Awaitable[Any]], bare: Callable[[], Awaitable[Any]]
) -> list[tuple[Sample, Sample]]:
    """Measure two sides, each once a pair; who begins changes from pair to pair.

    So whatever else the machine does weighs on both, and neither always finds warm caches. A
    first pair warms both up and is not counted.
    """
    await ours()
    await bare()
    samples = []
    for number in range(pairs):
        if number % 2:
            second = await _take(bare)
            samples.append((await _take(ours), second))
        else:
            first = await _take(ours)
            samples.append((first, await _take(bare)))
    return samples


async def _take(call: Callable[[], Awaitable[Any]]) -> Sample:
    gc.collect()  # nobody pays for what the other left behind
    wall, cpu = time.perf_counter(), time.process_time()
    await call()
    return Sample(time.perf_counter() - wall, time.process_time() - cpu)


def ratios(
    samples: Sequence[tuple[Sample, Sample]], *, calls: int = 1
) -> tuple[list[float], dict[str, Any]]:
    """Our wall time over the bare side's, pair by pair, and the medians behind it.

    Args:
        samples: Of our side and of the bare one.
        calls: Calls in one sample.

    Returns:
        The ratios, and as details: the median ratio of CPU time, and the median milliseconds a
        call of both sides.
    """
    walls = [ours.wall / bare.wall for ours, bare in samples]
    details = {"median_cpu_ratio": statistics.median(o.cpu / b.cpu for o, b in samples)}
    for side, taken in zip(("ours", "bare"), zip(*samples, strict=True), strict=True):
        details[f"{side}_wall_ms"] = 1000 / calls * statistics.median(one.wall for one in taken)
        details[f"{side}_cpu_ms"] = 1000 / calls * statistics.median(one.cpu for one in taken)
    return walls, {name: round(value, 3) for name, value in details.items()}


@contextmanager
def own_data_folder() -> Iterator[None]:
    """Runs within keep their journals on the disk of the checkout, in a folder that then goes."""
    before = os.environ.get("MASSGEN_BRIDGE_DATA")
    DISK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DISK) as folder:
        os.environ["MASSGEN_BRIDGE_DATA"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["MASSGEN_BRIDGE_DATA"]
            else:
                os.environ["MASSGEN_BRIDGE_DATA"] = before
