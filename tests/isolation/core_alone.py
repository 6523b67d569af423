"""A Python that has the core and its dependencies, and nothing else of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

__all__ = ["CoreAlone"]

ROOT = Path(__file__).parents[2]


class CoreAlone:
    """Runs code where no adapter is installed.

    Args:
        folder: A new folder; it gets links to what is installed here, less `without`.
        without: How the names of further distributions and packages begin that are left out.
    """

    def __init__(self, folder: Path, *, without: tuple[str, ...] = ()) -> None:
        self.site = folder / "site"
        self.site.mkdir()
        for path in Path(sysconfig.get_path("purelib")).iterdir():
            left_out = path.name.startswith(("massgen_bridge", "_massgen_bridge", *without))
            if not left_out and path.suffix != ".pth":
                (self.site / path.name).symlink_to(path)
        self.env = {
            **{name: value for name, value in os.environ.items() if name.startswith("LC_")},
            "PATH": os.defpath,
            "HOME": str(folder),
            "NO_COLOR": "1",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(self.site))),
        }

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the interpreter with some arguments."""
        return subprocess.run(
            [sys.executable, "-S", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.env["HOME"],
            env={**self.env, **env},
        )

    def command(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `massgen-bridge`."""
        program = "import sys; from massgen_bridge.cli import main; sys.exit(main())"
        return self.run("-c", program, *arguments, **env)

    def ask(self, code: str, **env: str) -> Any:
        """Run code that prints one JSON value."""
        done = self.run("-c", code, **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
