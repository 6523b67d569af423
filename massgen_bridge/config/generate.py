"""Writes what the catalogue holds of each available kind anew, from the adapters.

Those that are not installed are read from their sources; no framework is needed.

Run it as `python -m massgen_bridge.config.generate` after changing what a kind registers.
"""

from __future__ import annotations

import json
from typing import Any

from massgen_bridge.config.schema import options_schema
from massgen_bridge.plugins import PluginHost
from massgen_bridge.plugins.catalogue import CATALOGUE_FILE
from massgen_bridge.specs import AdapterSpec

__all__ = ["fresh_catalogue", "main"]


def fresh_catalogue(host: PluginHost) -> str:
    """The text that `catalogue.json` should have.

    Raises:
        PluginError: A kind that the catalogue calls available has no adapter here.
    """
    content: dict[str, Any] = json.loads(CATALOGUE_FILE.read_text(encoding="utf-8"))
    for kind, entry in content["adapters"].items():
        if entry["status"] == "available":
            spec = host.adapter(kind)
            entry["summary"] = spec.summary
            entry["needs_model"] = spec.needs_model
            entry["options"] = options_schema(spec.options)
            entry["capabilities"] = _capabilities(spec)
            entry["requires"] = list(spec.requires)
            entry["framework"] = spec.framework
            entry["python"] = spec.python
            entry["own_process"] = spec.own_process
            entry["aliases"] = {one.name: one.summary for one in spec.aliases}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _capabilities(spec: AdapterSpec) -> dict[str, Any]:
    """What a kind can do at best; sets in an order that is always the same."""
    able = spec.capabilities.model_dump(mode="json")
    return {name: sorted(one) if isinstance(one, list) else one for name, one in able.items()}


def main() -> None:
    """Write the file."""
    CATALOGUE_FILE.write_text(fresh_catalogue(PluginHost()), encoding="utf-8")


if __name__ == "__main__":
    main()
