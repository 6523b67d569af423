"""The rules for adapters whose agents use a model."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._rules import RuleTests

__all__ = ["ModelRuleTests"]


class ModelRuleTests(RuleTests, ModelConformanceBase):
    """An adapter says truly by which wire protocols it reaches a model."""

    async def test_the_suite_is_the_one_for_this_agent(self) -> None:
        """The adapter names its wire protocols, and there is a model server for one at least."""
        assert self.adapter().protocols, "subclass AgentConformance: this agent has no model"
        assert self.connect("http://127.0.0.1:9").protocol in self.adapter().protocols
