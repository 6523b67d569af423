"""Ways of coordination: pure reducers, one a file.

A reducer gets happenings and gives commands (see `massgen_bridge.strategy`). It imports nothing
that does I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.specs import StrategySpec
from massgen_bridge.strategies.consensus import Consensus, ConsensusOptions
from massgen_bridge.strategies.single import Single

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Consensus", "ConsensusOptions", "Single", "bridge_strategies"]


@hookimpl
def bridge_strategies() -> Iterable[StrategySpec]:
    """The built-in strategies."""
    return (
        StrategySpec(
            name="consensus",
            summary="All answer in parallel, see each other's answers, vote or improve, converge.",
            create=Consensus,
            options=ConsensusOptions,
        ),
        StrategySpec(
            name="single",
            summary="The first agent answers; the next one takes over only if it fails.",
            create=lambda _options: Single(),
        ),
    )
