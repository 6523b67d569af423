"""Configurations: reading, checking, trusting them, and the JSON Schema of their form."""

from __future__ import annotations

from massgen_bridge.config.attached import Attached, load_attached
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
    UploadFile,
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
    "Attached",
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
    "UploadFile",
    "activate",
    "code_references",
    "is_trusted",
    "load_attached",
    "load_config",
    "open_config",
    "require",
    "trust",
]
