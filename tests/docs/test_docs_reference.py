"""The generated pages of the reference say what the code says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "docs" / "generate.py"


def _check(generator: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(generator), "--check"], capture_output=True, text=True, check=False
    )


def test_the_generated_pages_are_fresh() -> None:
    done = _check(GENERATOR)
    assert done.returncode == 0, done.stderr


def test_what_a_kind_can_do_with_a_provider_is_told_by_the_protocol_between_them() -> None:
    page = (ROOT / "docs" / "reference" / "providers.md").read_text()
    section = page.partition("## Which kinds")[2].partition("\n## ")[0]
    lines = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip(" `") for cell in line] for line in lines]
    able = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert ("V" in able["gemini"]["gemini"], "V" in able["gemini"]["openai"]) == (True, False)
    assert ("S" in able["ollama"]["openai"], "S" in able["ollama"]["anthropic"]) == (True, False)


@pytest.mark.parametrize("page", ["hooks.md", "yaml.md"])
def test_a_page_that_was_changed_by_hand_is_noticed(page: str, tmp_path: Path) -> None:
    for file in [*ROOT.glob("docs/*.py"), *ROOT.glob("docs/pages/*.py")]:
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    (tmp_path / "docs" / "reference").mkdir()
    copied = tmp_path / "docs" / "generate.py"
    subprocess.run([sys.executable, str(copied)], check=True)
    assert _check(copied).returncode == 0
    written = tmp_path / "docs" / "reference" / page
    written.write_text(written.read_text() + "\n")
    done = _check(copied)
    assert done.returncode == 1
    assert page in done.stderr


def test_a_file_that_a_page_shows_is_copied_anew(tmp_path: Path) -> None:
    shutil.copytree(GENERATOR.parent / "pages", tmp_path / "docs" / "pages")
    shutil.copy(GENERATOR, tmp_path / "docs")
    (tmp_path / "docs" / "reference").mkdir()
    page = tmp_path / "docs" / "page.md"
    around = "Look:\n\n<!-- from: a/b.py -->\n```python\n{}\n```\n\n```python\nx\n```\n"
    page.write_text(around.format("old = 1"))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.py").write_text("new = 2\n\nmore = 3\n")
    copied = tmp_path / "docs" / "generate.py"
    assert "docs/page.md is stale" in _check(copied).stderr
    subprocess.run([sys.executable, str(copied)], check=True)
    assert page.read_text() == around.format("new = 2\n\nmore = 3")
