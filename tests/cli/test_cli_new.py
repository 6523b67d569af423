"""`massgen-bridge new`: every kind of plugin works as it is written.

`nox -s templates` runs the tests of each, and does the same with what pip installs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from extension_package.installing import install, write_metadata

from massgen_bridge.cli._projects import DETAILS, TEMPLATES, Kind
from massgen_bridge.cli._projects import _core_range as core_range

if TYPE_CHECKING:
    from cli.conftest import Commands, Shell

ROOT = Path(__file__).parents[2]
# What stands behind `new`, by template.
COMMANDS = {kind.value: (kind.value,) for kind in Kind} | {"model_adapter": ("adapter", "--model")}
PLACEHOLDER = re.compile(r"your[ _-]?name|PLUGIN_\w+", re.IGNORECASE)
# The longest, one that makes many lines fit, and one with a number.
NAMES = ["a_name_of_thirty_characters_xx", "x", "take_2"]
SHARED = {
    ".github/workflows/ci.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "example.yaml",
    "pyproject.toml",
}


def tool(project: Path, *command: str, **env: str) -> str:
    """Run a module of this environment in a project and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def make(commands: Commands, template: str, name: str, *options: str) -> Path:
    """A new project in the home folder."""
    done = commands("new", *COMMANDS[template], name, *options)
    assert done.returncode == 0, done.stderr
    folder = re.match(r"(\S+) has the ", done.stdout)
    assert folder is not None, done.stdout
    return Path.cwd() / folder[1]


@pytest.mark.parametrize("template", COMMANDS)
def test_nothing_is_left_of_the_placeholders(commands: Commands, template: str) -> None:
    project = make(commands, template, "two_words", "--author", 'Åsa "Quote" \\ Öberg')
    files = {
        path.relative_to(project).as_posix(): path.read_text()
        for path in project.rglob("*")
        if path.is_file()
    }
    package = {"src/massgen_bridge_two_words/__init__.py", "src/massgen_bridge_two_words/py.typed"}
    assert SHARED | package <= set(files)
    assert any(name.startswith("tests/test_two_words") for name in files)
    left = {n: found[0] for n, t in files.items() if (found := PLACEHOLDER.search(n + t))}
    assert left == {}
    settings = tomllib.loads(files["pyproject.toml"])
    assert settings["project"]["name"] == "massgen-bridge-two-words"
    assert settings["project"]["authors"] == [{"name": 'Åsa "Quote" \\ Öberg'}]
    entry_points = settings["project"]["entry-points"]["massgen_bridge"]
    assert entry_points == {"two_words": "massgen_bridge_two_words"}
    assert 'Åsa "Quote" \\ Öberg' in files["LICENSE"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", COMMANDS)
def test_it_is_clean(commands: Commands, template: str, name: str) -> None:
    project = make(commands, template, name)
    tool(project, "ruff", "check", "--no-cache")
    assert "would be" not in tool(project, "ruff", "format", "--check", "--no-cache")


@pytest.mark.parametrize("template", COMMANDS)
def test_it_would_nearly_do_here(commands: Commands, template: str) -> None:
    """By the rules of this repository, but for what is a question of taste."""
    project = make(commands, template, "two_words")
    taste = "ARG,D10,FBT,INP,PLC0415,PLR2004,PLR6301,S101,I001"
    config = f"--config={ROOT / 'pyproject.toml'}"
    tool(project, "ruff", "check", "--no-cache", config, f"--extend-ignore={taste}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("template", COMMANDS)
def test_its_types_are_right(commands: Commands, tmp_path: Path, template: str) -> None:
    project = make(commands, template, "two_words")
    # A cache of its own: other settings than those of this repository would spoil that one.
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'templates'}"
    assert "Success" in tool(project, "mypy", cache, MYPYPATH=str(project / "src"))
    assert list(tmp_path.rglob(".mypy_cache")) == []


@pytest.mark.parametrize("template", sorted(COMMANDS.keys() - {"provider", "model_adapter"}))
def test_its_example_runs(commands: Commands, tmp_path: Path, shell: Shell, template: str) -> None:
    project = make(commands, template, "two_words")
    site = tmp_path / "site"
    write_metadata(project / "pyproject.toml", site)
    path = os.pathsep.join([str(project / "src"), str(site)])
    done = shell(
        *("run", project / "example.yaml", DETAILS[template].question, "--display", "none"),
        PYTHONPATH=path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_next_steps_are_told(commands: Commands) -> None:
    done = commands("new", "tool", "counter", "--into", "a folder")
    steps = [line.strip() for line in done.stdout.splitlines()[2:]]
    assert steps == [
        "cd 'a folder'",
        "pip install -e '.[test]'",
        "pytest",
        'massgen-bridge run example.yaml "How many words?"',
    ]
    assert (Path("a folder") / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("template", "address"), [("model_adapter", "MODEL_URL"), ("provider", "MY_OWN_URL")]
)
def test_an_example_that_needs_a_model_is_shown_with_a_server(
    commands: Commands, template: str, address: str
) -> None:
    done = commands("new", *COMMANDS[template], "my_own")
    steps = [line.strip() for line in done.stdout.splitlines()[2:]]
    assert steps[-3:] == [
        "python -m massgen_bridge.testing.servers --port 8765 &",
        f"export {address}=http://127.0.0.1:8765/v1",
        'massgen-bridge run example.yaml "Why learn Python?"',
    ]
    project = Path("massgen-bridge-my-own")
    assert address in (project / "example.yaml").read_text()
    assert [f"$ {step}" for step in steps[-3:]] == [
        line for line in (project / "README.md").read_text().splitlines() if line.startswith("$ ")
    ][1:4]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("MyAgent", "'my_agent'"),
        ("my-agent", "'my_agent'"),
        ("massgen-bridge-my-agent", "'my_agent'"),
        ("2fast", "'fast'"),
        ("a__b", "'a_b'"),
        ("größe", "'gr_e'"),
        ("a" * 31, f"'{'a' * 30}'"),
        ("../up", "'up'"),
    ],
)
def test_a_name_that_cannot_be_used_comes_with_one_that_can(
    commands: Commands, name: str, advice: str
) -> None:
    done = commands("new", "adapter", name)
    assert done.returncode == 2
    assert f"the name {name!r} cannot be used" in done.stderr
    assert f"for example {advice}" in done.stderr
    assert list(Path.cwd().glob("massgen-bridge*")) == []


def test_a_name_of_which_nothing_can_be_used_is_refused(commands: Commands) -> None:
    done = commands("new", "adapter", "…")
    assert done.returncode == 2
    assert "for example" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("adapter", "scripted", "agent kind 'scripted' is installed from 'massgen-bridge' already"),
        ("adapter", "claude_code", "is planned by massgen-bridge itself"),
        ("strategy", "consensus", "the strategy 'consensus' is installed from"),
        ("provider", "openai", "the provider 'openai' is installed from"),
        ("hook", "openai", "'massgen-bridge-openai' is massgen-bridge's own"),
        ("sink", "claude_code", "'massgen-bridge-claude-code' is massgen-bridge's own"),
        ("hook", "python", "a plugin 'python' is installed from"),
        ("tool", "vote", "the tool 'vote' is the one that agents vote by"),
        ("sink", "null", "YAML does not take it for a name"),
    ],
)
def test_a_name_that_is_taken_is_refused(
    commands: Commands, kind: str, name: str, told: str
) -> None:
    done = commands("new", kind, name)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_name_that_an_installed_plugin_has_is_refused(shell: Shell, tmp_path: Path) -> None:
    install(tmp_path, "good")
    done = shell("new", "adapter", "echo", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "is installed from 'bridge-echo' already: choose another" in done.stderr


def test_a_name_that_can_be_installed_is_refused(shell: Shell) -> None:
    # An allow-list without it leaves it out, as if it were not installed.
    done = shell("new", "adapter", "openai", MASSGEN_BRIDGE_PLUGINS="")
    assert done.returncode == 2
    assert "'massgen-bridge-openai' already" in done.stderr


def test_a_kind_that_there_is_not_is_refused(commands: Commands) -> None:
    done = commands("new", "adaptor", "mine")
    assert done.returncode == 2
    assert "'adaptor'" in done.stderr
    assert "'adapter'" in done.stderr


def test_a_model_is_for_adapters(commands: Commands) -> None:
    done = commands("new", "tool", "mine", "--model")
    assert done.returncode == 2
    assert "--model goes with `adapter`, not with `tool`" in done.stderr


def test_nothing_is_overwritten(commands: Commands) -> None:
    folder = Path("massgen-bridge-mine")
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    done = commands("new", "hook", "mine")
    assert done.returncode == 2
    assert "'massgen-bridge-mine' is not empty, and nothing is overwritten" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_fresh_repository_is_as_good_as_an_empty_folder(commands: Commands) -> None:
    (Path("mine") / ".git").mkdir(parents=True)
    assert make(commands, "hook", "mine", "--into", "mine").joinpath("LICENSE").is_file()


def test_a_file_is_no_folder(commands: Commands) -> None:
    Path("taken").write_text("")
    done = commands("new", "hook", "mine", "--into", "taken")
    assert done.returncode == 2
    assert "cannot write to 'taken'" in done.stderr


def test_a_folder_that_cannot_be_made_is_told(commands: Commands) -> None:
    Path("taken").write_text("")
    done = commands("new", "hook", "mine", "--into", "taken/mine")
    assert done.returncode == 2
    assert "cannot write to 'taken/mine" in done.stderr
    assert "Not a directory" in done.stderr


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.1.0", ">=0.1,<0.2"), ("0.12.3", ">=0.12,<0.13"), ("2.7.1rc1", ">=2.7,<3")],
)
def test_a_plugin_works_with_the_releases_that_keep_their_promises(
    version: str, expected: str
) -> None:
    assert core_range(version) == expected


def test_the_templates_agree_with_this_repository() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())
    theirs = tomllib.loads(
        (TEMPLATES / "common" / "pyproject.toml")
        .read_text()
        .replace("[PLUGIN_DEPENDENCIES]", "[]")
        .replace("[PLUGIN_TEST_DEPENDENCIES]", "[]")
    )
    assert theirs["build-system"] == ours["build-system"]
    assert theirs["project"]["requires-python"] == ours["project"]["requires-python"]
    assert set(theirs["project"]["optional-dependencies"]["lint"]) <= set(
        ours["dependency-groups"]["dev"]
    )
    sdk = tomllib.loads((ROOT / "adapters" / "openai" / "pyproject.toml").read_text())
    used = [*ours["project"]["dependencies"], *sdk["project"]["dependencies"]]
    floors = {one.partition(",")[0] for one in used}
    for details in DETAILS.values():
        assert set(details.requires) <= floors
        assert set(details.test_extras.split(",")) <= set(ours["project"]["optional-dependencies"])
    tested = re.findall(r'"(3\.\d+)"', (TEMPLATES / "common/.github/workflows/ci.yml").read_text())
    promised = [c.split()[-1] for c in ours["project"]["classifiers"] if ":: 3." in c]
    assert tested == promised
