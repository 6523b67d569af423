"""Budgets in whole runs: how many calls begin, what is kept, and what is said of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import massgen_bridge
from massgen_bridge import AnswerRef, Budget, StrategySpec, Team, TurnResult
from massgen_bridge.errors import ConfigError, LimitReached
from massgen_bridge.events import (
    Answered,
    AnswerInfo,
    BudgetReached,
    DeadlinePassed,
    Happening,
    ModelCallStarted,
    Record,
    RunResult,
    Seat,
    TurnFailed,
    TurnHappening,
    TurnStarted,
)
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import Frozen, assistant
from massgen_bridge.strategy import Command, Finish, StartTurn

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge import Emit, Turn

pytestmark = pytest.mark.anyio

Scripts = tuple[dict[str, Any], ...]
ALL: dict[str, dict[str, Any]] = {
    "consensus": {},
    "single": {},
    "sequential": {},
    "debate": {"rounds": 1},
    "map_reduce": {},
    "group": {"max_turns": 4, "chair": "a3"},
}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))


def team(
    *scripts: dict[str, Any], agents: dict[int, dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    """Scripted agents a1, a2, …; `agents` holds budgets by number, `more` goes to the top."""
    given = [
        {
            "id": f"a{i}",
            "backend": {"type": "scripted", "answers": [f"answer {i}"], **script},
            "budget": (agents or {}).get(i, {}),
        }
        for i, script in enumerate(scripts, 1)
    ]
    return {"version": 1, "agents": given, **more}


async def play(config: Any, *, keep: bool = False) -> tuple[RunResult, list[Record]]:
    records: list[Record] = []
    result = await massgen_bridge.arun(config, "Which?", keep=keep, on_record=records.append)
    return result, records


def events(records: list[Record], *kinds: type) -> list[Any]:
    return [one.event for one in records if isinstance(one.event, kinds)]


def calls(records: list[Record]) -> Counter[str | None]:
    return Counter(one.agent_id for one in records if isinstance(one.event, ModelCallStarted))


async def test_a_run_that_needs_exactly_its_budget_ends_as_without_one() -> None:
    result, records = await play(team({}, {}, {}, budget={"model_calls": 6}))

    assert (result.status, result.budget, result.calls) == ("answered", None, 6)
    assert not events(records, BudgetReached)


@pytest.mark.parametrize("limit", range(1, 6))
async def test_no_more_calls_begin_than_a_budget_has_however_many_want_to(limit: int) -> None:
    """Three agents start at the same moment, twice."""
    result, records = await play(team({}, {}, {}, budget={"model_calls": limit}))

    assert result.calls == sum(calls(records).values()) == limit
    assert (result.status, result.budget) == ("best_so_far", "model_calls")
    assert result.answer in {"answer 1", "answer 2", "answer 3"}
    amount = f"{limit} model call{'s' if limit > 1 else ''}"
    assert result.message == f"the run has used its budget of {amount}"
    (told,) = events(records, BudgetReached)
    assert (told.agent_id, told.limit, told.used) == (None, limit, limit)


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_every_strategy_ends_with_the_best_so_far(name: str, limit: int) -> None:
    strategy = {"type": name, **ALL[name]}
    scripts: Scripts = ({"votes": ["agent2"]}, {"votes": ["agent1"]}, {"votes": ["agent2"]})
    free, _ = await play(team(*scripts, strategy=strategy))
    result, records = await play(team(*scripts, strategy=strategy, budget={"model_calls": limit}))

    assert result.calls == min(limit, free.calls)
    if limit >= free.calls:
        assert (result.status, result.budget, result.answer) == ("answered", None, free.answer)
        return
    given = events(records, Answered)
    assert result.status == ("best_so_far" if given else "failed")
    assert result.budget == "model_calls"
    assert (result.answer is not None) == bool(given)
    assert len(events(records, BudgetReached)) == 1


async def test_what_is_under_way_when_a_budget_is_reached_still_counts() -> None:
    """One of three is refused at once; the others need a while."""
    slow = {"delay_s": 0.2}
    result, records = await play(team(slow, slow, slow, budget={"model_calls": 2}))

    began = sorted(str(agent_id) for agent_id in calls(records))
    assert [answer.authors for answer in result.answers] == [(one,) for one in began]
    assert result.duration_s >= 0.2


async def test_a_refused_turn_says_why_and_is_not_tried_again() -> None:
    result, records = await play(team({}, {}, budget={"model_calls": 1}))

    (failed,) = events(records, TurnFailed)
    assert (failed.kind, failed.retryable) == ("limit", False)
    assert failed.message == "the run has used its budget of 1 model call"
    assert {error.agent_id for error in result.errors} == {"a1", "a2"} - set(calls(records))


async def test_a_budget_that_is_used_up_is_told_before_what_follows_from_it() -> None:
    _, records = await play(team({}, {}, {}, budget={"model_calls": 4}), keep=True)

    order = [one.event.type for one in records]
    assert order.index("budget_reached") < order.index("turn_failed") < order.index("turn_lost")
    after = records[order.index("budget_reached") :]
    assert not events(after, TurnStarted, ModelCallStarted)


async def test_tokens_are_counted_and_the_call_that_goes_beyond_is_the_last() -> None:
    free, _ = await play(team({}, {}, {}))
    limit = free.usage.input_tokens + free.usage.output_tokens - 1
    result, _ = await play(team({}, {}, {}, budget={"tokens": limit}))
    assert (result.status, result.calls) == ("answered", 6)

    slow = {"delay_s": 0.2}
    result, records = await play(team(slow, slow, slow, budget={"tokens": 1}))
    (told,) = events(records, BudgetReached)
    assert (result.budget, result.calls) == ("tokens", 3)  # they began before any of them ended
    assert told.used == result.usage.input_tokens + result.usage.output_tokens > told.limit == 1
    assert f"its budget of 1 token ({told.used:,.0f} tokens used)" in (result.message or "")


async def test_an_agent_without_budget_left_is_out_and_the_others_go_on() -> None:
    config = team({"votes": ["agent3"]}, {"votes": ["agent1"]}, {}, agents={2: {"model_calls": 1}})
    result, records = await play(config)

    assert (result.status, result.budget) == ("answered", None)
    assert calls(records) == {"a1": 2, "a2": 1, "a3": 2}
    assert [answer.text for answer in result.answers] == ["answer 1", "answer 2", "answer 3"]
    assert [vote.voter for vote in result.votes] == ["a1", "a3"]
    (told,) = events(records, BudgetReached)
    assert (told.agent_id, told.limit) == ("a2", 1)
    assert told.message == "a2 has used its budget of 1 model call"


@pytest.mark.parametrize("name", sorted(ALL))
async def test_a_run_ends_when_nobody_has_any_budget_left(name: str) -> None:
    one = {"model_calls": 1}
    strategy = {"type": name, **ALL[name]}
    result, records = await play(
        team({}, {}, {}, agents={1: one, 2: one, 3: one}, strategy=strategy)
    )

    assert max(calls(records).values()) == 1
    assert result.answer is not None
    if name in {"consensus", "debate", "group"}:
        assert (result.status, result.budget) == ("best_so_far", "model_calls")
    else:
        assert (result.status, result.budget) == ("answered", None)


async def test_the_time_of_an_agent_stops_its_turn_at_once() -> None:
    config = team({}, {"delay_s": 20}, {}, agents={2: {"wall_s": 0.3}})
    result, records = await play(config)

    assert result.status == "answered"
    assert result.duration_s < 5
    (told,) = events(records, BudgetReached)
    assert (told.agent_id, told.budget) == ("a2", "wall_s")
    assert [error.message for error in result.errors] == ["a2 has used its budget of 0.3 s"]


async def test_the_time_of_an_agent_is_that_of_all_its_turns() -> None:
    """Its first turn fits, its second one does not."""
    config = team({}, {"delay_s": 0.4}, agents={2: {"wall_s": 0.6}})
    result, records = await play(config)

    assert calls(records)["a2"] == 2
    assert [vote.voter for vote in result.votes] == ["a1"]
    assert result.duration_s < 0.4 + 0.4


@pytest.mark.parametrize(
    ("budget_s", "timeout_s", "budget", "message"),
    [
        (0.3, None, "wall_s", "the run has used its budget of 0.3 s"),
        (0.3, 10.0, "wall_s", "the run has used its budget of 0.3 s"),
        (10.0, 0.3, None, "the deadline passed"),
    ],
)
async def test_of_a_budget_of_time_and_a_timeout_the_shorter_one_ends_the_run(
    budget_s: float, timeout_s: float | None, budget: str | None, message: str
) -> None:
    config = team(
        {},
        {"delay_s": 20},
        budget={"wall_s": budget_s},
        timeout_settings={"orchestrator_timeout_seconds": timeout_s},
    )
    result, _ = await play(config)

    assert (result.status, result.budget, result.answer) == ("best_so_far", budget, "answer 1")
    assert result.message == message
    assert result.duration_s < 5


@pytest.mark.parametrize("given", ["budget", "timeout", "agents"])
async def test_a_time_that_is_up_at_once_ends_a_run_without_an_answer(given: str) -> None:
    short = 1e-9
    config = team(
        {"delay_s": 20},
        budget={"wall_s": short} if given == "budget" else {},
        timeout_settings={"orchestrator_timeout_seconds": short if given == "timeout" else 60},
        agents={1: {"wall_s": short}} if given == "agents" else {},
    )
    result, _ = await play(config)

    assert (result.status, result.answer) == ("failed", None)
    assert result.duration_s < 5


async def test_a_budget_of_a_team_within_a_team_stops_the_members_alone() -> None:
    """What one member has given before is the team's answer."""
    members = team({}, {"delay_s": 0.2}, {"delay_s": 0.4})["agents"]
    inner = {"type": "team", "agents": members, "strategy": {"type": "sequential"}}
    config = {
        "version": 1,
        "agents": [{"id": "t", "backend": inner}],
        "strategy": "single",
        "budget": {"model_calls": 2},
    }
    result, records = await play(config)

    assert (result.status, result.budget, result.answer) == (
        "best_so_far",
        "model_calls",
        "answer 2",
    )
    assert result.calls == sum(calls(records).values()) == 2


class Shielded:
    """Tells of its calls where no cancellation reaches it, and has calls in its own tasks."""

    def __init__(self) -> None:
        self.made = 0
        self.refused: list[str] = []

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await self._ask(emit)
            tasks.start_soon(self._ask, emit)
        return TurnResult(message=assistant(turn.question))

    async def _ask(self, emit: Emit) -> None:
        try:
            await emit(ModelCallStarted(model="m"))
        except LimitReached as error:
            self.refused.append(str(error))
            raise
        self.made += 1

    async def aclose(self) -> None:
        pass


async def test_an_agent_that_shields_itself_is_refused_its_call_too() -> None:
    agent = Shielded()
    built = Team(strategy="single", budget=Budget(model_calls=3)).add("a1", agent)
    result = await built.arun("Which?", keep=False)

    told = "the run has used its budget of 3 model calls"
    assert (agent.made, agent.refused) == (3, [told])
    assert (result.status, result.calls) == ("failed", 3)
    assert [(one.kind, one.message) for one in result.errors] == [("limit", told)]


@pytest.mark.parametrize("whose", ["run", "team"])
async def test_a_team_ends_in_the_time_that_a_budget_leaves_it(whose: str) -> None:
    """With what it has: that is the answer of the run."""
    members = team({"answers": ["in time"]}, {"delay_s": 20})["agents"]
    inner = {"type": "team", "agents": members, "strategy": {"type": "sequential"}}
    own = {"budget": {"wall_s": 1.5}}
    config = {
        "version": 1,
        "agents": [{"id": "t", "backend": inner, **(own if whose == "team" else {})}],
        "strategy": "single",
        **(own if whose == "run" else {}),
    }
    result, _ = await play(config)

    assert (result.status, result.answer) == ("answered", "in time")
    assert result.duration_s < 5


async def test_a_team_has_a_budget_of_its_own_for_each_turn() -> None:
    """Each of its turns gives what its first member said."""
    members = team({"answers": ["one", "two"]}, {}, {})["agents"]
    inner = {
        "type": "team",
        "agents": members,
        "strategy": {"type": "sequential"},
        "budget": {"model_calls": 1},
    }
    config = {
        "version": 1,
        "agents": [{"id": "t", "backend": inner}],
        "strategy": {"type": "group", "max_turns": 2},
    }
    result, _ = await play(config)

    assert (result.status, result.budget, result.calls) == ("answered", None, 2)
    assert [answer.text for answer in result.answers] == ["one", "two"]


async def test_a_team_in_code_has_budgets() -> None:
    built = Team(strategy={"type": "debate"}, budget=Budget(model_calls=2))
    built.add("a1", "scripted", budget={"tokens": 100_000}).add("a2", "scripted", answers=["Two."])
    result = await built.arun("Which?", keep=False)

    assert (result.status, result.budget, result.calls) == ("best_so_far", "model_calls", 2)


async def test_a_budget_that_is_none_is_refused_in_code_too() -> None:
    with pytest.raises(ConfigError, match=r"budget\.model_calls"):
        await Team(budget={"model_calls": 0}).add("a1", "scripted").arun("Which?")


class Shortest:
    """A strategy that takes no notice of budgets: the first answer of those that all gave."""

    def begin(self, seats: tuple[Seat, ...]) -> tuple[Left, tuple[Command, ...]]:
        turns = tuple(f"{seat.agent_id}.1" for seat in seats)
        return Left(turns=turns), tuple(
            StartTurn(turn_id=one, agent_id=one[:-2], purpose="answer") for one in turns
        )

    def step(self, state: Left, happening: Happening) -> tuple[Left, tuple[Command, ...]]:
        if isinstance(happening, DeadlinePassed):
            return state, (Finish(status="failed", message="too late"),)
        if not isinstance(happening, TurnHappening):
            return state, ()
        given = state.given
        if isinstance(happening, Answered):
            one = AnswerInfo(label="agent1", version=1, authors=("a1",), text=happening.text)
            given = given or (one,)
        left = tuple(one for one in state.turns if one != happening.turn_id)
        state = Left(turns=left, given=given)
        if left:
            return state, ()
        winner = AnswerRef(label="agent1", version=1)
        return state, (Finish(status="answered", winner=winner, answers=given),)

    @hookimpl
    def bridge_strategies(self) -> list[StrategySpec]:
        return [StrategySpec(name="shortest", summary="x", create=lambda _options: self)]


class Left(Frozen):
    turns: tuple[str, ...]
    given: tuple[AnswerInfo, ...] = ()


async def test_a_run_is_marked_also_where_its_strategy_takes_no_notice() -> None:
    built = Team(strategy="shortest", plugins=[Shortest()], budget={"model_calls": 1})
    result = await built.add("a1", "scripted").add("a2", "scripted").arun("Which?", keep=False)

    assert (result.status, result.budget, result.calls) == ("best_so_far", "model_calls", 1)
    assert result.message == "the run has used its budget of 1 model call"


async def test_the_deadline_still_ends_a_run_that_does_not_heed_its_budget_of_time() -> None:
    plugin = Shortest()
    built = Team(strategy="shortest", plugins=[plugin], budget={"wall_s": 0.2}, timeout_s=0.5)
    result = await built.add("a1", "scripted", delay_s=20).arun("Which?", keep=False)

    assert (result.status, result.message) == ("failed", "too late")
    assert result.duration_s < 5
