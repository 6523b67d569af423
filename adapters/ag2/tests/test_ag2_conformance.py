"""Each form of the adapter keeps what every adapter promises."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge_ag2 import bridge_adapters

from massgen_bridge.testing.conformance import ModelAgentConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec

FILE = Path(__file__).with_name("ag2_agents.py")
AGENTS = runpy.run_path(str(FILE))


class TestModelConformance(ModelAgentConformance):
    """One AG2 agent from YAML alone."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}


class TestModelApartConformance(TestModelConformance):
    """The same in a process of its own."""

    isolation = "process"


class TestGroupOfOneWordConformance(ModelAgentConformance):
    """A group chat that ends with its first message meets all that a model can do."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"group": {"members": [{"name": "ann"}, {"name": "bob"}], "max_turns": 1}}


class TestGroupOfOneWordApartConformance(TestGroupOfOneWordConformance):
    """The same in a process of its own."""

    isolation = "process"


class TestOwnAgentConformance(ModelAgentConformance):
    """A user's own AG2 agent, its model calls redirected."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"agent": f"{FILE}:make_agent", "models": "gateway"}

    def load(self, path: str) -> Any:
        return AGENTS[path.rpartition(":")[2]]


class TestOwnAgentApartConformance(TestOwnAgentConformance):
    """The same in a process of its own."""

    isolation = "process"
