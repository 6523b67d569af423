"""`massgen-bridge env`, with tiny packages that have the names of the real ones."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiny_wheels import only_from, write_wheel

if TYPE_CHECKING:
    from cli.conftest import Commands, Shell

TEAM = """
version: 1
agents:
  - {id: ada, backend: {type: openai, model: local, isolation: environment}}
  - {id: bob, backend: {type: openai, model: local, isolation: environment}}
  - {id: cy, backend: {type: anthropic, model: claude-x, isolation: environment}}
  - {id: dee, backend: {type: scripted, answers: [hello]}}
"""


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """The only packages that there are."""
    folder = tmp_path / "links"
    folder.mkdir()
    for name in ("anyio", "pluggy", "pydantic"):
        write_wheel(folder, name, "99.0")
    write_wheel(folder, "openai", "2.40")
    write_wheel(folder, "anthropic", "1.9")
    return folder


@pytest.fixture
def shell(shell: Shell, links: Path) -> Shell:
    """A user who has no other packages."""
    cache = {"MASSGEN_BRIDGE_CACHE": str(shell.home / "cache")}
    return replace(shell, env={**shell.env, **only_from(links), **cache})


@pytest.fixture
def team(shell: Shell) -> Path:
    """A team with two agents of one kind, one of another, and one that needs no environment."""
    config = shell.home / "team.yaml"
    config.write_text(TEAM)
    return config


def listed(commands: Commands) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(commands("env", "list", "--json").stdout)
    return found


def test_sync_builds_an_environment_for_each_set_of_packages(
    commands: Commands, team: Path
) -> None:
    done = commands("env", "sync", team, "--yes")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split(": ready, ")[0] for line in lines] == ["ada, bob", "cy"]
    assert "built the environment for openai>=2.30,<4: 4 packages" in done.stderr
    packages = [one["installed"] for one in listed(commands)]
    assert {"openai": "2.40", "anyio": "99.0", "pluggy": "99.0", "pydantic": "99.0"} in packages
    table = commands("env", "list").stdout.splitlines()
    assert table[0].split() == ["KEY", "PYTHON", "SIZE", "LAST", "USED", "PACKAGES"]
    assert len(table) == 3
    again = commands("env", "sync", team)
    assert (again.returncode, again.stderr) == (0, "")


def test_sync_says_which_agents_are_in_which_environment(commands: Commands, team: Path) -> None:
    found = json.loads(commands("env", "sync", team, "--yes", "--json").stdout)
    assert [(one["agents"], one["kind"]) for one in found] == [
        (["ada", "bob"], "openai"),
        (["cy"], "anthropic"),
    ]
    assert found[0]["lock"] is None
    assert found[0]["size"] > 0
    assert Path(found[0]["python"]).is_file()
    assert commands("env", "path", team, "bob").stdout.strip() == found[0]["path"]
    assert commands("env", "path", team, "anthropic").stdout.strip() == found[1]["path"]
    one = json.loads(commands("env", "path", team, "cy", "--json").stdout)
    assert one["key"] == found[1]["key"]


def test_sync_asks_before_it_builds(shell: Shell, commands: Commands, team: Path) -> None:
    nobody = shell("env", "sync", team)
    assert nobody.returncode == 2
    assert "2 environments would have to be built" in nobody.stderr
    assert "give --yes" in nobody.stderr
    refused = shell("env", "sync", team, stdin="n\n")
    assert refused.returncode == 1
    assert listed(commands) == []
    allowed = shell("env", "sync", team, stdin="y\n")
    assert allowed.returncode == 0
    assert "Build 2 environments for these packages in" in allowed.stderr
    assert len(listed(commands)) == 2


def test_sync_mends_what_is_broken(commands: Commands, team: Path) -> None:
    commands("env", "sync", team, "--yes")
    path = Path(commands("env", "path", team, "ada").stdout.strip())
    (package,) = path.glob("lib/*/site-packages/openai")
    shutil.rmtree(package)
    gone = commands("env", "path", team, "ada")
    assert gone.returncode == 1
    assert f"is not there, or is broken: run `massgen-bridge env sync {team}`" in gone.stderr
    assert commands("env", "sync", team, "--yes").returncode == 0
    assert Path(commands("env", "path", team, "ada").stdout.strip()) != path


def test_a_lock_keeps_the_versions_for_all_later_commands(
    commands: Commands, team: Path, links: Path
) -> None:
    done = commands("env", "lock", team)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{team.with_name('pylock.team-openai.toml')}: 4 packages for ada, bob",
        f"{team.with_name('pylock.team-anthropic.toml')}: 4 packages for cy",
    ]
    write_wheel(links, "openai", "2.41")
    synced = commands("env", "sync", team, "--yes")
    assert "locked by pylock.team-openai.toml" in synced.stdout
    versions = [one["installed"].get("openai") for one in listed(commands)]
    assert sorted(versions, key=str) == ["2.40", None]
    made = json.loads(commands("env", "lock", team, "--json").stdout)
    assert made[0]["agents"] == ["ada", "bob"]
    assert 'version = "2.41"' in Path(made[0]["file"]).read_text()


def test_a_lock_that_does_not_fit_is_an_error_with_its_file(commands: Commands, team: Path) -> None:
    commands("env", "lock", team)
    lock = team.with_name("pylock.team-openai.toml")
    lock.write_text(lock.read_text().replace('version = "2.40"', 'version = "1.0"'))
    done = commands("env", "sync", team, "--yes")
    assert done.returncode == 2
    assert f"Error: {lock}: this lock does not fit any more: 'openai<4,>=2.30'" in done.stderr
    assert "run `massgen-bridge env lock`" in done.stderr


def test_prune_deletes_what_was_not_used_lately(
    shell: Shell, commands: Commands, team: Path
) -> None:
    commands("env", "sync", team, "--yes")
    assert "0 environments deleted." in commands("env", "prune", "--yes").stderr
    would = commands("env", "prune", "--all", "--dry-run")
    assert "2 environments would be deleted (" in would.stderr
    assert len(would.stdout.splitlines()) == 3
    kept = shell("env", "prune", "--all", stdin="n\n")
    assert "Nothing was deleted." in kept.stderr
    assert len(listed(commands)) == 2
    assert "2 environments deleted." in commands("env", "prune", "--all", "--yes").stderr
    assert listed(commands) == []
    assert commands("env", "list").stderr == "There are no environments.\n"
    bad = commands("env", "prune", "--unused-for", "long")
    assert bad.returncode == 2
    assert "--unused-for: expected a number with s, m, h, d or w" in bad.stderr


def test_a_team_that_needs_no_environment_is_told_so(commands: Commands, shell: Shell) -> None:
    config = shell.home / "plain.yaml"
    config.write_text("version: 1\nagents: [{id: a, backend: {type: scripted, answers: [x]}}]\n")
    for command in ("sync", "lock"):
        done = commands("env", command, config)
        assert (done.returncode, done.stdout) == (0, "")
        assert "needs an environment of its own" in done.stderr
    unknown = commands("env", "path", config, "a")
    assert unknown.returncode == 2
    assert "has this id or kind" in unknown.stderr


def test_what_cannot_be_built_is_one_clear_line(
    commands: Commands, team: Path, links: Path
) -> None:
    (links / "openai-2.40-py3-none-any.whl").unlink()
    done = commands("env", "sync", team, "--yes", "--json")
    assert done.returncode == 1
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("Error")]
    assert "the environment for openai>=2.30,<4 (Python >=3.11) could not be built" in line
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "environment"


def test_an_interrupt_leaves_nothing_half(shell: Shell, team: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        process = shell.start("env", "sync", team, "--yes", UV_DEFAULT_INDEX=index)
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    left = [path for path in (shell.home / "cache" / "environments").iterdir() if path.is_dir()]
    assert left == []
