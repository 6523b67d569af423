"""What a stream said before it broke is shown while it lasts, and never beside its repetition."""

from __future__ import annotations

import io

import pytest
from display.scenes import ANSWER, THOUGHT, Terminal, broken_run, drawn

from massgen_bridge.display.plain import PlainDisplay, plain_line
from massgen_bridge.display.state import RunView
from massgen_bridge.events import (
    ModelRetried,
    ReasoningDelta,
    Record,
    RunFinished,
    RunResult,
    TextDelta,
)

FIRST = ANSWER.split()[0]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    found = broken_run()
    assert sum(isinstance(one.event, ModelRetried) for one in found) == 1
    return found


def _result(records: list[Record]) -> RunResult:
    last = records[-1].event
    assert isinstance(last, RunFinished)
    return last.result


def _of_the_broken_stream(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """The records up to the break, that of the retry not included; and those from it on."""
    at = next(at for at, one in enumerate(records) if isinstance(one.event, ModelRetried))
    return records[:at], records[at:]


def test_the_run_did_break_in_the_middle_of_the_text(records: list[Record]) -> None:
    before, after = _of_the_broken_stream(records)

    def said(kind: type[TextDelta | ReasoningDelta], within: list[Record]) -> str:
        return "".join(one.event.text for one in within if isinstance(one.event, kind))

    assert said(ReasoningDelta, before) == said(ReasoningDelta, after) == THOUGHT
    assert ANSWER.startswith(said(TextDelta, before))
    assert FIRST in said(TextDelta, before) != ANSWER
    assert said(TextDelta, after) == _result(records).answer == ANSWER


def test_a_panel_drops_the_text_of_the_broken_stream_before_it_shows_the_new_one(
    records: list[Record],
) -> None:
    view = RunView()
    shown = []
    for record in records:
        view.apply(record)
        shown.append("\n".join(drawn(view)))
    before, _ = _of_the_broken_stream(records)

    assert FIRST in shown[len(before) - 1]
    assert FIRST not in shown[len(before)]
    assert FIRST in shown[-1]
    assert all(one.count(FIRST) <= 1 for one in shown)


def test_neither_text_nor_reasoning_is_kept_of_the_broken_stream(records: list[Record]) -> None:
    before, _ = _of_the_broken_stream(records)
    agent = RunView(records[: len(before) + 1]).agents["a1"]
    assert (agent.text.text, agent.reasoning.text) == ("", "")

    agent = RunView(records).agents["a1"]
    assert (agent.text.text, agent.reasoning.text) == (ANSWER, THOUGHT)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_plain_lines_tell_of_the_break_and_hold_the_answer_once(
    records: list[Record], stream: type[io.StringIO]
) -> None:
    stdout, stderr = stream(), stream()
    with PlainDisplay(stdout=stdout, stderr=stderr, answer=True, interval_s=0.01) as display:
        for record in records:
            display.listen(record)
        display.finish(_result(records))

    assert stdout.getvalue().count(FIRST) == 1
    assert ANSWER in stdout.getvalue()
    assert FIRST not in stderr.getvalue()
    assert stderr.getvalue().count("model call 1 failed, next try in") == 1


def test_no_piece_of_a_stream_is_a_plain_line(records: list[Record]) -> None:
    view = RunView(records)

    assert not any(FIRST in (plain_line(record, view) or "") for record in records[:-1])
