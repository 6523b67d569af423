from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import massgen_bridge
from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.isolation.code import code_root, injected, prune_code
from massgen_bridge.isolation.requirements import core_requirements

if TYPE_CHECKING:
    from collections.abc import Iterator

CORE = Path(massgen_bridge.__file__).parent
INJECT = (
    "import sys; from massgen_bridge.isolation.code import injected;"
    "print(injected(sys.argv[1:]), end='')"
)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that can be imported by nobody."""
    folder = tmp_path / "sources" / "acme_adapter"
    (folder / "data").mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    (folder / "__init__.py").write_text("NAME = 'acme'\n")
    (folder / "data" / "words.txt").write_text("a word\n")
    (folder / "__pycache__" / "__init__.cpython-311.pyc").write_bytes(b"old")
    (folder.parent / "beside.py").write_text("")
    return folder


@pytest.fixture
def on_path(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package, where it can be imported by its name."""
    monkeypatch.syspath_prepend(package.parent)
    yield package
    sys.modules.pop("acme_adapter", None)


def test_a_copy_holds_the_packages_and_nothing_else(package: Path) -> None:
    copy = injected(["massgen_bridge", package])
    assert copy.parent == code_root()
    assert sorted(path.name for path in copy.iterdir()) == ["acme_adapter", "massgen_bridge"]
    files = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert {"acme_adapter/data/words.txt", "massgen_bridge/catalogue.json"} <= files
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]
    assert (copy / "massgen_bridge" / "errors.py").read_bytes() == (CORE / "errors.py").read_bytes()


def test_a_package_is_found_by_the_name_of_any_of_its_modules(on_path: Path) -> None:
    assert injected(["acme_adapter.inner.part"]) == injected([on_path])


def test_a_module_of_one_file_is_copied(on_path: Path) -> None:
    copy = injected(["beside"])
    assert [path.name for path in copy.iterdir()] == ["beside.py"]
    assert on_path.parent != copy


def test_adapters_that_only_lie_beside_the_core_are_found() -> None:
    adapters = Path(__file__).parents[2] / "adapters"
    names = [path.name for path in adapters.glob("*/src/massgen_bridge_*")]
    assert names
    copy = injected(["massgen_bridge", *names])
    assert {path.name for path in copy.iterdir()} == {"massgen_bridge", *names}


def test_the_copy_is_what_a_python_with_nothing_else_of_ours_imports(package: Path) -> None:
    copy = injected(["massgen_bridge", package])
    code = (
        f"import sys; sys.path[:0] = [{str(copy)!r}];"
        "import acme_adapter, massgen_bridge.errors as e; print(e.__file__)"
    )
    said = subprocess.check_output([sys.executable, "-I", "-S", "-c", code], text=True)
    assert Path(said.strip()) == copy / "massgen_bridge" / "errors.py"


def test_other_content_is_another_copy_and_the_same_is_shared_by_processes(package: Path) -> None:
    def inject() -> str:
        command = [sys.executable, "-c", INJECT, "acme_adapter"]
        environ = {**os.environ, "PYTHONPATH": str(package.parent)}
        return subprocess.check_output(command, text=True, env=environ)

    first = inject()
    (package / "__pycache__" / "more.pyc").write_bytes(b"new")
    assert inject() == first
    (package / "__init__.py").write_text("NAME = 'other'\n")
    assert inject() != first
    assert len(list(code_root().iterdir())) == 2


def test_a_process_keeps_to_the_code_that_it_copied_first(package: Path) -> None:
    first = injected([package])
    (package / "__init__.py").write_text("NAME = 'edited meanwhile'\n")
    assert injected([package]) == first


def test_a_damaged_copy_is_made_again(package: Path) -> None:
    def inject() -> Path:
        command = [sys.executable, "-c", INJECT, "acme_adapter"]
        environ = {**os.environ, "PYTHONPATH": str(package.parent)}
        return Path(subprocess.check_output(command, text=True, env=environ))

    copy = inject()
    (copy / "acme_adapter" / "__init__.py").unlink()
    assert inject() == copy
    assert (copy / "acme_adapter" / "__init__.py").read_text() == "NAME = 'acme'\n"
    assert [path.name for path in code_root().iterdir()] == [copy.name]


def test_copies_that_were_not_asked_for_lately_are_deleted(package: Path) -> None:
    copy = injected([package])
    now = time.time()
    assert prune_code(unused_for_s=3600, now=now) == 0
    assert prune_code(unused_for_s=3600, now=now + 7200) == 1
    assert not copy.exists()
    assert injected([package]) == copy
    assert copy.is_dir()


def test_code_that_is_nowhere_is_a_clear_error() -> None:
    with pytest.raises(EnvironmentFailed, match="the code of 'acme_nowhere' was not found"):
        injected(["massgen_bridge", "acme_nowhere.part"])


def test_a_cache_that_cannot_be_written_is_a_clear_error(cache: Path, package: Path) -> None:
    cache.write_text("no folder")
    with pytest.raises(EnvironmentFailed, match="set MASSGEN_BRIDGE_CACHE to one that is"):
        injected([package])


def _held_for_the_core() -> set[str]:
    """The distributions that every environment holds, with all that they need."""
    held: set[str] = set()
    waiting = [Requirement(one).name for one in core_requirements()]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in held:
            held.add(name)
            needed = map(Requirement, metadata.requires(name) or ())
            waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate()]
    return held


def test_a_worker_needs_nothing_but_what_an_environment_holds_for_the_core() -> None:
    """What is imported later is imported by a kind's own adapter, for packages of its own."""
    held = _held_for_the_core()
    lacking = [
        package
        for package, owners in metadata.packages_distributions().items()
        if not {canonicalize_name(one) for one in owners} & {*held, "massgen-bridge"}
    ]
    assert {"typer", "rich", "platformdirs"} <= set(lacking)
    # None in its place makes an import fail as if the module was not there.
    code = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv[1:]));"
        "import massgen_bridge.isolation.worker, massgen_bridge.adapting, massgen_bridge.isolation"
    )
    subprocess.run([sys.executable, "-c", code, *lacking], check=True)
