"""An adapter for another massgen-bridge, whose `AdapterSpec` has a field that ours does not."""

from typing import Any

from massgen_bridge import AdapterSpec, hookimpl


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    fields: dict[str, Any] = {"kind": "outdated", "summary": "Old.", "factory": str, "shape": "x"}
    return [AdapterSpec(**fields)]
