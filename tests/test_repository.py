"""What the repository itself promises: its layout, its two commands, and nobody's private paths."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TOP_LEVEL = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "adapters",
    "configs",
    "docs",
    "examples",
    "massgen_bridge",
    "noxfile.py",
    "pyproject.toml",
    "tests",
    "uv.lock",
}

MULTI = re.DOTALL | re.MULTILINE

# A person's or a build machine's own folders, written so that this line does not name one.
PRIVATE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|tmp/bash_jobs)(?:/|\b(?=['\"\s]))")


def _tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


def _readme_command(heading: str) -> str:
    """The one command line of the one fenced block right under a heading."""
    readme = (ROOT / "README.md").read_text()
    sections = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", readme, MULTI)
    assert len(sections) == 1, f"README.md has {len(sections)} sections {heading!r}"
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", sections[0], MULTI)
    assert len(blocks) == 1, f"{heading!r} in README.md has {len(blocks)} blocks"
    language, block = blocks[0]
    lines = block.strip().splitlines()
    assert language == "sh"
    assert len(lines) == 1, f"{heading!r} in README.md has {len(lines)} lines of commands"
    return str(lines[0])


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in _tracked_files()}
    assert {name for name in names if not name.startswith(".")} == TOP_LEVEL
    assert ".ci" in names


@pytest.mark.parametrize("heading", ["Try it", "Run the tests"])
def test_the_readme_shows_one_command_that_sets_everything_up(heading: str) -> None:
    assert _readme_command(heading).startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_ci_runs_the_command_that_the_readme_shows() -> None:
    script = ROOT / ".ci" / "run"
    commands = [line for line in script.read_text().splitlines() if not line.startswith("#")]
    assert commands[-1] == _readme_command("Run the tests")
    assert script.stat().st_mode & 0o111


def test_contributors_are_told_of_every_gate() -> None:
    gates = re.findall(r"^@nox\.session.*?^def (\w+)", (ROOT / "noxfile.py").read_text(), MULTI)
    assert len(gates) > 5
    told = re.findall(r"nox -s \"?(\w+)", (ROOT / "CONTRIBUTING.md").read_text())
    assert set(gates) == set(told)


def test_no_file_names_a_private_path() -> None:
    files = [path for path in _tracked_files() if path != Path(__file__)]
    assert files
    culprits = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if PRIVATE_PATH.search(line)
    ]
    assert not culprits, "\n".join(culprits)


def test_lock_files_name_the_public_registry_alone() -> None:
    locks = [ROOT / "uv.lock", *ROOT.glob("adapters/*/uv.lock")]
    assert len(locks) > 1
    registries = {
        source["registry"]
        for lock in locks
        for package in tomllib.loads(lock.read_text())["package"]
        if "registry" in (source := package["source"])
    }
    assert registries == {"https://pypi.org/simple"}
