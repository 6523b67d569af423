"""What every adapter promises, as tests.

Subclass `AgentConformance` in a test file of the adapter and say which adapter it is:

    class TestConformance(AgentConformance):
        def adapter(self) -> AdapterSpec:
            return bridge_adapters()[0]

        def options(self) -> dict[str, Any]:
            return {}

Every test talks to the adapter over its framework's own client and real HTTP, by way of a model
server on this machine. The adapter's capabilities decide what a test asks for: what it can do has
to work, and what it cannot do has to be refused before a model is called.

A test that the framework makes impossible is named in `expected_failures()`, with the reason; no
test is skipped or overridden otherwise.
"""

# ruff: noqa: E402 - pytest has to know what to rewrite before it is imported

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}._{part}"
        for part in (
            "answers",
            "base",
            "cancellation",
            "content",
            "failures",
            "life",
            "rules",
            "tools",
        )
    )
)

from massgen_bridge.testing.conformance._answers import AnswerTests
from massgen_bridge.testing.conformance._base import LOOKUP
from massgen_bridge.testing.conformance._cancellation import CancellationTests
from massgen_bridge.testing.conformance._content import ContentTests
from massgen_bridge.testing.conformance._failures import FailureTests
from massgen_bridge.testing.conformance._life import LifeTests
from massgen_bridge.testing.conformance._rules import RuleTests
from massgen_bridge.testing.conformance._tools import ToolTests

__all__ = ["LOOKUP", "AgentConformance"]


class AgentConformance(
    AnswerTests,
    ContentTests,
    ToolTests,
    FailureTests,
    CancellationTests,
    LifeTests,
    RuleTests,
):
    """The conformance suite of agents that use a model. Give it `adapter()` and `options()`."""
