"""Deltas are joined without changing what anyone reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from runtime.records import answered, delta, log, text_of, thought

from massgen_bridge.events import Record
from massgen_bridge.runtime.deltas import Joined, coalesce, whole


def _joined(records: list[Record]) -> list[Record]:
    return [whole(item) for item in coalesce(records)]


def test_deltas_of_one_stream_become_one_under_the_first_number() -> None:
    assert _joined([delta(1, "a"), delta(2, "b"), delta(3, "c")]) == [delta(1, "abc")]


def test_a_lone_delta_stays_the_very_record_it_was() -> None:
    alone = delta(1, "a")

    (kept,) = coalesce([alone])

    assert kept is alone


def test_turns_that_take_turns_are_joined_each_for_itself() -> None:
    records = [delta(1, "a", turn_id="x"), delta(2, "b", turn_id="y"), delta(3, "c", turn_id="x")]

    assert _joined(records) == [delta(1, "ac", turn_id="x"), delta(2, "b", turn_id="y")]


def test_another_record_of_the_turn_ends_the_joining() -> None:
    records = [delta(1, "a"), log(2), delta(3, "b"), thought(4, "c"), delta(5, "d")]

    assert _joined(records) == records


def test_another_record_of_another_turn_does_not() -> None:
    records = [delta(1, "a", turn_id="x"), answered(2, turn_id="y"), delta(3, "b", turn_id="x")]

    assert _joined(records) == [delta(1, "ab", turn_id="x"), answered(2, turn_id="y")]


def test_sources_within_a_group_are_kept_apart() -> None:
    records = [delta(1, "a", source="x"), delta(2, "b", source="y")]

    assert _joined(records) == records


def test_the_records_that_are_joined_stay_as_they_are() -> None:
    first = delta(1, "a")

    coalesce([first, delta(2, "b")])

    assert first == delta(1, "a")


_EVENTS = st.lists(
    st.tuples(st.sampled_from(["delta", "thought", "log"]), st.sampled_from("xyz"), st.text("abc")),
    max_size=30,
)


@given(_EVENTS)
def test_every_turn_reads_the_same_afterwards(events: list[tuple[str, str, str]]) -> None:
    make = {"delta": delta, "thought": thought, "log": log}
    records = [
        make[kind](seq, text, turn_id=turn_id)
        for seq, (kind, turn_id, text) in enumerate(events, start=1)
    ]

    joined = _joined(records)

    assert [r.seq for r in joined] == sorted({r.seq for r in joined})
    for turn_id in "xyz":
        assert text_of(joined, turn_id) == text_of(records, turn_id)
        logs = [[r for r in rs if r.turn_id == turn_id and r.event.type == "log"]
                for rs in (records, joined)]  # fmt: skip
        assert logs[0] == logs[1]


def test_a_joined_delta_turns_into_a_record_only_on_demand() -> None:
    (item,) = coalesce([delta(1, "a"), delta(2, "b")])

    assert isinstance(item, Joined)
    assert whole(item) == delta(1, "ab")
