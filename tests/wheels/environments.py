"""Environments far from the source tree; noxfile.py makes them, and copies this folder there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENVIRONMENTS", "OUTSIDE", "Environment"]

OUTSIDE = Path(__file__).parents[2]
ENVIRONMENTS = OUTSIDE / "environments"


@dataclass(frozen=True)
class Environment:
    """Starts commands of an environment, with nothing of ours in their surroundings."""

    name: str

    def __call__(self, *command: str, cwd: Path, **env: str) -> str:
        """Run a command to its end.

        Returns:
            What it wrote to its standard output.
        """
        done = subprocess.run(
            self._line(command),
            cwd=cwd,
            env=_surroundings(cwd, env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def started(self, *command: str, cwd: Path) -> Iterator[str]:
        """Have a command run that says in its first line where it can be reached: that line."""
        process = subprocess.Popen(
            self._line(command),
            cwd=cwd,
            env=_surroundings(cwd, {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            try:
                yield process.stdout.readline().strip()
            finally:
                process.terminate()

    def _line(self, command: tuple[str, ...]) -> list[str | Path]:
        return [ENVIRONMENTS / self.name / "bin" / command[0], *command[1:]]


def _surroundings(home: Path, env: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": str(home), "NO_COLOR": "1", **env}
