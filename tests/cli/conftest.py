"""The real console script, in a home of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from massgen_bridge.cli import run_command

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
SCRIPT = Path(sys.executable).with_name("massgen-bridge")
# What a process needs to start at all, and certificates that may be needed for nothing here.
_PASSED_ON = ("PATH", "LANG", "SYSTEMROOT", "VIRTUAL_ENV")


@dataclass(frozen=True, kw_only=True)
class Shell:
    """Runs `massgen-bridge` as a user would, with `env` as its whole environment."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(
        self, *arguments: str | Path, stdin: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [SCRIPT, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            cwd=self.home,
            env={**self.env, **env},
        )

    def start(self, *arguments: str | Path, **env: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own; it ends with the test, at the latest."""
        process = subprocess.Popen(
            [SCRIPT, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env={**self.env, **env},
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End what a failed test left running, so that no other test fails by it."""
        for process in self.processes:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


class Commands:
    """Runs commands in this process: for those that need no process of their own."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        given = [str(one) for one in arguments]
        code = run_command(given)
        said = self._capsys.readouterr()
        return subprocess.CompletedProcess(given, code, said.out, said.err)


@pytest.fixture
def commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> Commands:
    """The same user's command line, within this process."""
    for name in [name for name in os.environ if name.endswith("_KEY")]:
        monkeypatch.delenv(name)
    for name, value in shell.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(shell.home)
    return Commands(capsys)


@pytest.fixture
def shell(home: Path) -> Iterator[Shell]:
    """The command line of a user whose home has nothing but the local model."""
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {"HOME": str(home), "TERM": "xterm", "MASSGEN_BRIDGE_DATA": str(home / "data")}
    config = {"MASSGEN_BRIDGE_CONFIG": str(home / "config")}
    with closing(Shell(home=home, env={**env, **own, **config})) as shell:
        yield shell
