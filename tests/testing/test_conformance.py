"""The suite's own rules: what it says of an adapter, and that nobody weakens it in silence.

What it finds in agents is the business of `test_planted_bugs.py`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from massgen_bridge_openai import bridge_adapters
from pydantic import BaseModel

from massgen_bridge import (
    AdapterSpec,
    Capabilities,
    ErrorKind,
    TextDelta,
    TurnResult,
    assistant,
)
from massgen_bridge.connection import Protocols
from massgen_bridge.kinds import python, scripted
from massgen_bridge.testing.conformance import AgentConformance, ModelAgentConformance
from massgen_bridge.testing.conformance._kinds import KindTests
from massgen_bridge.testing.conformance._model import ModelConformanceBase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge import Emit, ModelTraits, Turn

ROOT = Path(__file__).parents[2]
(OPENAI,) = bridge_adapters()
(SCRIPTED,) = scripted.bridge_adapters()


class Suite(ModelAgentConformance):
    """The suite for an adapter that is like OpenAI's, but for some changes."""

    def __init__(self, **changes: Any) -> None:
        self._spec = replace(OPENAI, **changes)

    def adapter(self) -> AdapterSpec:
        return self._spec

    def options(self) -> dict[str, Any]:
        return {}


class PlainSuite(AgentConformance):
    """The suite for agents without a model, for any adapter."""

    def __init__(self, spec: AdapterSpec, **options: Any) -> None:
        self._spec = spec
        self._options = options

    def adapter(self) -> AdapterSpec:
        return self._spec

    def options(self) -> dict[str, Any]:
        return self._options

    def load(self, path: str) -> Any:
        return {"own.py:ask_a_model": ask_a_model}[path]


# --- the specification ----------------------------------------------------------------------------


class Careless(BaseModel):
    """Options that let every key pass."""


class Unexplained(BaseModel, extra="forbid"):
    """Options without a word on what they mean."""

    depth: int = 0


def overclaiming(_options: Any, _traits: ModelTraits | None) -> Capabilities:
    return Capabilities(tools=True, inputs=frozenset({"video"}))


def trusting(_options: Any, _traits: ModelTraits | None) -> Capabilities:
    return OPENAI.capabilities


@pytest.mark.parametrize(
    ("changes", "test", "arguments"),
    [
        ({"kind": "Open AI"}, "test_the_specification_is_well_formed", ()),
        ({"summary": " "}, "test_the_specification_is_well_formed", ()),
        ({"requires": ("openai",)}, "test_the_specification_is_well_formed", ()),
        ({"protocols": ()}, "test_the_specification_is_well_formed", ()),
        ({"options": Careless}, "test_the_options_forbid_what_they_do_not_know", ()),
        ({"options": Unexplained}, "test_the_options_forbid_what_they_do_not_know", ()),
        ({"imports_code": ("graph",)}, "test_options_that_import_code_are_named", ()),
        (
            {"refine": overclaiming},
            "test_options_and_model_only_narrow_the_capabilities",
            ("any",),
        ),
        ({"refine": trusting}, "test_no_agent_claims_what_its_model_cannot_do", ()),
        (
            {"requires": ("pydantic>=2",)},
            "test_importing_the_adapter_does_not_import_its_framework",
            (),
        ),
    ],
)
def test_a_false_specification_is_found(
    changes: dict[str, Any], test: str, arguments: tuple[str, ...]
) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(Suite(**changes), test)(*arguments)
    getattr(Suite(), test)(*arguments)


# --- which suite ----------------------------------------------------------------------------------


async def ask_a_model(question: str, connection: Any) -> str:
    from openai import AsyncOpenAI  # noqa: PLC0415 - heavy

    async with AsyncOpenAI(base_url=connection.base_url, api_key="none") as client:
        messages: Any = [{"role": "user", "content": question}]
        said = await client.chat.completions.create(model=connection.model, messages=messages)
    return said.choices[0].message.content or ""


@pytest.mark.anyio
async def test_an_agent_that_needs_a_model_is_sent_to_the_other_suite() -> None:
    with pytest.raises(AssertionError, match="subclass ModelAgentConformance"):
        await PlainSuite(OPENAI).test_the_suite_is_the_one_for_this_agent()


@pytest.mark.anyio
async def test_an_agent_that_uses_a_model_is_sent_to_the_other_suite() -> None:
    (spec,) = python.bridge_adapters()
    spec = replace(spec, protocols=("chat",))
    suite = PlainSuite(spec, function="own.py:ask_a_model")
    with pytest.raises(AssertionError, match="subclass ModelAgentConformance"):
        await suite.test_the_suite_is_the_one_for_this_agent()


@pytest.mark.anyio
async def test_an_agent_without_a_model_is_sent_to_the_other_suite() -> None:
    await PlainSuite(SCRIPTED).test_the_suite_is_the_one_for_this_agent()
    with pytest.raises(AssertionError, match="subclass AgentConformance"):
        await Suite(protocols=()).test_the_suite_is_the_one_for_this_agent()


def test_a_protocol_without_a_server_is_named() -> None:
    with pytest.raises(AssertionError, match=r"\('smoke',\).* a model server for \('chat', "):
        Suite(protocols=("smoke",)).connect("http://127.0.0.1:9")


TWO_PROTOCOLS = """
from dataclasses import replace

import massgen_bridge_anthropic
import massgen_bridge_openai
from massgen_bridge.testing.conformance import ModelAgentConformance

(chat,) = massgen_bridge_openai.bridge_adapters()
(messages,) = massgen_bridge_anthropic.bridge_adapters()


def make(context):
    if context.connection.protocol == "chat":
        return chat.factory(context)
    return messages.factory(replace(context, options=messages.options()))


class TestBoth(ModelAgentConformance):
    def adapter(self):
        return replace(chat, factory=make, protocols=("smoke", "chat", "messages"))

    def options(self):
        return {}

    def expected_failures(self):
        return {
            "test_media_pass_or_are_refused[messages-audio]": "Messages carries no sound",
            "test_sampling_reaches_the_model_or_is_refused[temperature]": "it is a test",
        }
"""


@pytest.mark.timeout(180)  # a test run of its own
def test_an_adapter_of_several_protocols_is_proven_on_each(tmp_path: Path) -> None:
    """The two halves of this one can each do what they should, but for sound in one of them."""
    file = tmp_path / "test_both.py"
    file.write_text(TWO_PROTOCOLS)
    wanted = "question_reaches_the_model or media_pass or [chat-temperature]"
    options = ("-v", "-p", "no:randomly", "--rootdir", tmp_path, "-c", ROOT / "pyproject.toml")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-k", wanted, file],
        capture_output=True,
        text=True,
        check=False,
    )
    ends = {
        name: end
        for line in done.stdout.splitlines()
        if not line.startswith(("FAILED", "ERROR", "XFAIL"))
        and len(parts := line.partition("::TestBoth::")[2].split()) > 1
        for name, end in [parts[:2]]
    }
    question = "test_the_question_reaches_the_model_unchanged"
    assert ends[f"{question}[chat]"] == ends[f"{question}[messages]"] == "PASSED", done.stdout
    media = {name.partition("[")[2]: end for name, end in ends.items() if "media_pass" in name}
    assert media == {
        **{f"{protocol}-{kind}]": "PASSED" for protocol in ("chat", "messages") for kind in MEDIA},
        "messages-audio]": "XFAIL",
    }
    # Expected to fail by a name that stands for both protocols; it passes, which is an error.
    sampling = "test_sampling_reaches_the_model_or_is_refused[chat-temperature]"
    assert ends[sampling] == "FAILED"
    assert "[XPASS(strict)] it is a test" in done.stdout


MEDIA = ("image", "audio", "document", "video")


# --- nothing is left out in silence ---------------------------------------------------------------


def _overriding(mark: pytest.MarkDecorator | None) -> Suite:
    async def override(self: ModelAgentConformance) -> None:
        """Promises nothing."""

    test = override if mark is None else mark(override)
    suite = type("Overriding", (Suite,), {"test_usage_has_one_meaning": test})()
    assert isinstance(suite, Suite)
    return suite


@pytest.mark.parametrize(
    "mark", [None, pytest.mark.skip(reason="no"), pytest.mark.xfail, pytest.mark.xfail(reason="")]
)
def test_a_weakened_suite_is_found(mark: pytest.MarkDecorator | None) -> None:
    with pytest.raises(AssertionError, match="overridden"):
        _overriding(mark).test_no_test_of_the_suite_is_weakened()


def test_an_expected_failure_with_a_reason_is_honest() -> None:
    mark = pytest.mark.xfail(reason="the framework counts nothing")
    _overriding(mark).test_no_test_of_the_suite_is_weakened()


@pytest.mark.parametrize("named", [{"test_of_nothing": "because"}, {"test_it_is_an_agent": " "}])
def test_expected_failures_name_tests_and_reasons(named: dict[str, str]) -> None:
    class Expecting(Suite):
        def expected_failures(self) -> Mapping[str, str]:
            return named

    with pytest.raises(AssertionError):
        Expecting().test_no_test_of_the_suite_is_weakened()


def test_a_suite_that_is_skipped_as_a_whole_is_found() -> None:
    skipped = type("Skipped", (Suite,), {"pytestmark": pytest.mark.skip(reason="later")})
    with pytest.raises(AssertionError, match="mark single tests"):
        skipped().test_no_test_of_the_suite_is_weakened()


def test_agents_that_only_a_process_stops_do_not_pass_for_stopped() -> None:
    able = Capabilities(cancellation="process")
    with pytest.raises(pytest.fail.Exception, match="name this test in expected_failures"):
        Suite(capabilities=able).needs_a_process()
    Suite().needs_a_process()


# --- what the suite covers ------------------------------------------------------------------------


def test_every_kind_of_error_has_its_proof() -> None:
    (mark,) = (
        one
        for one in KindTests.test_each_kind_of_failure_reaches_the_host.pytestmark  # type: ignore[attr-defined] # pytest adds it
        if one.name == "parametrize"
    )
    # A worker's end is the host's to tell; no agent can.
    assert set(mark.args[1]) == set(get_args(ErrorKind)) - {"worker_crashed"}


def test_every_test_says_what_it_guarantees() -> None:
    suites = (AgentConformance, ModelAgentConformance)
    tests = {
        f"{part.__name__}.{name}": test
        for suite in suites
        for part in suite.__mro__
        for name, test in vars(part).items()
        if name.startswith("test_")
    }
    assert len(tests) > 60
    silent = [name for name, test in tests.items() if len((test.__doc__ or "").split()) < 8]
    assert silent == []


def test_there_is_a_server_for_what_adapters_are_proven_on() -> None:
    served = ModelConformanceBase._protocols(Suite(protocols=get_args(Protocols)))
    assert set(served) == set(get_args(Protocols))


class Sleeper:
    """Waits once, blocking or for something that is there at once."""

    def __init__(self, *, blocks: bool) -> None:
        self._blocks = blocks

    async def run(self, _turn: Turn, emit: Emit) -> TurnResult:
        if self._blocks:
            time.sleep(0.01)  # noqa: ASYNC251 - that is what is wrong with it
        ready = asyncio.get_running_loop().create_future()
        ready.get_loop().call_soon(ready.set_result, None)
        await ready
        await emit(TextDelta(text="Yes."))
        message = assistant("Yes.")
        return TurnResult(message=message, new_messages=(message,))

    async def aclose(self) -> None:
        """Nothing to give back."""


def sleeper(*, blocks: bool) -> AdapterSpec:
    return AdapterSpec(kind="sleeper", summary="x", factory=lambda _: Sleeper(blocks=blocks))


class TestBlocks(AgentConformance):
    """Run by the test below, in a process of its own."""

    __test__ = "SLEEPER_BLOCKS" in os.environ

    def adapter(self) -> AdapterSpec:
        return sleeper(blocks=True)

    def options(self) -> dict[str, Any]:
        return {}


def test_the_suite_finds_what_blocks_without_the_guards() -> None:
    test = f"{__file__}::TestBlocks::test_a_turn_returns_one_whole_result"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"--config-file={os.devnull}", "--noconftest", test],
        env=os.environ | {"SLEEPER_BLOCKS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "BlockingError: Blocking call to time.sleep" in done.stdout, done.stdout


@pytest.mark.anyio
@pytest.mark.parametrize("share", [0.0, 0.5])
async def test_a_turn_that_no_cancellation_reaches_any_more_may_return(share: float) -> None:
    suite = PlainSuite(sleeper(blocks=False))
    await suite.test_a_turn_cancelled_while_it_works_stops(None, share)
