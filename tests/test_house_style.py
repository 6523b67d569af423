"""The conventions that no linter knows. Their lists of exceptions only ever shrink."""

from __future__ import annotations

import ast
import re
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

SHIPPED = sorted(
    path
    for tree in (ROOT / "massgen_bridge", *ROOT.glob("adapters/*/src"))
    for path in tree.rglob("*.py")
    # Other projects' files; tests/cli/test_cli_new.py holds them to rules of their own.
    if not path.is_relative_to(ROOT / "massgen_bridge" / "templates")
)
SOURCES = [
    *sorted(
        path
        for folder in ("massgen_bridge", "adapters", "tests", "examples", "docs")
        for path in (ROOT / folder).rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ),
    ROOT / "noxfile.py",
]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _is_public(path: Path) -> bool:
    inside = path.relative_to(ROOT).parts
    parts = inside if inside[0] == "massgen_bridge" else inside[3:]
    return not any(part.startswith("_") and part != "__init__.py" for part in parts)


PUBLIC = [path for path in SHIPPED if _is_public(path)]


def test_there_is_something_to_hold_to_these_rules() -> None:
    assert len(PUBLIC) > 10
    assert {_name(path).split("/")[0] for path in SHIPPED} == {"massgen_bridge", "adapters"}


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_file_stays_short_enough_to_read_in_one_go(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert (lines > LONGEST_FILE) == (_name(path) in TOO_LONG), f"{lines} lines"


def test_functions_stay_short() -> None:
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in SHIPPED
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    )
    ninth = lengths[len(lengths) * 9 // 10]
    assert ninth <= USUAL_FUNCTION, f"one function in ten has more than {ninth} lines"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_what_a_linter_is_told_to_overlook_has_a_reason(path: Path) -> None:
    bare = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(path.read_text().splitlines(), 1)
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
    for path in SHIPPED:
        text = path.read_text()
        lines = text.splitlines()
        for number in _broad_catches(ast.parse(text)):
            comment = re.sub(r"noqa: \w+", "", lines[number - 1].partition("#")[2])
            if not comment.strip(" -"):
                bare.append(f"{_name(path)}:{number}")
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


@pytest.mark.parametrize("path", PUBLIC, ids=_name)
def test_a_public_module_lists_its_public_names(path: Path) -> None:
    """Ruff sorts the list (RUF022); here it has to be true and to miss no class or function."""
    tree = ast.parse(path.read_text())
    bound = dict(_bound_names(tree.body))
    defined = {name for name, here in bound.items() if here and not name.startswith("_")}
    if not defined and "__all__" not in bound:
        return  # nothing to list: an empty package file, or one for its docstring's sake
    assert "__all__" in bound, f"add __all__ = {sorted(defined)}"
    (listed,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    assert len(listed) == len(set(listed))
    assert defined - set(listed) == set(), "public, but not in __all__"
    assert set(listed) - set(bound) == set(), "in __all__, but not in the module"


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


def test_no_public_name_is_hidden_by_a_module_of_that_name() -> None:
    """Importing `massgen_bridge.x` binds `x` in the package, whatever stood there before."""
    modules = {path.relative_to(ROOT).with_suffix("").parts[1] for path in SHIPPED}
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


@pytest.mark.parametrize("path", SHIPPED, ids=_name)
def test_a_cancellation_that_is_caught_is_raised_again(path: Path) -> None:
    swallowed = sorted(
        {
            line
            for function, line in _swallowers(ast.parse(path.read_text()))
            if f"{_name(path)}::{function}" not in MAY_SWALLOW_CANCELLATION
        }
    )
    assert swallowed == [], f"{_name(path)}, lines {swallowed}: end the handler with a bare `raise`"


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
    modules = {path.relative_to(ROOT).with_suffix("").parts[1] for path in SHIPPED}
    taken = {
        f"{_name(path)}: {alias.name}"
        for path in SHIPPED
        if path.is_relative_to(ROOT / "massgen_bridge")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "massgen_bridge"
        for alias in node.names
        if alias.name not in {"__version__"} | modules
    }
    assert taken == set()
