"""`massgen-bridge config`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cli.conftest import DATA

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Commands, Shell


def test_all_problems_of_all_files_are_told_with_their_places(shell: Shell) -> None:
    wrong, right = DATA / "wrong.yaml", DATA / "two.yaml"
    done = shell("config", "validate", wrong, right, "nowhere.yaml")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"{wrong}:5:13",
        f"{wrong}:7:5",
        f"{wrong}:8:40",
        str(right),
        "nowhere.yaml",
    ]
    assert "did you mean 'system_message'?" in lines[1]
    assert lines[3].endswith(": valid")


def test_what_a_file_names_is_not_imported(shell: Shell, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = shell("config", "validate", DATA / "code.yaml", MARK=str(mark))
    assert (done.returncode, mark.exists()) == (0, False)


def test_pictures_that_are_not_there_are_problems(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    agent = "agents: [{id: a, backend: {type: scripted}}]"
    file.write_text(f"version: 1\nimages: [gone.png]\n{agent}\n")
    done = commands("config", "validate", file)
    assert done.returncode == 2
    assert f"{file}:2:10: images[0]: cannot read '{tmp_path}/gone.png'" in done.stdout


def test_what_is_left_out_of_a_massgen_file_is_told_as_a_warning(
    shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "old.yaml"
    agent = "agents: [{id: a, backend: {type: lmstudio, model: m}}]"
    file.write_text(f"{agent}\norchestrator: {{snapshot_storage: x}}\n")
    done = shell("config", "validate", file)
    assert done.returncode == 0
    assert done.stderr.startswith(f"warning: {file}: read as a MassGen file, ")
    assert done.stderr.count("\n") == 1


def test_problems_as_json(shell: Shell) -> None:
    done = shell("config", "validate", "--json", DATA / "wrong.yaml", DATA / "two.yaml")
    wrong, right = json.loads(done.stdout)
    assert (wrong["valid"], right["valid"]) == (False, True)
    assert [(one["line"], one["column"]) for one in wrong["problems"]] == [(5, 13), (7, 5), (8, 40)]


def test_the_schema_is_json_that_knows_the_kinds(shell: Shell) -> None:
    schema = json.loads(shell("config", "schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert '"const": "scripted"' in json.dumps(schema)
