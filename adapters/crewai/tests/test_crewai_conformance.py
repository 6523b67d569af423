"""The adapter's forms keep what every adapter promises."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge_crewai import bridge_adapters

from massgen_bridge.testing.conformance import AgentConformance, ModelAgentConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec

HERE = Path(__file__).parent
FILE = HERE / "crewai_crews.py"
CREWS = runpy.run_path(str(FILE))
STOPPED = (
    "test_a_cancelled_turn_takes_no_other_with_it",
    "test_a_turn_cancelled_at_an_event_stops",
    "test_a_turn_cancelled_twice_ends_once",
    "test_a_turn_cancelled_while_it_works_stops",
    "test_a_turn_ends_at_its_time_limit",
)
# CrewAI puts a task into words of its own, and takes no empty answer.
WRAPPED = {
    "test_the_question_reaches_the_model_unchanged": "a crew's tasks are put around it",
    "test_model_calls_run_at_the_same_time": "the echo holds the crew's task around the question",
    "test_the_answer_is_exactly_what_the_model_said[empty]": "CrewAI takes no empty answer",
}
KILLED = dict.fromkeys(
    STOPPED, "it is stopped by ending its process, and this suite runs it in its own"
)
FILES = {name: str(HERE / "crew" / f"{name}.yaml") for name in ("agents", "tasks")}


class TestModelConformance(ModelAgentConformance):
    """An agent made from YAML alone."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}


class TestModelApartConformance(TestModelConformance):
    """The same in a process of its own, where it runs by default."""

    isolation = "process"


class TestCrewFilesConformance(TestModelConformance):
    """A crew from CrewAI's own files."""

    def options(self) -> dict[str, Any]:
        return dict(FILES)

    def expected_failures(self) -> Mapping[str, str]:
        return WRAPPED


class TestCrewFilesApartConformance(TestCrewFilesConformance):
    """The same in a process of its own."""

    isolation = "process"


class TestFlowConformance(AgentConformance):
    """A user's flow that calls no model; only the end of its process stops it for sure."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"flow": f"{FILE}:Echo"}

    def load(self, path: str) -> Any:
        return CREWS[path.rpartition(":")[2]]

    def expected_failures(self) -> Mapping[str, str]:
        return KILLED if self.isolation == "none" else {}


class TestFlowApartConformance(TestFlowConformance):
    """The same in a process of its own, which each of its turns has anew."""

    isolation = "process"

    def options(self) -> dict[str, Any]:
        return {"flow": f"{FILE}:Forgetful"}


class TestCrewConformance(TestFlowConformance):
    """A user's crew with a model of its own."""

    def options(self) -> dict[str, Any]:
        return {"crew": f"{FILE}:make_parrot"}


class TestCrewApartConformance(TestCrewConformance):
    """The same in a process of its own."""

    isolation = "process"
