"""The plan of a run: a validated configuration, resolved against the plugins that are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from massgen_bridge.agent import Capabilities, Limits
from massgen_bridge.ballots import room_in, way_for
from massgen_bridge.budget import Budget
from massgen_bridge.media.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from massgen_bridge.agent import InputKind
    from massgen_bridge.ballots import BallotChoice
    from massgen_bridge.events import BallotWay, OuterTurn, Seat
    from massgen_bridge.messages import JsonValue, MediaPart
    from massgen_bridge.runtime.crew import AgentSetup
    from massgen_bridge.runtime.describers import Describer
    from massgen_bridge.specs import ToolSpec
    from massgen_bridge.strategy import Strategy

__all__ = ["PlannedAgent", "RunPlan"]


@dataclass(frozen=True, kw_only=True)
class PlannedAgent:
    """One agent of a run: what it is made of, what it can do, what it may use.

    `context_window` is its model's, in tokens, None where that is not known. `asks_person` says
    that it asks a person, `needs_person` that it cannot do without. `attached` goes along with
    every task that it gets. `sight` is what it takes of media, and `describer` describes pictures
    to it.
    """

    seat: Seat
    setup: AgentSetup
    capabilities: Capabilities
    system_message: str = ""
    ballot: BallotChoice = "auto"
    tools: Sequence[ToolSpec] = ()
    limits: Limits = field(default_factory=Limits)
    budget: Budget = field(default_factory=Budget)
    context_window: int | None = None
    asks_person: bool = False
    needs_person: bool = False
    attached: tuple[MediaPart, ...] = ()
    sight: Sight = field(default_factory=Sight)
    describer: Describer | None = None

    @property
    def takes(self) -> frozenset[InputKind]:
        """Kinds of media that it takes, also where it gets them in words."""
        seen = self.sight.inputs
        return seen if self.sight.blind == "refuse" else seen | {"image"}

    @property
    def way(self) -> BallotWay:
        """How it votes."""
        return way_for(self.capabilities, self.ballot)

    @property
    def room(self) -> int:
        """How many tokens it has for the conversation before."""
        return room_in(self.context_window)


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """A whole run, before its question; `within` tells of which turn it is the work, if any.

    `replayed_from` is the cassette that answers all model calls, if one does. `images` go along
    with the question.
    """

    agents: Sequence[PlannedAgent]
    strategy: Strategy[Any]
    strategy_name: str
    strategy_options: Mapping[str, JsonValue] = field(default_factory=dict)
    deadline_s: float | None = 1800.0
    budget: Budget = field(default_factory=Budget)
    config_file: str | None = None
    within: OuterTurn | None = None
    replayed_from: str | None = None
    images: tuple[MediaPart, ...] = ()
