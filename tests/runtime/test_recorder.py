"""Records and what is counted from them."""

from __future__ import annotations

import pytest

from massgen_bridge.agent import TurnResult, Usage
from massgen_bridge.events import (
    LogLine,
    ModelCallFinished,
    ModelCallStarted,
    Record,
    TurnDone,
    TurnFailed,
)
from massgen_bridge.messages import assistant
from massgen_bridge.runtime.recorder import Recorder

pytestmark = pytest.mark.anyio
TEN = Usage(input_tokens=10, output_tokens=1, calls=1)


class Written:
    """A journal in memory that says what was durable when."""

    def __init__(self) -> None:
        self.appended: list[Record] = []
        self.durable = 0
        self.is_crowded = False

    def append(self, records: object) -> None:
        assert isinstance(records, tuple)
        self.appended.extend(records)

    async def commit(self) -> None:
        self.durable = len(self.appended)


async def test_every_record_reaches_journal_and_listeners_in_order() -> None:
    journal, heard = Written(), list[Record]()
    recorder = Recorder("r", journal=journal, listeners=[heard.append], clock=lambda: 7.5)
    for text in "abc":
        recorder.record(LogLine(stream="log", text=text), agent_id="ada", turn_id="ada.1")
    await recorder.commit()

    assert heard == journal.appended
    assert [record.seq for record in heard] == [1, 2, 3]
    assert {(r.run_id, r.at, r.agent_id, r.turn_id) for r in heard} == {("r", 7.5, "ada", "ada.1")}
    assert journal.durable == 3


def _done(usage: Usage | None) -> TurnDone:
    return TurnDone(result=TurnResult(message=assistant("x"), usage=usage))


async def test_a_turns_own_usage_counts_once() -> None:
    recorder = Recorder("r")
    recorder.record(ModelCallStarted(model="m"), turn_id="t")
    recorder.record(ModelCallFinished(model="m", usage=TEN), turn_id="t")
    recorder.record(_done(TEN), turn_id="t")

    assert recorder.ledger.usage == TEN
    assert recorder.ledger.calls == 1


async def test_calls_of_a_turn_that_counted_nothing_itself_count() -> None:
    recorder = Recorder("r")
    recorder.record(ModelCallFinished(model="m", usage=TEN), turn_id="t")
    recorder.record(_done(None), turn_id="t")

    assert recorder.ledger.usage == TEN


async def test_what_a_failed_turn_has_used_is_not_lost() -> None:
    recorder = Recorder("r")
    recorder.record(ModelCallStarted(model="m"), turn_id="t")
    recorder.record(ModelCallFinished(model="m", usage=TEN), turn_id="t")
    recorder.record(ModelCallStarted(model="m"), turn_id="t")
    recorder.record(TurnFailed(kind="auth", message="no"), agent_id="ada", turn_id="t")

    assert recorder.ledger.usage == TEN
    assert recorder.ledger.calls == 2
    assert [(e.agent_id, e.kind) for e in recorder.ledger.errors] == [("ada", "auth")]


async def test_a_turn_still_running_counts_with_what_it_has_used() -> None:
    recorder = Recorder("r")
    recorder.record(ModelCallFinished(model="m", usage=TEN), turn_id="t")

    assert recorder.ledger.usage == TEN
