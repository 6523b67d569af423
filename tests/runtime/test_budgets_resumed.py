"""Budgets of runs that go on from their journals, and what is read out of records."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from runtime.test_budgets import ALL, calls, events, play, team

import massgen_bridge
from massgen_bridge import Budget, Team, TurnResult
from massgen_bridge.config import load_config
from massgen_bridge.events import BudgetReached, ModelCallFinished, ModelCallStarted, Record
from massgen_bridge.messages import assistant
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.course import past_of
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.runtime.recorder import Ledger
from massgen_bridge.runtime.setup import RunSetup, setup_of

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge import Emit, Turn

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))


async def left(config: Any, after: str, times: int = 1) -> tuple[str, list[Record]]:
    """Begin a run and leave it once something has happened so often."""
    records: list[Record] = []
    stream = massgen_bridge.stream(config, "Which?")
    async for record in stream:
        records.append(record)
        if sum(one.event.type == after for one in records) == times:
            break
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator
    return record.run_id, records


async def test_what_was_used_before_counts_when_a_run_goes_on() -> None:
    """Two answers and the start of a third one; one call is left."""
    config = team({}, {}, {"delay_s": 0.4}, budget={"model_calls": 4})
    run_id, before = await left(config, "answered", 2)
    records: list[Record] = []
    result = await massgen_bridge.aresume(run_id, on_record=records.append)

    assert sum(calls(before).values()) == 3
    assert calls(records) == {"a3": 1}  # its turn begins anew
    assert (result.status, result.budget, result.calls) == ("best_so_far", "model_calls", 4)
    assert len(result.answers) == 3


async def test_a_call_is_durable_before_it_is_made_where_calls_are_counted(tmp_path: Path) -> None:
    """So a process that is killed with a request under way leaves it counted."""
    found: list[int] = []

    class Looks:
        """Reads the journal of its own run in place of asking a model."""

        async def run(self, turn: Turn, emit: Emit) -> TurnResult:
            for _ in range(3):
                await emit(ModelCallStarted(model="m"))
                path = tmp_path / "runs" / f"{turn.run_id}.sqlite"
                found.append(await anyio.to_thread.run_sync(_calls_in, path))
            return TurnResult(message=assistant("Yes."))

        async def aclose(self) -> None:
            pass

    built = Team(strategy="single", budget={"model_calls": 9}).add("a1", Looks())
    assert (await built.arun("Which?")).status == "answered"
    assert found == [1, 2, 3]


def _calls_in(journal: Path) -> int:
    return sum(isinstance(one.event, ModelCallStarted) for one in read_run(journal))


def test_the_budget_of_the_command_line_holds_for_the_rest_too() -> None:
    """What the run was made from holds it, also where the file says nothing of it."""
    given = load_config(team({}, {}, {"delay_s": 0.4}), PluginHost(entry_points=False))
    document = given.document.model_copy(update={"budget": Budget(model_calls=4)})
    setup = setup_of(replace(given, document=document), PluginHost(entry_points=False))

    assert RunSetup.model_validate_json(setup.model_dump_json()).budget == Budget(model_calls=4)


async def test_a_run_whose_budget_is_used_up_asks_nobody_when_it_goes_on() -> None:
    """It was left while two calls were under way: they are lost, and there is none left."""
    slow = {"delay_s": 0.6}
    config = team(slow, slow, slow, budget={"model_calls": 2})
    run_id, _ = await left(config, "budget_reached")
    records: list[Record] = []
    result = await massgen_bridge.aresume(run_id, on_record=records.append)

    assert not calls(records)
    assert not events(records, BudgetReached)  # it was told before
    assert (result.status, result.budget, result.calls) == ("failed", "model_calls", 2)
    assert result.message == "the run has used its budget of 2 model calls, before any answer"


@pytest.mark.parametrize("name", sorted(ALL))
async def test_the_journal_leads_to_the_same_end(name: str) -> None:
    strategy = {"type": name, **ALL[name]}
    config = team({}, {}, {}, strategy=strategy, budget={"model_calls": 2})
    result, _ = await play(config, keep=True)
    kept = await anyio.to_thread.run_sync(lambda: list(read_run(RunIndex().path(result.run_id))))
    spec = PluginHost(entry_points=False).strategy(name)
    past = past_of(kept, spec.create(spec.options(**ALL[name])))

    finish = past.course.finish
    if result.budget is None:
        assert name == "single"
        return
    assert finish is not None
    assert (finish.status, finish.budget, finish.message) == (
        result.status,
        result.budget,
        result.message,
    )
    assert [one.budget for one in past.course.reached] == ["model_calls"]
    assert past.ledger.calls == result.calls == 2


async def test_money_and_time_are_read_from_the_records_too() -> None:
    """Of each agent, and of turns that did not end well as well."""
    result, records = await play(team({"delay_s": 0.2}, {"fails": "server"}))
    ledger = Ledger(["a1", "a2"])
    for record in records:
        event = record.event
        if isinstance(event, ModelCallFinished):
            event = event.model_copy(update={"cost_usd": 0.1})
        ledger.add(record.model_copy(update={"event": event}))
    calls = result.agents[0].usage.calls
    assert ledger.cost_usd == ledger.agents["a1"].cost_usd == Decimal("0.1") * calls > 0
    assert ledger.agents["a2"].cost_usd == 0
    assert ledger.agents["a1"].calls + ledger.agents["a2"].calls == ledger.calls == result.calls
    assert 0.2 <= ledger.agents["a1"].turns_s < 2
    assert ledger.turns_s == pytest.approx(sum(one.turns_s for one in ledger.agents.values()))
