"""What every kind of agent promises: tests that come with massgen-bridge.

They talk to the adapter through the SDK, by way of a model server on this machine.
"""

from __future__ import annotations

from typing import Any

from massgen_bridge import AdapterSpec
from massgen_bridge.testing.conformance import ModelAgentConformance

from massgen_bridge_your_name import bridge_adapters


class TestConformance(ModelAgentConformance):
    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}
