"""A pytest plugin that tells how each check ends, as it ends."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge.cli._suite_wire import (
    Check,
    CheckEnded,
    CheckStarted,
    Outcome,
    SuiteReady,
    SuiteRefused,
)
from massgen_bridge.display.text import clip
from massgen_bridge.errors import error_words
from massgen_bridge.plugins.records import nearest
from massgen_bridge.testing import guards

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from massgen_bridge.cli._suite_wire import SuiteEvent, SuiteRequest
    from massgen_bridge.specs import AdapterSpec
    from massgen_bridge.testing.conformance._base import ConformanceBase

__all__ = ["CONFORMANCE", "Recorder"]

CONFORMANCE = "massgen_bridge.testing.conformance"
"""Where the suites are put together from groups."""

_ORIGIN = re.compile(r" \+ +(?:where|and) ")
_MOST_LINES = 12
_LONGEST_LINE = 240
_MOST_LEAVES = 3


@dataclass
class _Running:
    """What is known of the check that runs."""

    outcome: Outcome = "passed"
    reason: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Recorder:
    """Tells of the suite's checks.

    Args:
        request: What is asked for.
        spec: The adapter.
        send: Hands an event over.
    """

    def __init__(
        self, request: SuiteRequest, spec: AdapterSpec, send: Callable[[SuiteEvent], None]
    ) -> None:
        self._request = request
        self._spec = spec
        self._send = send
        self._name = ""
        self._running = _Running()
        self._refused = False

    # --- before --------------------------------------------------------------------------------

    def pytest_configure(self, config: pytest.Config) -> None:
        """Keep tracebacks short, differences whole, and every connection on this machine."""
        config.option.tbstyle = "short"
        config.option.verbose = 2
        guards.stay_on_loopback()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell why the suite cannot be set up."""
        if report.failed:
            self._refuse("the suite cannot be set up", report.longreprtext)

    def pytest_internalerror(self, excrepr: object, excinfo: pytest.ExceptionInfo[Any]) -> None:
        """Tell what broke the suite as a whole."""
        self._refuse(f"the suite broke: {_reason(excinfo.value)}", str(excrepr))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Bring the checks into the order of their groups; leave out what is not asked for."""
        if self._refused or not items:
            return
        order = _groups(_class(items[0]))
        items.sort(key=lambda item: order.index(_home(item)))
        found = [(item, _check(item)) for item in items]
        known = {
            name
            for item, _ in found
            for name in _suite(item)._names(item)  # noqa: SLF001 - the suite's own
        }
        names = {name for _, one in found for name in (one.name, one.guarantee, one.group)}
        wrong = _unknown("check", self._request.expected, known)
        wrong = wrong or _unknown("group, test or check", self._request.only, names)
        if wrong:
            self._refuse(wrong, usage=True)
            items.clear()
            return
        only = set(self._request.only)
        chosen = [
            (item, one)
            for item, one in found
            if not only or only & {one.name, one.guarantee, one.group}
        ]
        items[:] = [item for item, one in chosen if one.name not in self._request.done]
        self._ready(chosen)

    def _ready(self, chosen: list[tuple[pytest.Item, Check]]) -> None:
        cls = _class(chosen[0][0])
        self._send(
            SuiteReady(
                suite=next(one.__name__ for one in cls.__mro__ if one.__module__ == CONFORMANCE),
                capabilities=_suite(chosen[0][0]).capabilities(),
                groups={
                    one.group: _sentence(inspect.getdoc(_home(item)) or "") for item, one in chosen
                },
                checks=tuple(one for _, one in chosen),
            )
        )

    def _refuse(self, message: str, details: str = "", *, usage: bool = False) -> None:
        if not self._refused:
            self._refused = True
            self._send(SuiteRefused(usage=usage, message=message, details=details))

    # --- each check ----------------------------------------------------------------------------

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell that a check begins, should it never end."""
        self._name = nodeid.rpartition("::")[2]
        self._running = _Running()
        self._send(CheckStarted(name=self._name))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take note of how a part of a check went: its setup, itself, its teardown."""
        report = yield
        running = self._running
        running.seconds += call.duration
        if hasattr(report, "wasxfail"):
            running.outcome = "expected_failure"
            running.reason.append(str(report.wasxfail))
        elif not report.passed:
            running.outcome = "failed"
            running.reason.append(_told(report, call))
            running.details.append(report.longreprtext)
        elif report.when == "call" and (lacking := getattr(item, "instance").unclaimed):  # noqa: B009 - as below
            running.outcome, running.reason = "not_claimed", [f"it does not claim {lacking}"]
        return report

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell what ends all of pytest, and so this process; another one goes on."""
        self._running.outcome = "failed"
        self._running.reason.append(_reason(excinfo.value))
        self._end()

    def pytest_runtest_logfinish(self) -> None:
        """Tell how a check ended."""
        self._end()

    def _end(self) -> None:
        running = self._running
        self._send(
            CheckEnded(
                name=self._name,
                outcome=running.outcome,
                reason="\n".join(running.reason),
                details="\n".join(running.details),
                seconds=round(running.seconds, 3),
            )
        )


def _check(item: pytest.Item) -> Check:
    guarantee = getattr(item, "originalname", None) or item.name
    sentence = _sentence(inspect.getdoc(getattr(item, "function", None)) or "")
    return Check(name=item.name, guarantee=guarantee, group=_group(item), sentence=sentence)


def _class(item: pytest.Item) -> type:
    cls: type = getattr(item, "cls")  # noqa: B009 - the items of classes have it, not all items
    return cls


def _suite(item: pytest.Item) -> ConformanceBase:
    suite: ConformanceBase = _class(item)()
    return suite


def _home(item: pytest.Item) -> type:
    """The class that defines a test: one for each group of guarantees."""
    name = getattr(item, "originalname", None) or item.name
    return next(one for one in _class(item).__mro__ if name in one.__dict__)


def _groups(cls: type) -> list[type]:
    """All classes of a suite: those of what every agent promises come first."""
    suites = [one for one in cls.__mro__ if one.__module__ == CONFORMANCE]
    return list(dict.fromkeys(one for suite in reversed(suites) for one in suite.__mro__))


def _group(item: pytest.Item) -> str:
    return _home(item).__module__.rpartition(".")[2].strip("_").replace("_", "-")


def _sentence(text: str) -> str:
    """The first paragraph in one line."""
    return " ".join(text.partition("\n\n")[0].split())


def _unknown(noun: str, names: Iterable[str], known: set[str]) -> str:
    """What is wrong with names that should be known; empty if nothing is."""
    for name in names:
        if name not in known:
            return f"there is no {noun} {name!r}{nearest(name, known)}"
    return ""


def _told(report: pytest.TestReport, call: pytest.CallInfo[None]) -> str:
    if report.skipped:
        return "it was skipped, and a guarantee cannot be"
    if call.excinfo is None:
        reason = str(report.longrepr).removeprefix("[XPASS(strict)] ")
        return f"it was expected to fail, but passed: {reason}"
    prefix = "" if report.when == "call" else f"in its {report.when}: "
    return prefix + _reason(call.excinfo.value)


def _reason(error: BaseException) -> str:
    """What an exception says, or those that it is a group of."""
    leaves = list(_leaves(error))
    told = [_words(leaf) for leaf in leaves[:_MOST_LEAVES]]
    more = len(leaves) - len(told)
    return "\n".join([*told, *([f"and {more} more"] if more else [])])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _words(error: BaseException) -> str:
    said = error_words(error)
    lines = [clip(line.rstrip(), _LONGEST_LINE) for line in said.splitlines() if line.strip()]
    if lines and not lines[0].startswith("assert "):
        # What is wrong stands in its own words, so it need not be seen where values came from.
        lines = [line for line in lines if not _ORIGIN.match(line)]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], "…"]
    text = "\n".join(lines)
    if isinstance(error, AssertionError | pytest.fail.Exception) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
