"""Every hook is documented as it is, and some test implements it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from massgen_bridge import hookspecs

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "hooks.md"

HOOKS = {
    name: list(inspect.signature(function).parameters)
    for name, function in vars(hookspecs).items()
    if name.startswith("bridge_")
}


def _is_marked(node: ast.FunctionDef) -> bool:
    marks = (n for mark in node.decorator_list for n in ast.walk(mark))
    return any(getattr(n, "id", getattr(n, "attr", "")) == "hookimpl" for n in marks)


def _implemented_in_tests() -> set[str]:
    trees = [ROOT / "tests", *ROOT.glob("adapters/*/tests")]
    files = (path for tree in trees for path in tree.rglob("test_*.py"))
    return {
        node.name
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and _is_marked(node)
    }


def test_the_specification_has_hooks() -> None:
    assert len(HOOKS) > 10
    assert set(HOOKS) <= set(hookspecs.__all__)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_stands_in_the_reference_with_its_exact_arguments(name: str) -> None:
    signature = f"{name}({', '.join(HOOKS[name])})"
    assert signature in PAGE.read_text(), f"{PAGE.relative_to(ROOT)} lacks `{signature}`"


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_implemented_by_a_test(name: str) -> None:
    assert name in _implemented_in_tests(), f"no test has an @hookimpl named {name}"
