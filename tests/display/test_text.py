"""Text from models cannot act on the terminal; long text costs no more than short."""

from __future__ import annotations

import time
import unicodedata

import pytest
from display.scenes import HOSTILE
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.display.text import TextLog, clean, clip, one_line, steady


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [bold]text[/bold]", "plain [bold]text[/bold]"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("a\x1b[2J\x1b[Hb", "ab"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07shown", "shown"),
        ("\x1b]52;c;Y2xpcA==\x1b\\shown", "shown"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP+q544e\x1b\\shown", "shown"),
        ("\x9d0;title\x9cshown", "shown"),
        ("\x1b]never closed", "never closed"),
        ("cut \x1b[3", "cut "),
        ("cut \x1b", "cut "),
        ("\x1bc\x1b(Breset", "reset"),
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne"),
        ("\tx", "    x"),
        ("bell\x07 back\x08 null\x00 delete\x7f", "bell back null delete"),
        ("\u202eesrever\u202c \u2066isolated\u2069", "esrever isolated"),
        ("lone \ud83d half", "lone \ufffd half"),
        ("日本語 é \U0001f44d", "日本語 é \U0001f44d"),
    ],
)
def test_what_a_terminal_would_act_on_is_gone_and_the_rest_stays(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(
    st.text(st.sampled_from("\x1b[]P\\\x07\x9b\x9c\x9d\x90;?0m1HJ \n\ra\u202e\ud800é"), max_size=40)
)
def test_no_text_leaves_a_control_character_behind(text: str) -> None:
    left = {unicodedata.category(mark) for mark in clean(text).replace("\n", "")}

    assert left & {"Cc", "Cs", "Zl", "Zp"} == set()
    assert "\u202e" not in clean(text)


@pytest.mark.parametrize("mark", ["\x1b]", "\x9d", "\x1b[", "\x1bP;", "\x1b[1;", "\x1b "])
def test_cleaning_takes_time_in_proportion_to_the_length(mark: str) -> None:
    def best(text: str) -> float:
        def once() -> float:
            began = time.thread_time()
            clean(text)
            return time.thread_time() - began

        return min(once() for _ in range(5))

    assert best(mark * 80_000) < 40 * best(mark * 8_000)


def test_marks_of_unsteady_width_go_where_columns_have_to_hold() -> None:
    family = "\U0001f468\u200d\U0001f469 \u2764\ufe0f \U0001f44d\U0001f3fd"

    assert clean(family) == family
    assert steady(family) == "\U0001f468\U0001f469 \u2764 \U0001f44d"


def test_one_line_is_one_line() -> None:
    assert one_line("  a\n\n\tb\x1b[0m  c ") == "a b c"
    assert "\n" not in one_line(HOSTILE)


def test_clip_marks_what_it_cut() -> None:
    assert [clip("abcd", limit) for limit in (5, 4, 3)] == ["abcd", "abcd", "ab…"]


def test_a_log_gives_back_what_was_added() -> None:
    log = TextLog()
    pieces = [f"piece {n} " for n in range(2_000)]
    for piece in pieces:
        log.add(piece)

    assert log.text == "".join(pieces)
    assert log.length == len(log.text)


def test_a_log_rewinds_to_its_mark_and_no_further() -> None:
    log = TextLog()
    log.add("kept")
    log.mark()
    for _ in range(1_500):
        log.add("void ")
    log.rewind()
    log.add(" too")

    assert (log.text, log.length) == ("kept too", 8)


def test_a_log_that_was_never_marked_rewinds_to_its_beginning() -> None:
    log = TextLog()
    log.add("void")
    log.rewind()

    assert (log.text, log.length) == ("", 0)


@given(st.lists(st.text("ab", max_size=9), max_size=60), st.integers(1, 30))
def test_a_tail_is_the_end_and_long_enough(pieces: list[str], limit: int) -> None:
    log = TextLog()
    for piece in pieces:
        log.add(piece)
    whole = "".join(pieces)

    assert whole.endswith(log.tail(limit))
    assert min(len(whole), limit) <= len(log.tail(limit)) < 2 * limit


def test_the_beginning_of_a_tail_moves_in_steps() -> None:
    log = TextLog()
    beginnings = set()
    for number in range(1_000):
        log.add(f"{number:4}")
        beginnings.add(log.length - len(log.tail(400)))

    assert beginnings == set(range(0, 3_601, 400))
