"""Puts the sources of all first-party adapters into the core's wheel; hatchling runs it.

With the core alone installed, an agent of any of their kinds can then run in an environment of its
own, which holds its framework.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["BundleAdapters"]


class BundleAdapters(BuildHookInterface[Any]):
    """Adds each package under `adapters/*/src` to `massgen_bridge/_bundled`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the packages; an editable installation finds them where they are."""
        if version == "editable":
            return
        for package in sorted(Path(self.root).glob("adapters/*/src/massgen_bridge_*")):
            if package.is_dir():
                build_data["force_include"][str(package)] = (
                    f"massgen_bridge/_bundled/{package.name}"
                )
