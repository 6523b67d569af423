"""The rules for adapters whose agents use a model."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from massgen_bridge.connection import ModelTraits
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._rules import RuleTests

__all__ = ["ModelRuleTests"]


class ModelRuleTests(RuleTests, ModelConformanceBase):
    """An adapter says truly by which wire protocols it reaches a model."""

    async def test_the_suite_is_the_one_for_this_agent(self) -> None:
        """The adapter names its wire protocols, and there is a model server for one at least."""
        assert self.adapter().protocols, "subclass AgentConformance: this agent has no model"
        assert self.connect("http://127.0.0.1:9").protocol in self.adapter().protocols

    def test_no_agent_claims_what_its_model_cannot_do(self) -> None:
        """Where a model calls no tools, is held to no schema and takes no media, `refine` claims
        none of that; where there is no `refine`, the host cuts the capabilities down itself.
        """
        spec = self.adapter()
        if spec.refine is None:
            return
        weak = ModelTraits(tools=False, structured=False, inputs=frozenset())
        able = spec.refine(spec.options.model_validate(self.options()), weak)
        assert not able.tools, "it claims tools, and the model calls none"
        assert not able.structured, "it claims structured output, and the model is held to nothing"
        assert not able.inputs, f"it claims {set(able.inputs)}, and the model takes text alone"
