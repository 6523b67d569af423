"""`run` and its like build the environments that agents need, if they may."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cli.conftest import SCRIPT
from isolation.distributions import write_adapter
from tiny_wheels import only_from, pack_installed, write_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Shell

TEAM = """
version: 1
strategy: single
agents:
  - {id: ada, backend: {type: fancy}}
"""
ADVICE = (
    "these agents need environments of their own, which are not built yet: 'ada'"
    " (fancy-framework>=1.2); run `massgen-bridge env sync team.yaml` first, or give --yes"
)


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only packages that there are: a framework, and what a worker needs itself."""
    folder = tmp_path_factory.mktemp("links")
    pack_installed(folder, "anyio", "pluggy", "pydantic")
    write_wheel(folder, "fancy_framework", "1.7")
    return folder


@pytest.fixture
def shell(shell: Shell, links: Path) -> Shell:
    """A user with an adapter of somebody's, whose framework is not installed."""
    site = shell.home / "site"
    site.mkdir()
    write_adapter(site, "fancy", "fancy-framework>=1.2", framework="fancy-framework")
    (shell.home / "team.yaml").write_text(TEAM)
    own = {"MASSGEN_BRIDGE_CACHE": str(shell.home / "cache"), "PYTHONPATH": str(site)}
    return replace(shell, env={**shell.env, **only_from(links), **own})


@pytest.mark.parametrize(
    "command",
    [("run", "team.yaml", "q"), ("chat", "team.yaml"), ("eval", "team.yaml", "builtin:small")],
)
def test_where_nobody_can_be_asked_the_command_is_told(
    shell: Shell, command: tuple[str, ...]
) -> None:
    done = shell(*command, stdin="q\n")
    assert done.returncode == 2
    assert ADVICE in done.stderr
    assert done.stdout == ""
    assert not (shell.home / "data" / "runs").exists()


def test_a_valid_configuration_says_what_has_to_be_built_first(shell: Shell) -> None:
    done = shell("config", "validate", "team.yaml")
    assert done.returncode == 0
    assert done.stdout == (
        "team.yaml: valid\n"
        "team.yaml: to be built first: fancy-framework>=1.2 (ada);"
        " `massgen-bridge env sync team.yaml` does it\n"
    )
    (found,) = json.loads(shell("config", "validate", "team.yaml", "--json").stdout)
    assert found["to_build"] == [
        {"agents": ["ada"], "kind": "fancy", "packages": "fancy-framework>=1.2"}
    ]


def test_with_yes_it_is_built_and_the_agent_runs_in_it(shell: Shell) -> None:
    done = shell("run", "team.yaml", "q", "--yes")
    assert (done.returncode, done.stdout) == (0, "fancy 1.7\n")
    assert "built the environment for fancy-framework>=1.2" in done.stderr
    again = shell("run", "team.yaml", "q")
    assert (again.returncode, again.stdout) == (0, "fancy 1.7\n")
    assert "environment" not in again.stderr
    listed = json.loads(shell("adapters", "--json").stdout)["adapters"]
    (fancy,) = (one for one in listed if one["kind"] == "fancy")
    assert (fancy["environment"], fancy["framework_version"]) == ("ready", "1.7")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_at_a_terminal_it_asks_with_names_and_size(shell: Shell, answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "rb") as terminal:
        process = subprocess.Popen(
            [SCRIPT, "run", "team.yaml", "q", "--display", "plain"],
            stdin=terminal,
            stderr=terminal,
            stdout=subprocess.PIPE,
            text=True,
            cwd=shell.home,
            env=shell.env,
        )
    with process:
        told = b""
        while b"[y/N]" not in told:
            told += os.read(ours, 1024)
        os.write(ours, answer.encode())
        said, _ = process.communicate(timeout=50)
        os.close(ours)
    assert b"fancy-framework>=1.2" in told
    assert b"Build 1 environment" in told
    assert process.returncode == code
    assert said == ("fancy 1.7\n" if code == 0 else "")
