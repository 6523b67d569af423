"""Every hook is documented as it is, has a guide with an example, and some test implements it."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from massgen_bridge import hookspecs

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "hooks.md"
GUIDES = ROOT / "docs" / "how-to" / "hooks"
INDEX = (GUIDES / "index.md").read_text()
ROW = re.compile(r"^\| \[.+?\]\((\S+?)\) \| (.+?) \|", re.MULTILINE)
SECTIONS = ["## Run it", "## What comes in", "## Rules", "## Test it", "## Pitfalls"]

HOOKS = {
    name: list(inspect.signature(function).parameters)
    for name, function in vars(hookspecs).items()
    if name.startswith("bridge_")
}


def _is_marked(node: ast.FunctionDef) -> bool:
    marks = (n for mark in node.decorator_list for n in ast.walk(mark))
    return any(getattr(n, "id", getattr(n, "attr", "")) == "hookimpl" for n in marks)


def _hooks_in(path: Path) -> set[str]:
    """The hooks that a file implements."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and _is_marked(node)
    }


def _implemented_in_tests() -> set[str]:
    trees = [ROOT / "tests", *ROOT.glob("adapters/*/tests")]
    return {name for tree in trees for path in tree.rglob("test_*.py") for name in _hooks_in(path)}


def _guides(hook: str) -> list[Path]:
    """The guides that the index names for a hook."""
    return [GUIDES / page for page, hooks in ROW.findall(INDEX) if f"`{hook}`" in hooks]


def _shown_by(guide: Path, folder: str) -> list[Path]:
    """The files of a folder that a guide shows whole."""
    shown = re.findall(r"<!-- from: (\S+) -->", guide.read_text())
    return [ROOT / path for path in shown if path.startswith(f"{folder}/")]


def test_the_specification_has_hooks() -> None:
    assert len(HOOKS) > 10
    assert set(HOOKS) <= set(hookspecs.__all__)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_stands_in_the_reference_with_its_exact_arguments(name: str) -> None:
    signature = f"{name}({', '.join(HOOKS[name])})"
    assert signature in PAGE.read_text(), f"{PAGE.relative_to(ROOT)} lacks `{signature}`"


def test_every_hook_is_implemented_by_a_test() -> None:
    assert set(HOOKS) - _implemented_in_tests() == set(), "no test has an @hookimpl of that name"


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_has_a_guide_that_shows_an_example_of_it(name: str) -> None:
    (guide,) = _guides(name)
    examples = [path for path in _shown_by(guide, "examples/hooks") if name in _hooks_in(path)]
    assert examples, f"{guide.name} shows no file of examples/hooks that implements {name}"
    configs = "".join(path.read_text() for path in _shown_by(guide, "configs/hooks"))
    assert any(path.name in configs for path in examples), f"{guide.name}: no configuration runs it"
    section = PAGE.read_text().partition(f"### {name}\n")[2].partition("\n##")[0]
    assert f"](../how-to/hooks/{guide.name})" in section


def test_every_guide_is_listed_and_says_everything() -> None:
    guides = sorted(path for path in GUIDES.glob("*.md") if path.name != "index.md")
    assert {page for page, _ in ROW.findall(INDEX)} == {path.name for path in guides}
    navigation = (ROOT / ".mkdocs.yml").read_text()
    for guide in guides:
        text = guide.read_text()
        assert f"how-to/hooks/{guide.name}" in navigation
        assert [one for one in SECTIONS if f"\n{one}" not in text] == [], guide.name
        (test,) = re.findall(r"<!-- file: (test_\w+\.py) -->", text)
        runs = [line for line in text.splitlines() if line.startswith("$ python -m pytest ")]
        assert [line.endswith(f" {test}") for line in runs] == [True], f"{guide.name}: run {test}"
