"""Every adapter has the same shape, is cheap to find, and is held to the conformance suite."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import massgen_bridge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
KINDS = sorted(path.parent.name for path in ROOT.glob("adapters/*/pyproject.toml"))

# What an adapter may import before anybody asks for an agent of its kind.
CHEAP = {"massgen_bridge", "pydantic"} | sys.stdlib_module_names
# Standard library, and still too slow to load for a listing of the kinds.
DEAR = {"asyncio", "ctypes", "http", "multiprocessing", "sqlite3", "ssl", "unittest", "urllib"}


def _project(path: Path) -> dict[str, Any]:
    return tomllib.loads((path / "pyproject.toml").read_text())


def _package(kind: str) -> Path:
    return ROOT / "adapters" / kind / "src" / f"massgen_bridge_{kind}"


def _test_files(kind: str) -> list[Path]:
    return sorted((ROOT / "adapters" / kind / "tests").glob("*.py"))


def _imports(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The modules that are imported when a module is, in whole names."""
    for node in body:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from _imports(node.orelse)
            case ast.If() | ast.Try() | ast.With() | ast.ClassDef():
                yield from _imports([*node.body, *getattr(node, "orelse", [])])
            case ast.ImportFrom():
                raise AssertionError("adapters import by whole names")
            case _:
                pass


def _module_file(package: Path, module: str) -> Path:
    path = package.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imported_with(package: Path) -> dict[str, str]:
    """Every foreign module that importing the package imports, and which file of it does."""
    foreign: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [package.name]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        file = _module_file(package, module)
        for name in _imports(ast.parse(file.read_text()).body):
            if name.partition(".")[0] == package.name:
                waiting.append(name)
            else:
                foreign[name] = file.name
    return foreign


def test_there_are_adapters() -> None:
    assert len(KINDS) >= 2
    folders = {path.name for path in (ROOT / "adapters").iterdir() if (path / "src").is_dir()}
    assert folders == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_project_is_named_after_its_folder(kind: str) -> None:
    project = _project(ROOT / "adapters" / kind)["project"]
    assert project["name"] == f"massgen-bridge-{kind.replace('_', '-')}"
    assert project["entry-points"]["massgen_bridge"] == {kind: f"massgen_bridge_{kind}"}
    assert (_package(kind) / "py.typed").is_file()


def test_the_package_knows_its_version() -> None:
    assert massgen_bridge.__version__ == _project(ROOT)["project"]["version"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_version_is_the_core_s(kind: str) -> None:
    core = _project(ROOT)["project"]["version"]
    project = _project(ROOT / "adapters" / kind)["project"]
    major, minor, _ = core.split(".")
    assert project["version"] == core
    assert f"massgen-bridge>={major}.{minor},<{major}.{int(minor) + 1}" in project["dependencies"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_is_cheap_to_import(kind: str) -> None:
    imported = _imported_with(_package(kind))
    dear = {
        module: file
        for module, file in imported.items()
        if module.partition(".")[0] in DEAR or module.partition(".")[0] not in CHEAP
    }
    assert dear == {}, "import these where an agent is made"
    assert "massgen_bridge" in imported


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_is_held_to_the_conformance_suite(kind: str) -> None:
    classes = [
        node
        for file in _test_files(kind)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    bases = {getattr(b, "id", getattr(b, "attr", "")) for node in classes for b in node.bases}
    assert any(base.endswith("Conformance") for base in bases), f"no conformance suite in {bases}"


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_s_tests_need_nothing_but_the_public_names_and_the_kit(kind: str) -> None:
    files = _test_files(kind)
    assert files
    for file in files:
        names = {
            name
            for node in ast.walk(ast.parse(file.read_text()))
            for name in _imports([node] if isinstance(node, ast.stmt) else [])
            if name.split(".")[0] == "massgen_bridge"
        }
        public = ("massgen_bridge", "massgen_bridge.adapting")
        private = {n for n in names if n not in public and n.split(".")[1] != "testing"}
        assert private == set(), file.name


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_s_tests_are_as_strict_as_the_core_s(kind: str) -> None:
    core, own = (_project(path)["tool"]["pytest"] for path in (ROOT, ROOT / "adapters" / kind))
    assert own["addopts"] == core["addopts"]
    assert own["xfail_strict"]
    assert own["timeout"]
    assert own["filterwarnings"][0] == "error"


def test_test_files_have_names_of_their_own() -> None:
    """Mypy takes two files of one name for one module."""
    files = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("adapters/*/tests/**/test_*.py")]
    names = [file.name for file in files]
    assert sorted(names) == sorted(set(names))


def test_every_adapter_is_under_the_import_contracts() -> None:
    settings = _project(ROOT)["tool"]["importlinter"]
    packages = {f"massgen_bridge_{kind}" for kind in KINDS}
    assert set(settings["root_packages"]) == {"massgen_bridge", *packages}
    contracts = {contract["id"]: contract for contract in settings["contracts"]}
    assert packages <= set(contracts["no-frameworks"]["forbidden_modules"])
    assert packages == set(contracts["adapters-public"]["source_modules"])
    assert packages == set(contracts["adapters-apart"]["modules"])
