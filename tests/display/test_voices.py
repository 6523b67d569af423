"""Texts of several voices: each told apart, also where they speak at the same time."""

from __future__ import annotations

from massgen_bridge.display.voices import Voices


def test_what_a_member_says_in_one_call_stays_together() -> None:
    voices = Voices()
    voices.begin("ann")
    voices.begin("ben")
    for source, piece in (("ann", "one "), ("ben", "uno "), ("ann", "two"), ("ben", "dos")):
        voices.add(piece, source)
    assert voices.text == "[ann] one two\n[ben] uno dos"
    voices.begin("ann")
    voices.add("three", "ann")
    assert voices.text == "[ann] one two\n[ben] uno dos\n[ann] three"
    assert voices.length == len("one twouno dosthree")


def test_a_call_that_failed_takes_only_its_own_words_with_it() -> None:
    voices = Voices()
    for source in ("ann", "ben"):
        voices.begin(source)
        voices.add("hello", source)
    voices.void("ann")
    voices.void("ann")
    assert voices.text == "[ben] hello"
    voices.add("again", "ann")
    assert voices.text == "[ben] hello\n[ann] again"


def test_the_agents_own_call_takes_all_that_came_since() -> None:
    voices = Voices()
    voices.add("kept", None)
    voices.begin(None)
    voices.add(" not", None)
    voices.add("nor this", "ann")
    voices.void(None)
    assert voices.text == "kept"


def test_those_who_speak_at_the_same_time_share_the_end() -> None:
    voices = Voices()
    for source in ("ann", "ben"):
        voices.begin(source)
        voices.add(f"{source} " * 200, source)
    tail = voices.tail(40)
    assert "[ann]" in tail
    assert "[ben]" in tail
    assert len(tail) < 120
    voices.end("ann")
    assert voices.tail(40).startswith("[ben]")
