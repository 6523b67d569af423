"""Ways of coordination: pure reducers, one a file.

A reducer gets happenings and gives commands (see `massgen_bridge.strategy`). It imports nothing
that does I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.specs import StrategySpec
from massgen_bridge.strategies.consensus import Consensus, ConsensusOptions, check_consensus
from massgen_bridge.strategies.debate import Debate, DebateOptions, check_debate
from massgen_bridge.strategies.group import Group, GroupOptions, check_group
from massgen_bridge.strategies.map_reduce import MapReduce, MapReduceOptions, check_map_reduce
from massgen_bridge.strategies.sequential import Sequential, SequentialOptions, check_sequential
from massgen_bridge.strategies.single import Single

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Consensus",
    "ConsensusOptions",
    "Debate",
    "DebateOptions",
    "Group",
    "GroupOptions",
    "MapReduce",
    "MapReduceOptions",
    "Sequential",
    "SequentialOptions",
    "Single",
    "bridge_strategies",
]


@hookimpl
def bridge_strategies() -> Iterable[StrategySpec]:
    """The built-in strategies."""
    return (
        StrategySpec(
            name="consensus",
            summary="All answer in parallel, see each other's answers, vote or improve, converge.",
            create=Consensus,
            options=ConsensusOptions,
            check=check_consensus,
            roles=True,
        ),
        StrategySpec(
            name="debate",
            summary="All take a position, argue in rounds, and a judge or a vote decides.",
            create=Debate,
            options=DebateOptions,
            check=check_debate,
        ),
        StrategySpec(
            name="group",
            summary="A conversation: one speaks at a time, by an order or as a chair decides.",
            create=Group,
            options=GroupOptions,
            check=check_group,
        ),
        StrategySpec(
            name="map_reduce",
            summary="All answer the task, or parts of it, in parallel; one makes one answer of it.",
            create=MapReduce,
            options=MapReduceOptions,
            check=check_map_reduce,
        ),
        StrategySpec(
            name="sequential",
            summary="One after the other: each agent goes on from what those before it gave.",
            create=Sequential,
            options=SequentialOptions,
            check=check_sequential,
        ),
        StrategySpec(
            name="single",
            summary="The first agent answers; the next one takes over only if it fails.",
            create=lambda _options: Single(),
        ),
    )
