"""Writes what the catalogue holds of each available kind anew, from the installed adapters.

Run it as `python -m massgen_bridge.config.generate` after changing a kind's options.
"""

from __future__ import annotations

import json
from typing import Any

from massgen_bridge.config.schema import options_schema
from massgen_bridge.plugins import PluginHost
from massgen_bridge.plugins.catalogue import CATALOGUE_FILE

__all__ = ["fresh_catalogue", "main"]


def fresh_catalogue(host: PluginHost) -> str:
    """The text that `catalogue.json` should have.

    Raises:
        PluginError: A kind that the catalogue calls available is not installed here.
    """
    content: dict[str, Any] = json.loads(CATALOGUE_FILE.read_text(encoding="utf-8"))
    for kind, entry in content["adapters"].items():
        if entry["status"] == "available":
            spec = host.adapter(kind)
            entry["summary"] = spec.summary
            entry["needs_model"] = spec.needs_model
            entry["options"] = options_schema(spec.options)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file."""
    CATALOGUE_FILE.write_text(fresh_catalogue(PluginHost()), encoding="utf-8")


if __name__ == "__main__":
    main()
