"""A command imports what it needs, and shells can complete it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli.conftest import SCRIPT

import massgen_bridge
from massgen_bridge.cli._app import COMMANDS

if TYPE_CHECKING:
    from cli.conftest import Shell

HEAVY = {"httpx", "langchain_core", "langchain_openai", "openai", "rich", "ruamel", "sqlite3"}


def imported_by(shell: Shell, *arguments: str) -> set[str]:
    """The top-level modules that a command has imported when it ends."""
    program = (
        "import sys, os; from massgen_bridge.cli import run_command;"
        f"code = run_command({list(arguments)!r}); sys.stdout.flush();"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=shell.env
    )
    return set(done.stderr.split())


def test_help_imports_no_model_and_no_framework(shell: Shell) -> None:
    assert imported_by(shell, "--help") & (HEAVY | {"pydantic", "pluggy", "anyio"}) == set()


def test_adapters_imports_no_framework(shell: Shell) -> None:
    imported = imported_by(shell, "adapters")
    assert imported & HEAVY == set()
    assert "massgen_bridge_openai" in imported


def test_every_command_has_help(shell: Shell) -> None:
    listed = shell("--help").stdout
    for name, summary in COMMANDS.items():
        assert f"  {name} " in listed
        assert summary in listed
        assert f"Usage: massgen-bridge {name}" in shell(name, "--help").stdout


def test_help_is_plain_everywhere(shell: Shell) -> None:
    assert "\x1b" not in shell("run", "--help", FORCE_COLOR="1").stdout


def test_the_version_is_told(shell: Shell) -> None:
    assert shell("--version").stdout == f"massgen-bridge {massgen_bridge.__version__}\n"


@pytest.mark.parametrize(
    ("typed", "position", "offered"),
    [
        ("massgen-bridge ru", "1", ["run", "runs"]),
        ("massgen-bridge runs ", "2", ["list", "show", "resume", "replay", "export", "prune"]),
        ("massgen-bridge adapters ", "2", ["test"]),
        ("massgen-bridge adapters test --on", "3", ["--only"]),
        ("massgen-bridge run --dr", "2", ["--dry-run"]),
        ("massgen-bridge run --output js", "3", ["json", "jsonl"]),
    ],
)
def test_bash_completes(shell: Shell, typed: str, position: str, offered: list[str]) -> None:
    done = shell(COMP_WORDS=typed, COMP_CWORD=position, _MASSGEN_BRIDGE_COMPLETE="complete_bash")
    assert done.stdout.split() == offered


def test_the_completion_script_is_shown_to_the_shell_that_asks(shell: Shell) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{SCRIPT}' --show-completion; true"],
        capture_output=True,
        text=True,
        check=True,
        env=shell.env,
    )
    assert "complete -o default -F _massgen_bridge_completion massgen-bridge" in done.stdout
