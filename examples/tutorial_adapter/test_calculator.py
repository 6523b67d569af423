from massgen_bridge import AdapterSpec
from massgen_bridge.testing.conformance import AgentConformance
from massgen_bridge_calculator import bridge_adapters


class TestCalculator(AgentConformance):
    def adapter(self) -> AdapterSpec:
        return bridge_adapters()[0]

    def options(self) -> dict[str, object]:
        return {}
