"""Configurations: reading, checking, trusting them, and the JSON Schema of their form."""

from __future__ import annotations

from massgen_bridge.config.load import activate, load_config
from massgen_bridge.config.models import (
    AgentConfig,
    BackendConfig,
    Document,
    RunConfig,
    SinkConfig,
    StrategyConfig,
    TimeoutSettings,
    UiConfig,
)
from massgen_bridge.config.problems import InvalidConfig, Problem
from massgen_bridge.config.source import Source
from massgen_bridge.config.trust import (
    CodeReference,
    code_references,
    is_trusted,
    open_config,
    require,
    trust,
)

__all__ = [
    "AgentConfig",
    "BackendConfig",
    "CodeReference",
    "Document",
    "InvalidConfig",
    "Problem",
    "RunConfig",
    "SinkConfig",
    "Source",
    "StrategyConfig",
    "TimeoutSettings",
    "UiConfig",
    "activate",
    "code_references",
    "is_trusted",
    "load_config",
    "open_config",
    "require",
    "trust",
]
