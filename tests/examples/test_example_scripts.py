"""Every script in examples/ runs to its end, from a copy of its folder.

A script is a file with an `if __name__ == "__main__":`. One that needs what no test has starts with
a line `# Not run by the tests: REASON`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCRIPTS = [
    path
    for path in sorted(EXAMPLES.rglob("*.py"))
    if '\nif __name__ == "__main__":' in path.read_text()
    and not path.read_text().startswith("# Not run by the tests: ")
]


def test_there_are_scripts() -> None:
    assert SCRIPTS


@pytest.mark.timeout(120)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_a_script_runs_to_its_end(script: Path, tmp_path: Path, home: Path) -> None:
    for folder in ("configs", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    copy = tmp_path / script.relative_to(ROOT)
    done = subprocess.run(
        [sys.executable, "-W", "error", copy.name],
        cwd=copy.parent,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
