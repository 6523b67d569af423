from massgen_bridge import AdapterSpec
from massgen_bridge.testing.conformance import ModelAgentConformance
from massgen_bridge_plain import bridge_adapters


class TestPlain(ModelAgentConformance):
    def adapter(self) -> AdapterSpec:
        return bridge_adapters()[0]

    def options(self) -> dict[str, object]:
        return {}
