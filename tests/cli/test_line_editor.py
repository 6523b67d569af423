"""What keys make of a line."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.cli._line_editor import Line, LineEditor


@pytest.mark.parametrize(
    ("typed", "lines", "left"),
    [
        (b"one\rtwo\r", [Line("one"), Line("two")], ""),
        (b"one\r\ntwo\n\r", [Line("one"), Line("two"), Line("")], ""),
        ("größer".encode(), [], "größer"),
        (b"ab\x7fc\b\bd", [], "d"),
        ("e\u0301\x7f".encode(), [], ""),
        (b"\x7f", [], ""),
        (b"one two  \x17", [], "one "),
        (b"one two\x15three", [], "three"),
        (b"a\tb", [], "a    b"),
        (b"\x1b[A\x1b[1;5Ca\x1bOBb\x1bx", [], "ab"),
        (b"a\x00\x01\x1b[200", [], "a"),
        (b"done\x04", [Line("done", last=True)], ""),
        (b"\x04", [Line("", last=True)], ""),
        (
            b"\x1b[200~one\n\ntwo\x1b[201~\r",
            [Line("one", pasted=True), Line("", pasted=True), Line("two")],
            "",
        ),
        (b"\xff\r", [Line("\ufffd")], ""),
    ],
)
def test_keys_make_lines(typed: bytes, lines: list[Line], left: str) -> None:
    editor = LineEditor()

    assert list(editor.feed(typed)) == lines
    assert editor.text == left


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=4))
def test_it_does_not_matter_how_bytes_are_cut_apart(typed: bytes, cuts: list[int]) -> None:
    whole, cut = LineEditor(), LineEditor()
    at_once = list(whole.feed(typed))
    places = sorted({0, *(place for place in cuts if place < len(typed)), len(typed)})
    pieces = [typed[start:end] for start, end in pairwise(places)]
    one_by_one = [line for piece in pieces for line in cut.feed(piece)]

    assert (one_by_one, cut.text) == (at_once, whole.text)


@given(st.text(max_size=40))
def test_nothing_that_is_typed_can_act_on_a_terminal(typed: str) -> None:
    editor = LineEditor()
    lines = list(editor.feed(typed.encode("utf-8", "replace")))

    assert all(key.isprintable() or not key.isascii() for key in editor.text)
    assert not any("\x1b" in line.text for line in lines)
