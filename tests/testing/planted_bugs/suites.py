"""The suites of the wrong agents and of those that they are derived from; for pytest to run.

It is no test file of its own, since most of these tests have to fail: `test_planted_bugs.py` runs
them in a process of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import massgen_bridge_anthropic
import massgen_bridge_openai
from testing.planted_bugs import (
    wrong_content,
    wrong_failures,
    wrong_plain,
    wrong_sdk,
    wrong_stops,
    wrong_tools,
    wrong_words,
)
from testing.planted_bugs.faithful import Faithful
from testing.planted_bugs.wrong_plain import Plain

from massgen_bridge import AdapterSpec
from massgen_bridge.testing.conformance import (
    AgentConformance,
    ModelAgentConformance,
    SdkConformance,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from massgen_bridge import Agent, AgentContext

__all__ = ["CASES", "WHOLE", "Case"]

_REAL = {
    # By one of its protocols: what a bug is caught by does not depend on it.
    "openai": replace(massgen_bridge_openai.bridge_adapters()[0], protocols=("chat",)),
    "anthropic": massgen_bridge_anthropic.bridge_adapters()[0],
}
_FIRST = next(iter(_REAL))
_WRAPPERS = (
    *wrong_words.WRONG,
    *wrong_content.WRONG,
    *wrong_tools.WRONG,
    *wrong_failures.WRONG,
    *wrong_stops.WRONG,
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A wrong agent and a test that has to find it.

    Attributes:
        agent: The wrong agent.
        test: The test, with its parameter.
        wrong: The class in this module that runs it for the wrong agent.
        faithful: The class that runs it for an agent without the bug.
    """

    agent: type[Any]
    test: str
    wrong: str
    faithful: str


class _Wrapped:
    """A real adapter, whose agents are seen through a wrapper."""

    real: ClassVar[AdapterSpec]
    wrapper: ClassVar[type[Faithful]]

    def adapter(self) -> AdapterSpec:
        real, wrapper = self.real, self.wrapper

        def make(context: AgentContext) -> Agent:
            return wrapper(context, real.factory)

        make.__module__ = real.factory.__module__  # the adapter's, for the rule on imports
        return replace(real, factory=make)

    def options(self) -> dict[str, Any]:
        return {}


class WrapperSuite(_Wrapped, ModelAgentConformance):
    """The suite for agents of a real adapter."""


class SdkSuite(_Wrapped, SdkConformance):
    """The suite for what its SDK does."""

    ambient: ClassVar[Mapping[str, str]] = {"AMBIENT": "ambient"}


class PlainSuite(AgentConformance):
    """The suite for agents without a model."""

    plain: ClassVar[type[Plain]]

    def adapter(self) -> AdapterSpec:
        plain = self.plain

        def make(_context: AgentContext) -> Agent:
            return plain()

        return AdapterSpec(
            kind="plain", summary="Says it back.", factory=make, capabilities=plain.able
        )

    def options(self) -> dict[str, Any]:
        return {}


def _suite(base: type[Any], name: str, tests: Iterable[str] | None, **attributes: Any) -> str:
    """Make a suite known to pytest.

    Args:
        base: What it is derived from.
        name: Its name.
        tests: The tests to keep, since a hundred whole suites take long to collect; None: all.
        attributes: Its attributes.

    Returns:
        Its name.
    """
    kept = None if tests is None else {test.partition("[")[0] for test in tests}
    left_out = [] if kept is None else [one for one in dir(base) if one.startswith("test_")]
    shape = {one: None for one in left_out if one not in (kept or ())}
    globals()[name] = type(name, (base,), {"__module__": __name__, **shape, **attributes})
    return name


def _wrapped(wrapper: type[Faithful], kind: str, tests: Iterable[str] | None) -> str:
    name = f"{'Whole' if tests is None else ''}{wrapper.__name__}_{kind}"
    return _suite(WrapperSuite, f"Test{name}", tests, real=_REAL[kind], wrapper=wrapper)


def _plain(plain: type[Plain], tests: Iterable[str]) -> str:
    return _suite(PlainSuite, f"Test{plain.__name__}", tests, plain=plain)


def _cases() -> Iterator[Case]:
    for kind in _REAL:
        caught = {one: _tests(one, kind) for one in _WRAPPERS}
        faithful = _wrapped(Faithful, kind, chain.from_iterable(caught.values()))
        for agent, tests in caught.items():
            suite = _wrapped(agent, kind, tests)
            for test in tests:
                yield Case(agent=agent, test=test, wrong=suite, faithful=faithful)
    yield from _sdk_cases()
    faithful = _plain(Plain, chain.from_iterable(one.caught_by for one in wrong_plain.WRONG))
    for plain in wrong_plain.WRONG:
        suite = _plain(plain, plain.caught_by)
        for test in plain.caught_by:
            yield Case(agent=plain, test=test, wrong=suite, faithful=faithful)


def _sdk_cases() -> Iterator[Case]:
    real = _REAL[_FIRST]
    tests = chain.from_iterable(one.caught_by for one in wrong_sdk.WRONG)
    faithful = _suite(SdkSuite, "TestFaithfulSdk", tests, real=real, wrapper=Faithful)
    for agent in wrong_sdk.WRONG:
        name = f"Test{agent.__name__}"
        suite = _suite(SdkSuite, name, agent.caught_by, real=real, wrapper=agent)
        for test in agent.caught_by:
            yield Case(agent=agent, test=test, wrong=suite, faithful=faithful)


def _tests(agent: type[Faithful], kind: str) -> tuple[str, ...]:
    """The tests that find an agent: by the first protocol all, by others the first of them."""
    return agent.caught_by if kind == _FIRST else agent.caught_by[:1]


CASES = tuple(_cases())
"""Every wrong agent with every test that has to find it."""

WHOLE = _wrapped(wrong_content.DropsPictures, _FIRST, None)
"""The name of a class with the whole suite, for an agent that sends no pictures."""
