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

from massgen_bridge.testing.conformance._answers import AnswerTests  # noqa: E402 - rewritten first
from massgen_bridge.testing.conformance._base import LOOKUP  # noqa: E402
from massgen_bridge.testing.conformance._cancellation import CancellationTests  # noqa: E402
from massgen_bridge.testing.conformance._content import ContentTests  # noqa: E402
from massgen_bridge.testing.conformance._failures import FailureTests  # noqa: E402
from massgen_bridge.testing.conformance._life import LifeTests  # noqa: E402
from massgen_bridge.testing.conformance._rules import RuleTests  # noqa: E402
from massgen_bridge.testing.conformance._tools import ToolTests  # noqa: E402

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
