"""The suites, filled in with the adapter that this process tests; pytest collects this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.plugins import load_object
from massgen_bridge.testing.command.target import NUMBER, TARGET
from massgen_bridge.testing.conformance import AgentConformance, ModelAgentConformance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from massgen_bridge.specs import AdapterSpec

__all__ = ["TestAgent", "TestModelAgent"]


class TestAgent(AgentConformance):
    """What every agent promises."""

    isolation = TARGET.get().isolation

    def adapter(self) -> AdapterSpec:
        """The adapter to test."""
        return TARGET.get().spec

    def options(self) -> dict[str, Any]:
        """What was given on the command line, or stands in a configuration."""
        return dict(TARGET.get().options)

    def load(self, path: str) -> Any:
        """What an import path in the options stands for."""
        return load_object(path, TARGET.get().base_dir)

    def base_dir(self) -> Path:
        """The folder of the configuration, or the working directory of the command."""
        return TARGET.get().base_dir

    def question(self, number: int = 1) -> str:
        """What was given on the command line, if anything."""
        given = TARGET.get().question
        return super().question(number) if given is None else given.replace(NUMBER, str(number))

    def expected_failures(self) -> Mapping[str, str]:
        """What was given on the command line."""
        return TARGET.get().expected


class TestModelAgent(TestAgent, ModelAgentConformance):
    """What agents that use a model promise beside that."""
