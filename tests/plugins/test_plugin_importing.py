"""Code by import path: what is found where, and one clear error where it is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from massgen_bridge.errors import ConfigError
from massgen_bridge.plugins import load_object, source_files


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before, path = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "crew.py").write_text(
        "from helpers_of_crew import name\n"
        "class Crew:\n    members = ['ada']\n"
        "def build():\n    return name\n"
    )
    (tmp_path / "helpers_of_crew.py").write_text("name = 'crew'\n")
    package = tmp_path / "local_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "agents.py").write_text("def build():\n    return __name__\n")
    return tmp_path


def _error(reference: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_object(reference, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_attribute_of_an_installed_module_is_found(tmp_path: Path) -> None:
    assert load_object("json.decoder:JSONDecoder", tmp_path) is sys.modules["json"].JSONDecoder


def test_an_attribute_of_a_file_is_found_relative_to_the_configuration(folder: Path) -> None:
    for reference in ("crew.py:build", "./crew.py:build", f"{folder}/crew.py:build"):
        build = load_object(reference, folder)
        assert callable(build)
        assert build() == "crew"


def test_an_attribute_may_have_dots(folder: Path) -> None:
    assert load_object("crew.py:Crew.members", folder) == ["ada"]


def test_a_module_beside_the_configuration_is_found(folder: Path) -> None:
    build = load_object("local_package.agents:build", folder)
    assert callable(build)
    assert build() == "local_package.agents"


def test_a_file_is_run_once_and_again_only_when_it_has_changed(folder: Path) -> None:
    first = load_object("crew.py:build", folder)
    assert load_object("crew.py:build", folder) is first
    (folder / "crew.py").write_text("def build():\n    return 2\n")
    again = load_object("crew.py:build", folder)
    assert callable(again)
    assert again() == 2


def test_running_a_file_writes_nothing_beside_it(folder: Path) -> None:
    (folder / "alone.py").write_text("x = 1\n")
    load_object("alone.py:x", folder)
    assert not (folder / "__pycache__").exists()


def test_files_of_one_name_in_two_folders_are_two_modules(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "crew.py").write_text("def build():\n    return 'other'\n")
    builds = [load_object("crew.py:build", one) for one in (folder, other)]
    assert [build() for build in builds if callable(build)] == ["crew", "other"]


def test_modules_of_one_name_beside_two_configurations_are_not_mixed_up(folder: Path) -> None:
    load_object("local_package.agents:build", folder)
    other = folder / "other"
    (other / "local_package").mkdir(parents=True)
    (other / "local_package" / "agents.py").write_text("def build(): ...\n")
    text = _error("local_package.agents:build", other)
    assert "already imported from" in text
    assert "give the path of the file" in text


@pytest.mark.parametrize("reference", ["", "json", "crew.py", ":build", "json:", "a b:c", "1x:y"])
def test_what_is_no_import_path_is_an_error(reference: str, folder: Path) -> None:
    assert "cannot import" in _error(reference, folder)


def test_a_missing_module_is_named(folder: Path) -> None:
    assert "there is no module 'nowhere'" in _error("nowhere.agents:build", folder)
    assert "there is no module 'json.agents'" in _error("json.agents:build", folder)


def test_a_missing_file_is_named_with_its_place(folder: Path) -> None:
    assert f"cannot read '{folder / 'team.py'}'" in _error("team.py:build", folder)


def test_a_missing_attribute_comes_with_the_nearest_name(folder: Path) -> None:
    assert "has no 'biuld'; did you mean 'build'?" in _error("crew.py:biuld", folder)
    assert "did you mean 'members'?" in _error("crew.py:Crew.member", folder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\ny = x / 0\n", "ZeroDivisionError: division by zero (FILE, line 2)"),
        ("x = (\n", "SyntaxError"),
        ("import not_there_at_all\n", "No module named 'not_there_at_all' (FILE, line 1)"),
        ("import sys\nsys.exit('no')\n", "SystemExit: no (FILE, line 2)"),
        ("def f():\n    raise ValueError('a\\nb')\nf()\n", "ValueError: a b (FILE, line 2)"),
    ],
)
@pytest.mark.parametrize("reference", ["bad_code.py:x", "bad_code:x"])
def test_an_error_in_the_code_is_told_with_its_line(
    reference: str, text: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad_code.py"
    path.write_text(text)
    assert expected.replace("FILE", str(path)) in _error(reference, tmp_path)
    assert not any("bad_code" in name for name in sys.modules)


def test_the_files_that_would_run_are_found_without_running_them(folder: Path) -> None:
    (folder / "local_package" / "__init__.py").write_text("raise RuntimeError\n")
    package = folder / "local_package"
    for reference, files in {
        "crew.py:build": [folder / "crew.py"],
        "./crew.py": [folder / "crew.py"],
        "local_package.agents:build": [package / "__init__.py", package / "agents.py"],
        "local_package.missing": [package / "__init__.py"],
        "nowhere:build": [],
        "nowhere.py:build": [],
        "not a module": [],
        "sys:path": [],
    }.items():
        assert list(source_files(reference, folder)) == files
    assert "local_package" not in sys.modules


def test_an_installed_module_comes_before_one_beside_the_configuration(folder: Path) -> None:
    (folder / "json.py").write_text("raise RuntimeError\n")
    assert load_object("json:loads", folder) is sys.modules["json"].loads
    (found,) = source_files("json:loads", folder)
    assert found.parent.name == "json"
