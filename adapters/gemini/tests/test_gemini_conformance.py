from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge_gemini import bridge_adapters

from massgen_bridge.testing.conformance import ModelAgentConformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge import AdapterSpec

_NO_JSON = "the API tells of arguments that are no JSON by failing, and does not show them"


class TestConformance(ModelAgentConformance):
    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}

    def expected_failures(self) -> Mapping[str, str]:
        return {
            "test_arguments_that_are_no_json_are_never_made_up": _NO_JSON,
            "test_a_tool_call_goes_the_way_of_the_host[no-json]": _NO_JSON,
            "test_a_tool_call_goes_the_way_of_the_host[no-number]": _NO_JSON,
        }


class TestApartConformance(TestConformance):
    """The same in a process of its own, which reaches the model past a gateway."""

    isolation = "process"


class TestConformanceWithEveryOption(TestConformance):
    def options(self) -> dict[str, Any]:
        return {
            "reasoning_effort": "low",
            "reasoning_summary": True,
            "web_search": True,
            "code_execution": True,
            "url_context": True,
            "image_generation": {"aspect_ratio": "16:9"},
            "media_resolution": "low",
        }
