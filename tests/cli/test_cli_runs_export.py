"""`massgen-bridge runs export`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli.conftest import DATA
from pictures import png

from massgen_bridge.export import RunExport

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Commands


@pytest.fixture
def run_id(commands: Commands) -> str:
    """A run of two agents."""
    arguments = ("--output", "json", "--display", "none")
    done = commands("run", DATA / "two.yaml", "Capital?", *arguments)
    return str(json.loads(done.stdout)["run_id"])


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("run.html", "<!doctype html>"),
        ("run.HTM", "<!doctype html>"),
        ("run.md", "# Capital?"),
        ("run.markdown", "# Capital?"),
        ("run.json", '{\n  "v": 1,'),
    ],
)
def test_the_name_of_the_file_says_the_format(
    commands: Commands, run_id: str, tmp_path: Path, name: str, begins: str
) -> None:
    file = tmp_path / name
    file.write_text("what was there before")
    done = commands("runs", "export", run_id[:-3], "--output", file)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"Run {run_id} is in {file} ({file.stat().st_size:,} bytes).\n"
    written = file.read_text(encoding="utf-8")
    assert written.startswith(begins)
    assert "Paris is the capital." in written


def test_pictures_are_on_the_page_and_beside_markdown(commands: Commands, tmp_path: Path) -> None:
    picture = tmp_path / "map.png"
    picture.write_bytes(png())
    commands("run", DATA / "two.yaml", "Where?", "--image", picture, "--display", "none")
    page, text = tmp_path / "run.html", tmp_path / "run.md"
    assert commands("runs", "export", "last", "--output", page).stderr.endswith(" bytes).\n")
    assert "data:image/png;base64," in page.read_text()
    said = commands("runs", "export", "last", "--output", text).stderr
    folder = tmp_path / "run-pictures"
    assert said.endswith(f" bytes), with 1 picture in {folder}.\n")
    (kept,) = folder.iterdir()
    assert kept.read_bytes() == png()
    assert f"](run-pictures/{kept.name})" in text.read_text()
    assert "run-pictures" not in commands("runs", "export", "last").stdout


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        ((), "# Capital?"),
        (("--output", "-"), "# Capital?"),
        (("--format", "html"), "<!doctype html>"),
        (("--format", "html", "--output", "-"), "<!doctype html>"),
    ],
)
def test_without_a_file_it_goes_to_stdout(
    commands: Commands, run_id: str, arguments: tuple[str, ...], begins: str
) -> None:
    done = commands("runs", "export", run_id, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(begins)


def test_the_json_has_its_documented_form(commands: Commands, run_id: str) -> None:
    printed = commands("runs", "export", run_id, "--format", "json").stdout
    run = RunExport.model_validate_json(printed)
    assert (run.run_id, run.status, run.calls) == (run_id, "answered", 4)
    again = commands("runs", "export", run_id, "--format", "json").stdout
    assert again == printed


def test_the_format_counts_more_than_the_name(
    commands: Commands, run_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "run.txt"
    assert commands("runs", "export", run_id, "--format", "html", "--output", file).returncode == 0
    assert file.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run.pdf", "'run.pdf' does not say which format it is"),
        ("run", "let it end with one of .json, .md, .markdown, .html, .htm, or give --format"),
        ("missing/run.html", "cannot be written: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_is_bad_usage(
    commands: Commands, run_id: str, tmp_path: Path, name: str, said: str
) -> None:
    done = commands("runs", "export", run_id, "--output", tmp_path / name)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_an_id_that_is_none_leaves_the_file_alone(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "run.html"
    done = commands("runs", "export", "2000", "--output", file)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no run's id begins with '2000'")
    assert not file.exists()


def test_secrets_and_folders_are_in_no_export(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSE_KEY", "house-canary-7f3a9c12e5")
    arguments = ("--trust", "--output", "json", "--display", "none")
    done = commands("run", DATA / "leaky.yaml", "The key is", *arguments)
    run_id = json.loads(done.stdout)["run_id"]
    for form in ("json", "markdown", "html"):
        text = commands("runs", "export", run_id, "--format", form).stdout
        assert "The key is" in text
        assert "canary" not in text
        if form != "json":
            assert "leaky.yaml" in text
            assert str(DATA) not in text
