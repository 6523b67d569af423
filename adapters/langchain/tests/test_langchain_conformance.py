"""The adapter's two forms keep what every adapter promises."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge_langchain import bridge_adapters

from massgen_bridge.testing.conformance import AgentConformance, ModelAgentConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec

GRAPHS = runpy.run_path(str(Path(__file__).with_name("langchain_graphs.py")))


class TestModelConformance(ModelAgentConformance):
    """An agent made from YAML alone."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}


class TestGraphConformance(TestModelConformance):
    """A user's LangGraph graph."""

    def options(self) -> dict[str, Any]:
        return {"graph": "graphs.py:make_agent_graph"}

    def load(self, path: str) -> Any:
        return GRAPHS[path.removeprefix("graphs.py:")]


class TestRunnableConformance(TestGraphConformance):
    """A user's Runnable that is no graph."""

    def options(self) -> dict[str, Any]:
        return {"graph": "graphs.py:make_chat"}


class TestOwnCodeConformance(AgentConformance):
    """A user's graph that calls no model."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"graph": "graphs.py:compiled"}

    def load(self, path: str) -> Any:
        return GRAPHS[path.removeprefix("graphs.py:")]
