"""A user's own agents keep what every agent promises, here and in a process of their own."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge_ag2_classic import bridge_adapters

from massgen_bridge.testing.conformance import AgentConformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge import AdapterSpec

FILE = Path(__file__).with_name("ag2_classic_chats.py")
CHATS = runpy.run_path(str(FILE))
ENDED = "such an agent is stopped by ending its process, and this suite runs it in its own"


class TestOwnConformance(AgentConformance):
    """Agents that all turns share, one turn at a time."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"chat": f"{FILE}:PARROT"}

    def load(self, path: str) -> Any:
        return CHATS[path.rpartition(":")[2]]

    def expected_failures(self) -> Mapping[str, str]:
        return dict.fromkeys(
            (
                "test_a_cancelled_turn_takes_no_other_with_it",
                "test_a_turn_cancelled_at_an_event_stops",
                "test_a_turn_cancelled_twice_ends_once",
                "test_a_turn_cancelled_while_it_works_stops",
                "test_a_turn_ends_at_its_time_limit",
            ),
            ENDED,
        )


class TestApartConformance(AgentConformance):
    """Agents that are made for each turn, in a process of their own, where it can be stopped."""

    isolation = "process"

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"chat": f"{FILE}:without_model"}
