"""What every adapter promises, as tests.

Subclass the suite in a test file of the adapter and say which adapter it is: `AgentConformance`
for agents without a model, `ModelAgentConformance` for agents that use one. Both need two methods:

    class TestConformance(ModelAgentConformance):
        def adapter(self) -> AdapterSpec:
            return bridge_adapters()[0]

        def options(self) -> dict[str, Any]:
            return {}

The adapter's capabilities decide what a test asks for: what it can do has to work, and what it
cannot do has to be refused before anything else happens. Agents with a model talk to it over their
framework's own client and real HTTP, by way of a model server on this machine; an adapter that
speaks several wire protocols is proven on each that there is a server for. `SdkConformance` stands
beside `ModelAgentConformance` for adapters that call a provider by the provider's own SDK.

More methods exist, and all have a default: `load()` for options that are import paths,
`question()` for agents that do not answer just anything, `long_question()` for agents whose turns
can take longer than two seconds.

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
            "checks",
            "content",
            "cut_off",
            "desk",
            "failures",
            "kinds",
            "life",
            "model",
            "model_life",
            "model_rules",
            "parts",
            "pictures",
            "recording",
            "retries",
            "rules",
            "sdk",
            "sent",
            "stopping",
            "tool_media",
            "tools",
            "turns",
            "usage",
        )
    )
)

from massgen_bridge.testing.conformance._answers import AnswerTests
from massgen_bridge.testing.conformance._cancellation import CancellationTests
from massgen_bridge.testing.conformance._content import ContentTests
from massgen_bridge.testing.conformance._cut_off import CutOffTests
from massgen_bridge.testing.conformance._desk import DeskTests
from massgen_bridge.testing.conformance._failures import FailureTests
from massgen_bridge.testing.conformance._kinds import KindTests
from massgen_bridge.testing.conformance._life import LifeTests
from massgen_bridge.testing.conformance._model_life import ModelLifeTests
from massgen_bridge.testing.conformance._model_rules import ModelRuleTests
from massgen_bridge.testing.conformance._parts import PartTests
from massgen_bridge.testing.conformance._pictures import PictureTests
from massgen_bridge.testing.conformance._recording import RecordingTests
from massgen_bridge.testing.conformance._retries import RetryTests
from massgen_bridge.testing.conformance._rules import RuleTests
from massgen_bridge.testing.conformance._sdk import SdkTests
from massgen_bridge.testing.conformance._stopping import StoppingTests
from massgen_bridge.testing.conformance._tool_media import ToolMediaTests
from massgen_bridge.testing.conformance._tools import ToolTests
from massgen_bridge.testing.conformance._turns import LOOKUP, TurnTests
from massgen_bridge.testing.conformance._usage import UsageTests

__all__ = [
    "LOOKUP",
    "AgentConformance",
    "CancellationConformance",
    "ModelAgentConformance",
    "RecordingConformance",
    "SdkConformance",
]


class AgentConformance(TurnTests, StoppingTests, LifeTests, RuleTests):
    """What every agent promises, with or without a model.

    Give it `adapter()` and `options()`. An agent that has no model needs nothing else: it is asked
    `question()`, cancelled wherever it tells of an event and in the middle of its usual time, and
    asked fifty questions at once. Emit what you say as `TextDelta`, or claim no `streaming`; call
    `Capabilities.check(turn)` first, which refuses what you do not claim.
    """


class ModelAgentConformance(
    AnswerTests,
    UsageTests,
    ContentTests,
    PartTests,
    PictureTests,
    ToolTests,
    ToolMediaTests,
    DeskTests,
    FailureTests,
    KindTests,
    RetryTests,
    CancellationTests,
    ModelLifeTests,
    ModelRuleTests,
    AgentConformance,
):
    """What every agent promises that uses a model. Give it `adapter()` and `options()`."""


class CancellationConformance(CutOffTests):
    """What every agent promises that uses a model and is cancelled; `ModelAgentConformance` has it.

    For further options of an adapter that the whole suite is too much for, such as a group chat of
    several members: those are cut off in a later model call with `answers_before`.
    """


class SdkConformance(SdkTests, RecordingTests):
    """What an adapter promises beside that calls a provider by the provider's own SDK.

    Its clients are from a `ClientPool`. Give the suite `adapter()` and `options()`; `ambient`,
    `key_header` and `refusals()` say what is particular to the SDK and the provider.
    """


class RecordingConformance(RecordingTests):
    """What every adapter promises whose calls are recorded; `SdkConformance` has it.

    For agents elsewhere: in a process of their own they are recorded past the gateway.
    """
