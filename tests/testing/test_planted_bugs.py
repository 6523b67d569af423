"""The suite finds known defects, each by the test that is there for it, and nothing else.

Each wrong agent in `planted_bugs/` has one defect, many of them known from real products. A defect
is proven by two runs of one test, by pytest itself: it fails for the wrong agent, and passes for
the agent that the wrong one is derived from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testing.planted_bugs import report, suites

from massgen_bridge.testing.conformance import ModelAgentConformance
from massgen_bridge.testing.conformance._model_rules import ModelRuleTests
from massgen_bridge.testing.conformance._rules import RuleTests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from testing.planted_bugs.suites import Case

# Several hundred tests run before the first of these, each with a time limit of its own.
pytestmark = pytest.mark.timeout(60, func_only=True)

FILE = Path(suites.__file__)
ROOT = FILE.parents[3]
PROCESSES = 3
OPTIONS = ("-q", "--tb=line", "-p", "no:randomly", "-p", report.__name__, "--rootdir", str(ROOT))

FEWEST_DEFECTS = 90
# All that an agent without eyes gets wrong, out of the whole suite.
DROPPED_PICTURES = {
    "test_a_picture_by_address_passes_or_is_refused",
    "test_each_kind_of_failure_reaches_the_host[unsupported]",
    "test_each_part_of_a_history_arrives",
    "test_no_part_of_a_history_is_lost",
    "test_media_pass_or_are_refused[image]",
    "test_media_that_the_model_does_not_take_are_refused",
    "test_pictures_of_every_kind_arrive_as_they_are_meant",
}

Failures = dict[str, dict[str, str]]


class _Run:
    """pytest in a process of its own."""

    def __init__(self, tests: Sequence[str], told: Path) -> None:
        self._told = told
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *OPTIONS, *(f"{FILE}::{test}" for test in tests)],
            env={**os.environ, report.WHERE: str(told), "PYTHONPATH": str(ROOT / "tests")},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Callable[[], Failures]:
        return self._failures

    def __exit__(self, *_error: object) -> None:
        with self._process:
            self._process.kill()

    def _failures(self) -> Failures:
        said, _ = self._process.communicate()
        assert self._told.exists(), said
        found: Failures = json.loads(self._told.read_text())
        return found


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """What failed in which phase, by the test's id: for every case, and a whole suite."""
    folder = tmp_path_factory.mktemp("planted")
    pairs = (
        f"{suite}::{case.test}" for case in suites.CASES for suite in (case.wrong, case.faithful)
    )
    tests = list(dict.fromkeys(pairs))
    shares = [
        [suites.WHOLE],
        *(tests[start::PROCESSES] for start in range(PROCESSES)),
    ]
    found: Failures = {}
    with ExitStack() as running:
        runs = [
            running.enter_context(_Run(share, folder / f"{number}.json"))
            for number, share in enumerate(shares)
        ]
        for failures in runs:
            found |= failures()
    return found


@pytest.mark.parametrize("case", suites.CASES, ids=lambda case: f"{case.wrong}-{case.test}")
def test_a_planted_bug_is_caught_by_its_test(outcomes: Failures, case: Case) -> None:
    failed = outcomes[f"{case.wrong}::{case.test}"]
    assert list(failed) == ["call"], failed or "it was not caught"
    assert failed["call"].startswith("failed")
    assert outcomes[f"{case.faithful}::{case.test}"] == {}, "it is not the bug that was caught"


def test_a_bug_fails_no_other_test_than_those_it_concerns(outcomes: Failures) -> None:
    whole = {
        test.partition("::")[2]: failed
        for test, failed in outcomes.items()
        if test.startswith(f"{suites.WHOLE}::")
    }
    assert len(whole) > 100
    assert {test for test, failed in whole.items() if failed} == DROPPED_PICTURES


def test_every_test_of_the_suite_finds_something() -> None:
    """But for the rules on specifications, which `test_conformance.py` tries on wrong ones."""
    suite = ModelAgentConformance
    rules = {name for part in (RuleTests, ModelRuleTests) for name in vars(part)}
    tests = {name for name in dir(suite) if name.startswith("test_")} - rules
    assert tests - {case.test.partition("[")[0] for case in suites.CASES} == set()


def test_many_defects_are_planted_and_each_says_what_it_is() -> None:
    agents = Counter(case.agent for case in suites.CASES)
    assert len(agents) >= FEWEST_DEFECTS
    assert all((agent.__doc__ or "").strip() for agent in agents)
