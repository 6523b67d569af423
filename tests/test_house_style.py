"""The conventions that no linter knows. Their lists of exceptions only ever shrink."""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, TypeGuard

import pytest

import massgen_bridge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]

LONGEST_FILE = 500
USUAL_FUNCTION = 35
TOO_LONG: frozenset[str] = frozenset()

OVERLOOK = re.compile(r"#\s*(?:ruff:\s*)?noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?(?P<reason>.*)$")

# Handlers that may end a cancellation: "path::function" and why nothing is lost.
MAY_SWALLOW_CANCELLATION: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file of Python, read and parsed once for all rules."""

    path: Path

    @cached_property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())

    @property
    def is_public(self) -> bool:
        inside = self.path.relative_to(ROOT).parts
        parts = inside if inside[0] == "massgen_bridge" else inside[3:]
        return not any(part.startswith("_") and part != "__init__.py" for part in parts)


def _below(folder: Path) -> Iterator[Path]:
    # Environments stand beside the sources of adapters, in folders whose names begin with a dot.
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(where, name) for name in files if name.endswith(".py"))


@cache
def _sources() -> tuple[_File, ...]:
    """Everything that is written in Python."""
    folders = ("massgen_bridge", "adapters", "tests", "examples", "docs")
    found = sorted(path for folder in folders for path in _below(ROOT / folder))
    return tuple(_File(path=path) for path in (*found, ROOT / "noxfile.py"))


@cache
def _shipped() -> tuple[_File, ...]:
    """What users install."""
    trees = (ROOT / "massgen_bridge", *ROOT.glob("adapters/*/src"))
    # Other projects' files; tests/cli/test_cli_new.py holds them to rules of their own.
    templates = ROOT / "massgen_bridge" / "templates"
    return tuple(
        file
        for file in _sources()
        if any(file.path.is_relative_to(tree) for tree in trees)
        and not file.path.is_relative_to(templates)
    )


def test_there_is_something_to_hold_to_these_rules() -> None:
    assert sum(file.is_public for file in _shipped()) > 10
    assert {file.name.split("/")[0] for file in _shipped()} == {"massgen_bridge", "adapters"}
    folders = {"massgen_bridge", "adapters", "tests", "examples", "docs", "noxfile.py"}
    assert {file.name.split("/")[0] for file in _sources()} == folders


def test_a_file_stays_short_enough_to_read_in_one_go() -> None:
    lines = {file.name: len(file.lines) for file in _sources()}
    long = {name: count for name, count in lines.items() if count > LONGEST_FILE}
    assert {name: count for name, count in long.items() if name not in TOO_LONG} == {}
    assert set(TOO_LONG) - set(long) == set(), "no longer too long"


def test_functions_stay_short() -> None:
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for file in _shipped()
        for node in ast.walk(file.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    )
    ninth = lengths[len(lengths) * 9 // 10]
    assert ninth <= USUAL_FUNCTION, f"one function in ten has more than {ninth} lines"


def test_what_a_linter_is_told_to_overlook_has_a_reason() -> None:
    bare = [
        f"{file.name}:{number}: {line.strip()}"
        for file in _sources()
        for number, line in enumerate(file.lines, 1)
        if (found := OVERLOOK.search(line)) and not found["reason"].strip()
    ]
    assert bare == [], "give the reason after the code"


def _broad_catches(tree: ast.AST) -> Iterator[int]:
    """The lines where any exception at all is caught, or suppressed."""
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=None, lineno=line):
                yield line
            case ast.ExceptHandler(type=ast.expr() as caught, lineno=line) if _is_broad([caught]):
                yield line
            case ast.Call(func=ast.Name(id="suppress"), args=args, lineno=line) if _is_broad(args):
                yield line
            case _:
                pass


def _is_broad(caught: Iterable[ast.expr]) -> bool:
    names = {getattr(n, "id", "") for one in caught for n in ast.walk(one)}
    return bool(names & {"BaseException", "Exception"})


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    f()\nexcept:\n    raise",
        "try:\n    f()\nexcept (Exception, SystemExit):\n    raise",
        "with suppress(BaseException):\n    f()",
    ],
)
def test_a_broad_catch_is_seen(code: str) -> None:
    assert list(_broad_catches(ast.parse(code)))
    assert not list(_broad_catches(ast.parse("try:\n    f()\nexcept OSError:\n    raise")))


def test_where_anything_at_all_is_caught_the_line_says_why() -> None:
    bare = []
    for file in _shipped():
        for number in _broad_catches(file.tree):
            comment = re.sub(r"noqa: \w+", "", file.lines[number - 1].partition("#")[2])
            if not comment.strip(" -"):
                bare.append(f"{file.name}:{number}")
    assert bare == [], "say on the line why no narrower exception will do"


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _bound_names(body: Iterable[ast.stmt]) -> Iterator[tuple[str, bool]]:
    """Every name that a module binds, and whether it is a function or class of that module."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, True
            case ast.Assign():
                names = (n for target in node.targets for n in ast.walk(target))
                yield from ((n.id, False) for n in names if _is_stored(n))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, False
            case ast.Import() | ast.ImportFrom():
                yield from ((alias.asname or alias.name, False) for alias in node.names)
            case ast.If() | ast.Try():
                yield from _bound_names([*node.body, *node.orelse])
            case _:
                pass


def _listed(tree: ast.Module) -> list[str]:
    (listed,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    return list(listed)


def _wrong_names(tree: ast.Module) -> Iterator[str]:
    """What is wrong with the list of a module's public names."""
    bound = dict(_bound_names(tree.body))
    defined = {name for name, here in bound.items() if here and not name.startswith("_")}
    if "__all__" not in bound:
        if defined:  # else an empty package file, or one for its docstring's sake
            yield f"add __all__ = {sorted(defined)}"
        return
    listed = _listed(tree)
    if twice := sorted({name for name in listed if listed.count(name) > 1}):
        yield f"twice in __all__: {twice}"
    if missing := sorted(defined - set(listed)):
        yield f"public, but not in __all__: {missing}"
    if unknown := sorted(set(listed) - set(bound)):
        yield f"in __all__, but not in the module: {unknown}"


def test_a_public_module_lists_its_public_names() -> None:
    """Ruff sorts the list (RUF022); here it has to be true and to miss no class or function."""
    wrong = [
        f"{file.name}: {said}"
        for file in _shipped()
        if file.is_public
        for said in _wrong_names(file.tree)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def f(): ...", "add __all__ = ['f']"),
        ("__all__ = ['f', 'f']\ndef f(): ...", "twice in __all__: ['f']"),
        ("__all__ = []\nclass C: ...", "public, but not in __all__: ['C']"),
        ("__all__ = ['x']", "in __all__, but not in the module: ['x']"),
    ],
)
def test_a_wrong_list_of_public_names_is_seen(code: str, said: str) -> None:
    assert list(_wrong_names(ast.parse(code))) == [said]
    assert not list(_wrong_names(ast.parse("__all__ = ['f', 'x']\nx = 1\ndef f(): ...")))


def test_every_public_name_of_the_package_can_be_had() -> None:
    missing = [name for name in massgen_bridge.__all__ if not hasattr(massgen_bridge, name)]
    assert missing == []


def test_every_public_name_of_the_package_means_one_thing() -> None:
    """The first module that lists a name gives it, so no other may mean something else by it."""
    modules = [resolve_name(f"massgen_bridge.{name}") for name in massgen_bridge._MODULES]
    for name in massgen_bridge.__all__:
        for module in modules:
            if name in module.__all__:
                assert getattr(module, name) is getattr(massgen_bridge, name), name


@cache
def _modules() -> frozenset[str]:
    """The names that stand directly below the folders at the top of the shipped trees."""
    return frozenset(file.path.relative_to(ROOT).with_suffix("").parts[1] for file in _shipped())


def test_no_public_name_is_hidden_by_a_module_of_that_name() -> None:
    """Importing `massgen_bridge.x` binds `x` in the package, whatever stood there before."""
    modules = _modules()
    assert "plugins" in modules
    assert modules & set(massgen_bridge.__all__) == set()


def _catches_cancellation(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = {getattr(n, "attr", getattr(n, "id", "")) for n in ast.walk(handler.type)}
    return bool(caught & {"BaseException", "CancelledError", "get_cancelled_exc_class"})


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends by raising what it caught, whatever else it does."""
    last = handler.body[-1]
    returns = any(
        isinstance(n, ast.Return | ast.Break | ast.Continue)
        for statement in handler.body
        for n in ast.walk(statement)
    )
    return isinstance(last, ast.Raise) and last.exc is None and not returns


def _swallowers(node: ast.AST, function: str = "") -> Iterator[tuple[str, int]]:
    """The functions, and lines, where a cancellation is caught and does not get out again."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            function = name
        case ast.ExceptHandler() if _catches_cancellation(node) and not _passes_on(node):
            yield function, node.lineno
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress")):
            handler = ast.ExceptHandler(ast.Tuple(node.args), None, [ast.Pass()])
            if _catches_cancellation(handler):
                yield function, node.lineno
        case _:
            pass
    for child in ast.iter_child_nodes(node):
        yield from _swallowers(child, function)


def test_a_cancellation_that_is_caught_is_raised_again() -> None:
    swallowed = [
        f"{file.name}:{line}"
        for file in _shipped()
        for function, line in dict.fromkeys(_swallowers(file.tree))
        if f"{file.name}::{function}" not in MAY_SWALLOW_CANCELLATION
    ]
    assert swallowed == [], "end the handler with a bare `raise`"


@pytest.mark.parametrize(
    "handler",
    [
        "except asyncio.CancelledError:\n    return",
        "except BaseException as e:\n    raise RuntimeError from e",
        "except (ValueError, anyio.get_cancelled_exc_class()):\n    pass",
        "except:\n    if x: return\n    raise",
    ],
)
def test_the_check_above_sees_what_it_should(handler: str) -> None:
    assert list(_swallowers(ast.parse(f"try:\n    f()\n{handler}")))
    assert not list(
        _swallowers(ast.parse("try:\n    f()\nexcept BaseException:\n    g()\n    raise"))
    )


def test_every_exception_from_the_rule_is_still_needed() -> None:
    for where in MAY_SWALLOW_CANCELLATION:
        path, _, function = where.partition("::")
        assert function in dict(_swallowers(ast.parse((ROOT / path).read_text())))


def test_the_core_takes_nothing_but_the_version_from_its_own_top() -> None:
    """The public names are for users; within the core they would close circles of imports."""
    taken = {
        f"{file.name}: {alias.name}"
        for file in _shipped()
        if file.path.is_relative_to(ROOT / "massgen_bridge")
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "massgen_bridge"
        for alias in node.names
        if alias.name not in {"__version__"} | _modules()
    }
    assert taken == set()
