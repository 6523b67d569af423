"""Runs that go on in the same process or by Python: cancelled ones, deadlines, teams of objects."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import massgen_bridge
from massgen_bridge import AgentContext, Team, Turn
from massgen_bridge.errors import ConfigError, JournalError
from massgen_bridge.events import (
    DeadlinePassed,
    Record,
    RunFinished,
    RunResumed,
    RunStarted,
    TurnStarted,
)
from massgen_bridge.runtime.course import past_of
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.strategies.consensus import Consensus
from massgen_bridge.strategies.single import Single

if TYPE_CHECKING:
    from massgen_bridge.events import RunResult

pytestmark = pytest.mark.anyio
BASIC = Path(__file__).parents[2] / "configs" / "basic"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))


def config(*scripts: dict[str, Any], **more: Any) -> dict[str, Any]:
    agents = [
        {"id": f"a{i}", "backend": {"type": "scripted", "answers": [f"answer {i}"], **script}}
        for i, script in enumerate(scripts, 1)
    ]
    return {"version": 1, "agents": agents, **more}


async def cancelled(given: Any, after: str = "answered") -> str:
    """Begin a run and leave it once something has happened; its id."""
    records = massgen_bridge.stream(given, "Which?")
    async for record in records:
        if record.event.type == after:
            break
    await records.aclose()  # type: ignore[attr-defined]  # an async generator
    return record.run_id


async def kept(run_id: str) -> list[Record]:
    return await anyio.to_thread.run_sync(lambda: list(read_run(RunIndex().path(run_id))))


SLOW = config({}, {"delay_s": 0.3})


async def test_a_cancelled_run_goes_on_in_the_same_process() -> None:
    run_id = await cancelled(SLOW)
    heard: list[Record] = []
    result = await massgen_bridge.aresume(run_id[:-1], on_record=heard.append)

    assert (result.run_id, result.status, result.answer) == (run_id, "answered", "answer 1")
    assert isinstance(heard[0].event, RunResumed)
    records = await kept(run_id)
    assert [one.event.result.status for one in records if isinstance(one.event, RunFinished)] == [
        "cancelled",
        "answered",
    ]
    started = [
        (one.turn_id, one.event.attempt) for one in records if isinstance(one.event, TurnStarted)
    ]
    assert started[:3] == [("a1.1", 1), ("a2.1", 1), ("a2.1", 2)]
    (row,) = await anyio.to_thread.run_sync(RunIndex().list)
    assert (row.status, row.winner) == ("answered", "a1")
    with pytest.raises(JournalError, match="has ended"):
        await massgen_bridge.aresume(run_id)


async def test_what_was_used_before_stays_counted() -> None:
    run_id = await cancelled(SLOW)
    result = await massgen_bridge.aresume(run_id)

    assert result.calls == 5  # one of them came to nothing
    assert result.usage.calls == 4
    assert result.duration_s >= 0.3


async def test_a_run_is_not_resumed_while_this_process_runs_it() -> None:
    records = massgen_bridge.stream(config({}, {"delay_s": 5}), "Which?")
    async for record in records:
        if record.event.type == "answered":
            with pytest.raises(JournalError, match="running in this very process"):
                await massgen_bridge.aresume(record.run_id)
            break
    await records.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_what_remains_of_the_deadline_counts() -> None:
    given = config({}, {"delay_s": 30}, timeout_settings={"orchestrator_timeout_seconds": 0.8})
    began = anyio.current_time()
    run_id = await cancelled(given)
    await anyio.sleep(1)  # nobody works on it meanwhile
    result = await massgen_bridge.aresume(run_id)
    worked_s = anyio.current_time() - began - 1

    assert (result.status, result.answer) == ("best_so_far", "answer 1")
    assert 0.7 < result.duration_s < worked_s + 0.1
    passed = [one for one in await kept(run_id) if isinstance(one.event, DeadlinePassed)]
    assert [one.event for one in passed] == [DeadlinePassed(after_s=0.8)]


async def test_a_team_of_objects_is_given_again() -> None:
    async def answer(question: str) -> str:
        await anyio.sleep(0.2 if question else 0)
        return "from a function"

    team = Team(strategy="single").add("own", answer)
    run_id = await cancelled(team, "turn_started")
    with pytest.raises(ConfigError, match="made of objects in a program"):
        await massgen_bridge.aresume(run_id)
    with pytest.raises(ConfigError, match=r"began with other agents: own \(object\)"):
        await massgen_bridge.aresume(run_id, SLOW)

    assert (await massgen_bridge.aresume(run_id, team)).answer == "from a function"


async def test_another_strategy_or_other_options_are_refused() -> None:
    run_id = await cancelled(SLOW)
    for strategy, said in (
        ("single", "began with the strategy 'consensus'"),
        ({"type": "consensus", "max_rounds": 1}, "'max_rounds' of its strategy being 3"),
    ):
        with pytest.raises(ConfigError, match=said):
            await massgen_bridge.aresume(run_id, {**SLOW, "strategy": strategy})


async def test_it_works_without_an_event_loop_too() -> None:
    run_id = await cancelled(SLOW)

    result = await anyio.to_thread.run_sync(massgen_bridge.resume, run_id)
    assert result.answer == "answer 1"


async def test_an_agent_hears_of_its_finished_turns() -> None:
    heard: list[tuple[str, ...]] = []

    class Rememberer:
        def __init__(self, context: AgentContext) -> None:
            heard.append(tuple(one.turn.turn_id for one in context.finished))

        async def run(self, turn: Turn, emit: massgen_bridge.Emit) -> massgen_bridge.TurnResult:
            del emit
            if turn.shown:
                await anyio.sleep(0.2)
                return massgen_bridge.TurnResult(message=massgen_bridge.assistant("nothing"))
            return massgen_bridge.TurnResult(message=massgen_bridge.assistant(turn.agent_id))

        async def aclose(self) -> None:
            pass

    class Plugin:
        @massgen_bridge.hookimpl
        def bridge_adapters(self) -> Any:
            spec = massgen_bridge.AdapterSpec(kind="own", summary="x", factory=Rememberer)
            return (spec,)

    team = Team(plugins=[Plugin()]).add("one", "own").add("two", "own")
    run_id = await cancelled(team, "answer_listed")
    await massgen_bridge.aresume(run_id, team)

    assert heard == [(), (), ("one.1",), ("two.1",)]


# --- replaying the strategy -----------------------------------------------------------------------

RUNS: list[tuple[Any, dict[str, Any]]] = [
    (Consensus(), config({}, {})),
    (Consensus(), config({"answers": ["x", "y"], "votes": ["improve", "agent1"]}, {})),
    (Consensus(), config({"votes": ["agent2"]}, {"votes": ["agent1"]})),
    (Consensus(), config({"fails": "server"}, {"votes": ["agent9"]}, {})),
    (Consensus(), config({"fails": "auth"}, {"fails": "server"})),
    (
        Consensus(),
        config({}, {"delay_s": 9}, timeout_settings={"orchestrator_timeout_seconds": 0.3}),
    ),
    (Single(), config({"fails": "auth"}, {}, strategy="single")),
]


@pytest.mark.parametrize(("strategy", "given"), RUNS)
async def test_stepping_the_strategy_over_the_journal_gives_the_result(
    strategy: Any, given: dict[str, Any]
) -> None:
    result: RunResult = await massgen_bridge.arun(given, "Which?")
    records = await kept(result.run_id)
    past = past_of(records, strategy)

    assert past.course.finish is not None
    again = past.course.finish.model_dump(exclude={"type", "presentation", "presented_media"})
    recorded = result.model_dump(include=set(again))
    assert again == {**recorded, "winner": again["winner"]}
    assert past.course.finish.winner == result.winning
    assert past.unannounced == ()
    assert past.ledger.calls == result.calls
    assert past.ledger.usage == result.usage


async def test_a_strategy_that_leads_elsewhere_is_named() -> None:
    result = await massgen_bridge.arun(config({}, {}), "Which?")
    records = await kept(result.run_id)
    assert isinstance(records[0].event, RunStarted)
    with pytest.raises(JournalError, match=r"does not lead to the turn 'a2\.1'"):
        past_of(records, Single())


@pytest.mark.parametrize(
    "name", ["consensus", "debate", "group", "map-reduce", "sequential", "single"]
)
async def test_every_strategy_goes_on_from_whatever_the_journal_holds(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = BASIC / f"{name}.yaml"
    whole = await massgen_bridge.arun(file, "Why learn Python?", trust=True)
    records = await kept(whole.run_id)
    for number in range(2, len(records), max(1, len(records) // 8)):
        folder = tmp_path / str(number)
        await anyio.to_thread.run_sync(
            _cut, RunIndex().path(whole.run_id), folder / "runs", records[number - 1].seq
        )
        with monkeypatch.context() as patch:
            patch.setenv("MASSGEN_BRIDGE_DATA", str(folder))
            result = await massgen_bridge.aresume(whole.run_id, trust=True)
        for field in ("status", "answer", "winner", "answers", "tie_broken_by"):
            assert getattr(result, field) == getattr(whole, field), (number, field)
        assert set(result.votes) == set(whole.votes)


def _cut(journal: Path, folder: Path, last: int) -> None:
    """A copy of a journal without what came after a record."""
    folder.mkdir(parents=True)
    copy = Path(shutil.copy(journal, folder))
    with closing(sqlite3.connect(copy)) as file:
        file.execute("DELETE FROM records WHERE seq > ?", (last,))
        file.commit()
