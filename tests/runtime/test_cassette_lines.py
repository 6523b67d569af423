"""The file of a cassette: what is written is read, and what is no cassette is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from massgen_bridge.errors import CassetteError
from massgen_bridge.runtime.cassette.lines import (
    Call,
    End,
    Header,
    Reply,
    TapedAgent,
    TurnEnd,
    encode_line,
    read_lines,
)

if TYPE_CHECKING:
    from pathlib import Path

HEADER = Header(
    bridge="0.1.0",
    recorded="2026-11-22T12:00:00+00:00",
    question="Why? ä",
    strategy="single",
    agents=(TapedAgent(id="ada", kind="openai", model="m"),),
    marks="00",
)
CALL = Call(
    agent="ada",
    call=1,
    turn="ada.1",
    path="/chat/completions",
    request={"model": "m", "b": None},
    reply=Reply(status=200, body={"a": None}),
)
TURN = TurnEnd(agent="ada", turn="ada.1", failed="timeout", message="no progress")
END = End(calls=1, status="answered")


def _file(*lines: Header | Call | TurnEnd | End) -> bytes:
    return b"".join(encode_line(line) for line in lines)


HEAD = encode_line(HEADER).decode()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    file.write_bytes(_file(HEADER, CALL, TURN, END))
    assert read_lines(file) == (HEADER, [(2, CALL), (3, TURN)], END)


def test_half_a_character_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    call = CALL.model_copy(update={"request": "\ud83d"})
    file.write_bytes(encode_line(HEADER) + encode_line(call))
    assert read_lines(file)[1] == [(2, call)]


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_was_cut_off_does_not_count(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "c.jsonl"
    file.write_bytes(_file(HEADER, CALL, TURN)[:-cut])
    assert read_lines(file) == (HEADER, [(2, CALL)], None)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", None, "the file is empty"),
        ("\n\n", None, "the file is empty"),
        ("hello\n", 1, "this is no cassette"),
        ('{"type": "cass', 1, "this is no cassette"),
        ('{"type": "call"}\n', 1, "this is no cassette"),
        (HEAD.replace('"format": 1', '"format": 2'), 1, "the format 2, and .* reads 1"),
        (HEAD.replace('"marks": "00"', '"mark": "00"'), 1, "marks: Field required"),
        (HEAD + "{hm\n", 2, "it is no JSON"),
        (HEAD + '{"type": "call"}\n', 2, "Field required"),
        (HEAD + '{"type": "cal"}\n', 2, "cannot be read"),
        (HEAD + HEAD, 2, "a second header"),
        (HEAD + '{"type": "end", "calls": 0, "status": "x"}\n{"a": 1}\n', 3, "there is more"),
    ],
)
def test_what_is_no_cassette_is_told_with_its_line(
    tmp_path: Path, text: str, line: int | None, told: str
) -> None:
    file = tmp_path / "c.jsonl"
    file.write_text(text)
    with pytest.raises(CassetteError, match=told) as caught:
        read_lines(file)
    assert caught.value.line == line
    place = str(file) if line is None else f"{file}:{line}"
    assert re.match(re.escape(place) + ": ", str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="cannot be read \\(No such file"):
        read_lines(tmp_path / "none.jsonl")
