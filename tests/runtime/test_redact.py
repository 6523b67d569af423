"""Secrets leave no trace in a sequence of records, however deltas split them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime.records import (
    RUN_ID,
    TURN_ID,
    answered,
    delta,
    log,
    one_of_each,
    record,
    run_result,
    text_of,
    thought,
)

from massgen_bridge.agent import ToolDefinition, Turn
from massgen_bridge.errors import JournalError
from massgen_bridge.events import Record, RunFinished, TurnCancelled, TurnStarted
from massgen_bridge.messages import DocumentPart, Message, user
from massgen_bridge.runtime.redact import Redactor

SECRET = "sk-proj-A1b2C3d4"  # noqa: S105 - a canary
TEXT = f"The key is {SECRET}, sk-p and {SECRET}{SECRET}."
CLEAN = "The key is [secret], sk-p and [secret][secret]."


def _redacted(records: list[Record], *secrets: str) -> list[Record]:
    """What comes out when records go in one by one."""
    redactor = Redactor(secrets or (SECRET,))
    given = [out for record in records for out in redactor.redact([record])]
    return given + redactor.flush()


def _deltas(pieces: list[str]) -> list[Record]:
    return [delta(seq, piece) for seq, piece in enumerate(pieces, start=1)]


@pytest.mark.parametrize("at", range(len(TEXT) + 1))
def test_a_secret_split_in_two_is_found(at: int) -> None:
    assert text_of(_redacted(_deltas([TEXT[:at], TEXT[at:]]))) == CLEAN


def test_a_secret_split_in_three_is_found_wherever_it_is_split() -> None:
    for first, second in itertools.combinations(range(len(TEXT) + 1), 2):
        pieces = [TEXT[:first], TEXT[first:second], TEXT[second:]]
        assert text_of(_redacted(_deltas(pieces))) == CLEAN


def test_a_secret_that_comes_letter_by_letter_is_found() -> None:
    assert text_of(_redacted(_deltas(list(TEXT)))) == CLEAN


@pytest.mark.parametrize("at", range(1, len(SECRET)))
def test_a_secret_around_another_record_of_its_turn_shows_three_letters_at_most(at: int) -> None:
    records = [delta(1, f"Key {SECRET[:at]}"), log(2), delta(3, f"{SECRET[at:]}.")]

    shown = text_of(_redacted(records))

    assert shown == (f"Key {SECRET[:at]}[secret]." if at < 4 else "Key [secret].")


@given(st.lists(st.integers(1, len(SECRET) - 1), unique=True).map(sorted))
def test_a_secret_around_many_records_shows_three_letters_at_most(cuts: list[int]) -> None:
    pieces = [SECRET[a:b] for a, b in itertools.pairwise([0, *cuts, len(SECRET)])]
    records: list[Record] = []
    for piece in pieces:
        records += [delta(len(records) + 1, piece), log(len(records) + 2)]

    shown = text_of(_redacted(records))

    assert shown.endswith("[secret]")
    assert shown.count("[secret]") == 1
    assert SECRET.startswith(shown.removesuffix("[secret]"))
    assert len(shown) <= len("sk-[secret]")


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["delta", "delta", "delta", "thought", "log"]),
        st.sampled_from("xy"),
        st.text("abcdef.", max_size=8),
    ),
    max_size=25,
)


@given(_STEPS)
def test_whatever_comes_no_secret_stays_and_no_order_within_a_turn_changes(
    steps: list[tuple[str, str, str]],
) -> None:
    make = {"delta": delta, "thought": thought, "log": log}
    records = [
        make[kind](seq, text, turn_id=turn) for seq, (kind, turn, text) in enumerate(steps, 1)
    ]

    out = _redacted(records, "abcabc", "bcdefa")

    for turn in "xy":
        seqs = [r.seq for r in out if r.turn_id == turn]
        assert seqs == sorted(set(seqs))
        shown = text_of(out, turn)
        assert "abcabc" not in shown
        assert "bcdefa" not in shown
        if "[secret]" not in shown:
            assert shown == text_of(records, turn)


def test_a_stream_that_never_gets_on_holds_back_no_more_than_a_secret() -> None:
    redactor = Redactor(["aaaaaaaaab"])

    out = redactor.redact(_deltas(["a"] * 10_000))

    assert len(text_of(out)) >= 10_000 - len("aaaaaaaaab")


def test_a_delta_that_may_be_a_secret_waits_for_the_next_one() -> None:
    redactor = Redactor([SECRET])

    assert redactor.redact([delta(1, "It is sk-")]) == []
    assert redactor.redact([delta(2, "ilful.")]) == [delta(1, "It is sk-ilful.")]


def test_a_delta_of_another_turn_does_not_wait() -> None:
    redactor = Redactor([SECRET])
    redactor.redact([delta(1, "sk-")])

    assert redactor.redact([delta(2, "sk.", turn_id="other")]) == [delta(2, "sk.", turn_id="other")]


def test_a_delta_that_waits_comes_before_the_next_record_of_its_turn() -> None:
    assert _redacted([delta(1, "a sk-"), answered(2)]) == [delta(1, "a sk-"), answered(2)]


@pytest.mark.parametrize(
    "last", [TurnCancelled(reason="late"), RunFinished(result=run_result())], ids=lambda e: e.type
)
def test_nothing_waits_beyond_the_end_of_a_turn_or_a_run(
    last: TurnCancelled | RunFinished,
) -> None:
    redactor = Redactor([SECRET])

    out = redactor.redact([delta(1, "a s"), record(2, last)])

    assert out == [delta(1, "a s"), record(2, last)]
    assert redactor.flush() == []


def test_text_and_reasoning_and_members_of_a_group_are_looked_through_apart() -> None:
    half, rest = SECRET[:8], SECRET[8:]
    records = [delta(1, half, source="a"), delta(2, rest, source="b"), thought(3, rest)]

    out = _redacted(records)

    assert [r.event.text for r in out] == ["[secret]", rest, rest]  # type: ignore[union-attr]


def test_secrets_go_from_every_kind_of_record() -> None:
    for seq, kept in enumerate(one_of_each(), start=1):
        dirty = Record.model_validate_json(kept.model_dump_json().replace('"42"', f'"4{SECRET}2"'))
        (out,) = Redactor([SECRET]).redact([dirty]) or Redactor([SECRET]).flush()
        assert SECRET not in out.model_dump_json()
        assert ("[secret]" in out.model_dump_json()) == (dirty != kept)
        assert out.seq == seq


def test_secrets_go_from_attached_files_in_base64() -> None:
    part = DocumentPart(media_type="text/plain", data=f"x{SECRET}y".encode())
    kept = record(1, _turn_started(Message(role="user", parts=(part,))))

    (out,) = Redactor([SECRET]).redact([kept])

    assert isinstance(out.event, TurnStarted)
    (masked,) = out.event.turn.messages[0].parts
    assert isinstance(masked, DocumentPart)
    assert masked.data == b"x[secret]y"


def test_a_secret_in_the_name_of_a_tool_is_masked_without_brackets() -> None:
    tool = ToolDefinition(name=SECRET, description="d", input_schema={})

    (out,) = Redactor([SECRET]).redact([record(1, _turn_started(user("q"), tool))])

    assert isinstance(out.event, TurnStarted)
    assert out.event.turn.tools[0].name == "secret"


def test_a_secret_that_cannot_be_masked_is_an_error() -> None:
    part = DocumentPart(media_type="application/pdf", data=b"")
    kept = record(7, _turn_started(Message(role="user", parts=(part,))))

    with pytest.raises(
        JournalError, match=r"record 7 holds a secret that cannot be masked at .*media_type"
    ):
        Redactor(["application/pdf"]).redact([kept])


def test_a_secret_that_is_a_word_of_the_schema_breaks_nothing() -> None:
    records = one_of_each()

    out = _redacted(records, "assistant", "text_delta", "answer", "content")

    assert [r.event.type for r in out] == [r.event.type for r in records]


def test_without_secrets_records_pass_as_they_are() -> None:
    redactor = Redactor()
    records = [delta(1, TEXT), answered(2)]

    assert not redactor
    assert [a is b for a, b in zip(redactor.redact(records), records, strict=True)] == [True, True]
    assert redactor.flush() == []


def _turn_started(message: Message, *tools: ToolDefinition) -> TurnStarted:
    turn = Turn(run_id=RUN_ID, turn_id=TURN_ID, agent_id="alice", messages=(message,), tools=tools)
    return TurnStarted(purpose="answer", round=0, turn=turn)
