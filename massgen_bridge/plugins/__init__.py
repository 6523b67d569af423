"""Plugins: where extensions come from, and the one typed way to ask them.

Nothing outside this package calls a hook, touches pluggy's manager or imports code by name.
"""

from __future__ import annotations

from massgen_bridge.plugins.catalogue import CatalogueEntry, catalogue
from massgen_bridge.plugins.host import PluginHost
from massgen_bridge.plugins.importing import load_object, source_files
from massgen_bridge.plugins.records import (
    AdapterInfo,
    AdapterOrigin,
    ExtensionInfo,
    HookFailure,
    PluginInfo,
    TieDecision,
)

__all__ = [
    "AdapterInfo",
    "AdapterOrigin",
    "CatalogueEntry",
    "ExtensionInfo",
    "HookFailure",
    "PluginHost",
    "PluginInfo",
    "TieDecision",
    "catalogue",
    "load_object",
    "source_files",
]
