"""The built wheels, each set installed into an empty environment far from the source tree.

noxfile.py copies this folder out of the repository and makes the environments: `core` holds the
core alone, every other one is named after an adapter and holds that as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from wheels.environments import ENVIRONMENTS, Environment

NAMES = sorted(path.name for path in ENVIRONMENTS.iterdir())

# What `pip install massgen-bridge` may cost.
MOST_PACKAGES = 25
MOST_MEGABYTES = 45

SCRIPTED = """\
version: 1
agents:
  - id: ada
    backend: {type: scripted, answers: ["Forty-two."], votes: [agent1]}
  - id: bob
    backend: {type: scripted, answers: ["Forty-one."], votes: [agent1]}
"""

WHERE_FROM = """\
import importlib, json, sys
modules = [importlib.import_module(name) for name in sys.argv[1:]]
print(json.dumps([module.__file__ for module in modules]))
"""

# Which distributions the modules belong to that importing a package brings in.
BROUGHT_IN = """\
import importlib, json, sys
from importlib.metadata import packages_distributions
importlib.import_module(sys.argv[1])
owners = packages_distributions()
print(json.dumps(sorted({d for name in sys.modules for d in owners.get(name.split(".")[0], [])})))
"""

DISTRIBUTIONS = """\
import json
from importlib.metadata import distributions
size = {d.name: sum(f.size or 0 for f in d.files or ()) for d in distributions()}
print(json.dumps(size))
"""


def _run(name: str, *command: str, cwd: Path, **env: str) -> str:
    return Environment(name)(*command, cwd=cwd, **env)


def _ask(name: str, code: str, *arguments: str, cwd: Path) -> Any:
    return json.loads(_run(name, "python", "-I", "-c", code, *arguments, cwd=cwd))


def _packages(name: str) -> list[str]:
    return ["massgen_bridge"] if name == "core" else ["massgen_bridge", f"massgen_bridge_{name}"]


def test_the_core_and_two_adapters_or_more_are_here() -> None:
    assert "core" in NAMES
    assert len(NAMES) > 2


@pytest.mark.parametrize("name", NAMES)
def test_a_package_comes_from_its_wheel_with_its_types(name: str, tmp_path: Path) -> None:
    for file in map(Path, _ask(name, WHERE_FROM, *_packages(name), cwd=tmp_path)):
        assert "site-packages" in file.parts
        assert file.is_relative_to(ENVIRONMENTS / name)
        assert (file.parent / "py.typed").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_holds_its_package_alone(name: str) -> None:
    (site,) = (ENVIRONMENTS / name).glob("lib/python*/site-packages")
    ours = {path.name.split("-")[0] for path in site.glob("massgen_bridge*")}
    assert ours == set(_packages(name))
    strays = {"tests", "configs", "docs", "examples", "adapters", "src", "noxfile.py"}
    assert not strays & {path.name for path in site.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_the_command_tells_its_version(name: str, tmp_path: Path) -> None:
    versions = _ask(
        name,
        "import json, massgen_bridge; print(json.dumps(massgen_bridge.__version__))",
        cwd=tmp_path,
    )
    assert versions in _run(name, "massgen-bridge", "--version", cwd=tmp_path)


def test_testing_an_adapter_says_what_it_needs(tmp_path: Path) -> None:
    command = ("massgen-bridge", "adapters", "test", "scripted")
    with pytest.raises(AssertionError, match=r"exit 2\n+.*pip install 'massgen-bridge\[testing\]'"):
        Environment("core")(*command, cwd=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_the_command_lists_the_kinds_that_are_installed(name: str, tmp_path: Path) -> None:
    listing = json.loads(_run(name, "massgen-bridge", "adapters", "--json", cwd=tmp_path))
    installed = {a["kind"] for a in listing["adapters"] if a["state"] == "installed"}
    assert installed == {"human", "python", "scripted", "team"} | ({name} - {"core"})
    bundled = {a["kind"] for a in listing["adapters"] if a["state"] == "bundled"}
    assert bundled == set(NAMES) - {"core", name}


def test_the_core_alone_reads_a_configuration_of_kinds_that_are_not_installed(
    tmp_path: Path,
) -> None:
    kinds = sorted(set(NAMES) - {"core"})
    models = dict.fromkeys(kinds, "openai/gpt-5-mini") | {
        "anthropic": "anthropic/claude-haiku-4-5",
        "gemini": "gemini/gemini-3-flash",
    }
    agents = [
        f"  - {{id: {kind}, backend: {{type: {kind}, model: {models[kind]}}}}}\n" for kind in kinds
    ]
    (tmp_path / "team.yaml").write_text("version: 1\nagents:\n" + "".join(agents))
    _run("core", "massgen-bridge", "config", "validate", "team.yaml", cwd=tmp_path)
    command = ("massgen-bridge", "run", "team.yaml", "q", "--dry-run", "--output", "json")
    named = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
    keys = dict.fromkeys(named, "of-nobody")
    plan = json.loads(_run("core", *command, cwd=tmp_path, **keys))
    assert [one["kind"] for one in plan["environments"]] == kinds
    assert {one["isolation"] for one in plan["agents"]} == {"environment"}


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(SCRIPTED)
    answer = _run(name, "massgen-bridge", "run", "team.yaml", "What is the answer?", cwd=tmp_path)
    assert "Forty-two." in answer


def test_an_agent_in_a_process_of_its_own_answers(tmp_path: Path) -> None:
    backend = "backend: {type: scripted, isolation: process,"
    (tmp_path / "team.yaml").write_text(SCRIPTED.replace("backend: {type: scripted,", backend))
    command = ("massgen-bridge", "run", "team.yaml", "What is the answer?")
    assert "Forty-two." in _run("core", *command, cwd=tmp_path)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "core"])
def test_an_adapter_is_found_without_its_framework_being_imported(
    name: str, tmp_path: Path
) -> None:
    brought = set(_ask(name, BROUGHT_IN, f"massgen_bridge_{name}", cwd=tmp_path))
    core = set(_ask("core", DISTRIBUTIONS, cwd=tmp_path))
    assert brought <= core | {f"massgen-bridge-{name.replace('_', '-')}"}


def test_the_core_is_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = _ask("core", DISTRIBUTIONS, cwd=tmp_path)
    megabytes = sum(sizes.values()) / 1e6
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:4]
    with capsys.disabled():
        shares = ", ".join(f"{package} {sizes[package] / 1e6:.1f}" for package in largest)
        print(f"\ncore alone: {len(sizes)} packages, {megabytes:.1f} MB ({shares})")  # noqa: T201 the figures are the point
    assert len(sizes) <= MOST_PACKAGES
    assert megabytes <= MOST_MEGABYTES
