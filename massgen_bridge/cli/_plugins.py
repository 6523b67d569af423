"""Where commands get at plugins: foreign code."""

from __future__ import annotations

from massgen_bridge.cli._stdout import divert
from massgen_bridge.plugins import PluginHost

__all__ = ["plugin_host"]


def plugin_host() -> PluginHost:
    """A new host. What plugins print to stdout, from here on and until the end, is on stderr."""
    divert()
    return PluginHost()
