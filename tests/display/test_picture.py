"""The picture of a run is drawn from its records, and always the same."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from display.scenes import HOSTILE, real_run

from massgen_bridge.display.picture import main, picture


def words_in(svg: str) -> str:
    root = ET.fromstring(svg)  # noqa: S314 - our own picture
    return " ".join(" ".join(root.itertext()).replace("\xa0", " ").split())


def test_a_picture_shows_panels_outcome_and_answer() -> None:
    records = real_run({"answers": ["one <b>"], "votes": ["agent2"]}, {"answers": [HOSTILE]})
    svg = picture(records, title="a run")
    words = words_in(svg)

    assert all(part in words for part in ("a1 (agent1)", "Winner: ", "model calls", "a run"))
    assert "one <b>" in words
    assert svg == picture(records, title="a run")


def test_a_picture_loads_nothing_and_is_small() -> None:
    svg = picture(real_run({"answers": ["one"]}, {"answers": ["two"]}))

    assert re.findall(r"url\((?!#)|src=|href=", svg) == []
    assert len(svg) < 40_000


def test_the_command_turns_records_into_a_picture(tmp_path: Path) -> None:
    source, target = tmp_path / "run.jsonl", tmp_path / "run.svg"
    lines = [f"{record.model_dump_json()}\n" for record in real_run({"answers": ["a\u2028b"]})]
    source.write_text("".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "massgen_bridge.display.picture", str(source), str(target)]
    subprocess.run(command, check=True)

    assert "Winner: a1 (agent1)" in words_in(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize("content", ["no json", "{}", None])
def test_what_holds_no_records_is_refused_by_name(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "run.jsonl"
    if content is not None:
        source.write_text(content)
    with pytest.raises(SystemExit) as ended:
        main([str(source), str(tmp_path / "run.svg")])

    assert ended.value.code == 2
    assert "run.jsonl' holds no records of a run" in capsys.readouterr().err
    assert not (tmp_path / "run.svg").exists()
