"""The page of the contract has a section for every guarantee, and names tests that there are."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs"))

from pages.contract import page, proofs, suites  # noqa: E402 - found by the line above
from pages.host_guarantees import HOST_GUARANTEES  # noqa: E402 - as above
from pages.markdown import anchor  # noqa: E402 - as above
from pages.wrong_agents import wrong_agents  # noqa: E402 - as above

TESTS = [(suite, name, test) for suite in suites() for _, name, test in proofs(suite)]
PAGE = page()


def test_there_is_a_contract() -> None:
    assert len({name for _, name, _ in TESTS}) > 20
    assert len(HOST_GUARANTEES) > 10


@pytest.mark.parametrize("name", sorted({name for _, name, _ in TESTS}))
def test_a_guarantee_has_a_section(name: str) -> None:
    sections = re.findall(rf"^#### (.*)\n\n([^#]*)\n\nProven by `{name}`", PAGE, re.MULTILINE)
    assert sections
    for title, text in sections:
        assert anchor(title).startswith(name.removeprefix("test_").replace("_", "-"))
        assert len(text.split()) > 2, "say in the docstring of the test what is guaranteed"


def test_sections_have_addresses_of_their_own() -> None:
    anchors = [anchor(title) for title in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)]
    assert sorted(anchors) == sorted(set(anchors))


def _functions(file: Path) -> list[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node.name for node in ast.parse(file.read_text()).body if isinstance(node, kinds)]


def test_what_the_host_keeps_is_proven_by_tests_that_there_are() -> None:
    there = Counter(
        name for file in (ROOT / "tests").rglob("test_*.py") for name in _functions(file)
    )
    for guarantee in HOST_GUARANTEES:
        assert guarantee.tests, f"nothing proves {guarantee.title!r}"
        for name in guarantee.tests:
            assert there[name] == 1, f"{guarantee.title}: there are {there[name]} of {name}"


def test_every_wrong_agent_leads_to_the_guarantees_that_it_breaks() -> None:
    found = [agent for _, agents in wrong_agents() for agent in agents]
    assert len(found) > 50
    names = {name for _, name, _ in TESTS}
    for agent in found:
        assert agent.caught_by, f"nothing finds {agent.name}"
        assert len(agent.text.split()) > 3, f"say what {agent.name} does"
        assert {test.partition("[")[0] for test in agent.caught_by} <= names, agent.name
