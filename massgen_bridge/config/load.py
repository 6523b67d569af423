"""From a file, a text or values to a checked configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge.config.check import Check
from massgen_bridge.config.models import RunConfig
from massgen_bridge.config.problems import Problems
from massgen_bridge.config.source import Source, read_source
from massgen_bridge.errors import ConfigError

if TYPE_CHECKING:
    from massgen_bridge.plugins import PluginHost

__all__ = ["RunConfig", "activate", "load_config"]


def load_config(
    source: Path | str | bytes | Mapping[str, Any] | Source, host: PluginHost
) -> RunConfig:
    """Read and check a configuration without importing anything that it names.

    Args:
        source: A file, its path as text, the text itself (with at least one line break), or the
            values.
        host: Knows the kinds, tools, strategies, sinks and providers.

    Raises:
        InvalidConfig: Something is wrong with it; `problems` holds everything.
        ConfigError: It cannot be read at all.
    """
    return Check(read_source(source), host, plugins_loaded=False).run()


def activate(config: RunConfig, host: PluginHost) -> RunConfig:
    """Import the plugins that a configuration names, and check what had to wait for them.

    Ask for trust first, see `massgen_bridge.config.trust`.

    Raises:
        InvalidConfig: As `load_config`.
        ConfigError: A plugin is missing or broken.
    """
    wanted = [(one, index) for one in config.tree() for index in range(len(one.plugins))]
    for one, index in wanted:
        try:
            host.load_plugins([one.plugins[index]], one.base_dir)
        except ConfigError as error:
            problems = Problems(one.source)
            problems.add(("plugins", index), error.message)
            problems.raise_any()
    if not wanted:
        return config
    return Check(config.source, host, plugins_loaded=True).run()
