from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge_anthropic import bridge_adapters

from massgen_bridge.testing.conformance import ModelAgentConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec


class TestConformance(ModelAgentConformance):
    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}


class TestApartConformance(TestConformance):
    """The same in a process of its own, which reaches the model past a gateway."""

    isolation = "process"


class TestConformanceWithEveryOption(TestConformance):
    def options(self) -> dict[str, Any]:
        return {
            "thinking": "adaptive",
            "thinking_display": "summarized",
            "effort": "low",
            "parallel_tool_calls": True,
            "cache": "5m",
        }
