"""What a thousand agents cost over a model's latency, where nothing else costs anything.

Scripted agents sleep 0.3 s and answer; no framework, SDK or server takes part. They answer alike,
so that one answer has a thousand authors and needs no vote. It is the whole product, from the
configuration as a dict to the result, with the journal on disk; its other side is 0.3 s of sleep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from benchmarks.measuring import figure, in_turns, own_data_folder, ratios

import massgen_bridge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measuring import Figure

__all__ = ["SMALL", "measure"]

SMALL: Mapping[str, Any] = {"agents": 10}
"""Arguments that make `measure` quick; the figures then say nothing."""

_DELAY_S = 0.3


def measure(pairs: int = 20, *, agents: int = 1000) -> Figure:
    """Measure scripted agents.

    Args:
        pairs: How often they run.
        agents: How many.
    """
    with own_data_folder():
        return anyio.run(_measure, pairs, agents)


async def _measure(pairs: int, agents: int) -> Figure:
    backend = {"type": "scripted", "answers": ["The same one."], "delay_s": _DELAY_S}
    config = {
        "version": 1,
        "agents": [{"id": f"ada{number}", "backend": backend} for number in range(agents)],
    }

    async def ours() -> None:
        result = await massgen_bridge.arun(config, "Which one?")
        if result.calls != agents or len(result.answers) != 1:
            raise AssertionError(f"expected one answer by {agents} calls: {result}")

    async def bound() -> None:
        await anyio.sleep(_DELAY_S)

    samples = await in_turns(pairs, ours, bound)
    _, details = ratios(samples)
    return figure(
        "many_scripted_agents",
        f"{agents:,} scripted agents of 0.3 s / 0.3 s",
        [ours.wall / _DELAY_S for ours, _ in samples],
        goal=2.0,
        ours_wall_ms=details["ours_wall_ms"],
        ours_cpu_ms=details["ours_cpu_ms"],
    )
