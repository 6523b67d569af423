"""The strategy `your_name`: everybody answers once, and the shortest answer wins.

A strategy is a pure function: it gets what happened and says what to do next. It does no I/O,
reads no clock, and keeps everything that it knows in a frozen state.
"""

from __future__ import annotations

from massgen_bridge import StrategySpec, hookimpl

from massgen_bridge_your_name._strategy import Shortest, ShortestState

__all__ = ["Shortest", "ShortestState", "bridge_strategies"]


@hookimpl
def bridge_strategies() -> list[StrategySpec]:
    """Register the strategy `your_name`."""
    return [
        StrategySpec(
            name="your_name",
            summary="Everybody answers once; the shortest answer wins.",
            create=lambda _options: Shortest(),
        )
    ]
