"""What a cancelled turn leaves behind in a process of its own: nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge_langchain import bridge_adapters

from massgen_bridge.testing.conformance import CancellationConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec

GRAPHS = Path(__file__).with_name("langchain_graphs.py")


class TestAgentApart(CancellationConformance):
    """An agent made from YAML alone."""

    isolation = "process"

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}


class TestGraphApart(TestAgentApart):
    """A user's LangGraph graph."""

    def options(self) -> dict[str, Any]:
        return {"graph": f"{GRAPHS}:make_agent_graph"}
