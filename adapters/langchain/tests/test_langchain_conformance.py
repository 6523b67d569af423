"""The adapter's two forms keep what every adapter promises."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge_langchain import bridge_adapters

from massgen_bridge.testing.conformance import AgentConformance, ModelAgentConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec

FILE = Path(__file__).with_name("langchain_graphs.py")
GRAPHS = runpy.run_path(str(FILE))


class TestModelConformance(ModelAgentConformance):
    """An agent made from YAML alone."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}


class TestModelApartConformance(TestModelConformance):
    """The same in a process of its own."""

    isolation = "process"


class TestGraphConformance(TestModelConformance):
    """A user's LangGraph graph."""

    def options(self) -> dict[str, Any]:
        return {"graph": f"{FILE}:make_agent_graph"}

    def load(self, path: str) -> Any:
        return GRAPHS[path.rpartition(":")[2]]


class TestGraphApartConformance(TestGraphConformance):
    """The same in a process of its own."""

    isolation = "process"


class TestRunnableConformance(TestGraphConformance):
    """A user's Runnable that is no graph."""

    def options(self) -> dict[str, Any]:
        return {"graph": f"{FILE}:make_chat"}


class TestOwnCodeConformance(AgentConformance):
    """A user's graph that calls no model."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"graph": f"{FILE}:compiled"}

    def load(self, path: str) -> Any:
        return GRAPHS[path.rpartition(":")[2]]


class TestOwnCodeApartConformance(TestOwnCodeConformance):
    """The same in a process of its own."""

    isolation = "process"
