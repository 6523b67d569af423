"""What a cancelled turn leaves behind in a process of its own: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge_anthropic import bridge_adapters

from massgen_bridge.testing.conformance import CancellationConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec


class TestAgentApart(CancellationConformance):
    """One agent."""

    isolation = "process"

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}
