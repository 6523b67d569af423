"""What a cancelled turn leaves behind where the conformance suite does not look: nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge_crewai import bridge_adapters

from massgen_bridge.testing.conformance import CancellationConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec

HERE = Path(__file__).parent
FILES = {
    "agents": str(HERE / "crew" / "agents.yaml"),
    "tasks": str(HERE / "crew" / "two_tasks.yaml"),
}


class TestCrew(CancellationConformance):
    """The second task of a crew is cut off."""

    answers_before = 1

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return dict(FILES)


class TestCrewApart(TestCrew):
    """The same in a process of its own."""

    isolation = "process"


class TestOwnCrewApart(CancellationConformance):
    """A user's own crew, which only the end of its process stops."""

    isolation = "process"

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"crew": f"{HERE / 'crewai_crews.py'}:make_crew"}
