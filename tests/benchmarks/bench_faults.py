"""What comes of runs at a provider of which every fifth answer is a fault.

The faults are 429, 503, a connection that is cut before or within an answer, and a stream that
stalls. A run has one agent of a kind that calls a model by itself; eight run at a time. Each figure
has one value a kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from benchmarks.measuring import figure, own_data_folder
from runtime.faults import PROTOCOLS, play

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measuring import Figure
    from runtime.faults import Tally

__all__ = ["SMALL", "measure"]

SMALL: Mapping[str, Any] = {"runs": 8}
"""Arguments that make `measure` quick; the figures then say nothing."""

_SEED = 20


def measure(
    pairs: int = 20,  # noqa: ARG001 - all benchmarks are called alike; here counts are exact
    *,
    runs: int = 300,
) -> list[Figure]:
    """Play the runs.

    Args:
        pairs: Of no use here.
        runs: How many of each kind.
    """
    with own_data_folder():
        tallies = {kind: anyio.run(_played, kind, runs) for kind in PROTOCOLS}
    what = f"of {runs} runs of each kind with 20 % of faults"
    details = {kind: f"{one.failed} failed, {dict(one.retries)}" for kind, one in tallies.items()}
    return [
        figure(
            "faults_right",
            f"percent {what} that gave the right answer or one clear failure",
            [100 * (one.answered + one.failed) / runs for one in tallies.values()],
            goal=100,
            sense="exactly",
            **details,
        ),
        figure(
            "faults_doubled",
            f"runs with text that came twice, {what}",
            [one.doubled for one in tallies.values()],
            goal=0,
            sense="exactly",
        ),
        figure(
            "faults_leaked",
            f"leaked sockets {what}",
            [one.leaked for one in tallies.values()],
            goal=0,
            sense="exactly",
        ),
    ]


async def _played(kind: str, runs: int) -> Tally:
    return await play(kind, runs, seed=_SEED)
