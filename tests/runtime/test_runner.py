"""Whole runs of scripted agents: the runner does what the strategy commands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from runtime.plans import new_host, of_type, plan_for, play

from massgen_bridge.agent import Turn
from massgen_bridge.errors import RateLimited
from massgen_bridge.events import (
    AnswerInfo,
    BallotSpoiled,
    DeadlinePassed,
    Happening,
    Record,
    RunFinished,
    RunStarted,
    TurnCancelled,
    TurnDone,
    TurnFailed,
    TurnLost,
    TurnStarted,
    Voted,
)
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import (
    system,
)
from massgen_bridge.strategies.consensus import Consensus, ConsensusState
from massgen_bridge.verdicts import AnswerVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio
SECOND = {"votes": ["agent2"]}


@pytest.mark.parametrize("ballot", ["auto", "tools", "schema", "text"])
async def test_three_agents_agree_in_six_calls_whatever_the_ballot(ballot: str) -> None:
    host = new_host()
    records: list[Record] = []
    plan = plan_for(host, *({**SECOND, "ballot": ballot} for _ in range(3)))
    result = await play(plan, host, records)

    assert (result.status, result.winner, result.answer) == ("answered", "a2", "answer of a2")
    assert result.calls == 6
    assert [vote.author for vote in result.votes] == ["a2"] * 3
    assert result.usage.output_tokens > 0


async def test_records_are_numbered_without_a_hole_and_framed() -> None:
    host = new_host()
    records: list[Record] = []
    await play(plan_for(host, SECOND, SECOND), host, records)

    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert isinstance(records[0].event, RunStarted)
    assert isinstance(records[-1].event, RunFinished)


async def test_each_turn_has_exactly_one_start_and_one_terminal_event() -> None:
    host = new_host()
    records: list[Record] = []
    await play(plan_for(host, {}, {"fails": "auth"}, {}), host, records)

    started = [r.turn_id for r in records if isinstance(r.event, TurnStarted)]
    ended = [
        r.turn_id for r in records if isinstance(r.event, TurnDone | TurnFailed | TurnCancelled)
    ]
    assert len(started) == 5
    assert sorted(started, key=str) == sorted(ended, key=str)


async def test_improving_by_each_way_reopens_the_question() -> None:
    for ballot in ("tools", "schema", "text"):
        host = new_host()
        improver = {
            "answers": ["first", "better"],
            "votes": ["improve", "agent1"],
            "ballot": ballot,
        }
        result = await play(plan_for(host, improver, {"votes": ["agent1"]}), host)

        assert result.answer == "better", ballot
        assert result.answers[0].version == 2


async def test_a_failed_agent_costs_only_itself_and_is_reported() -> None:
    host = new_host()
    result = await play(plan_for(host, {"fails": "auth"}, SECOND, SECOND), host)

    assert (result.status, result.winner) == ("answered", "a2")
    assert [(error.agent_id, error.kind) for error in result.errors] == [("a1", "auth")]


async def test_without_any_answer_the_run_fails() -> None:
    host = new_host()
    result = await play(plan_for(host, {"fails": "auth"}, {"fails": "server"}), host)

    assert (result.status, result.answer, result.winner) == ("failed", None, None)


async def test_an_invalid_vote_gets_one_repair_and_then_abstains() -> None:
    host = new_host()
    records: list[Record] = []
    stubborn = {"votes": ["agent9"], "ballot": "schema"}
    result = await play(plan_for(host, stubborn, SECOND), host, records)

    assert len(of_type(records, BallotSpoiled)) == 2
    assert [vote.voter for vote in result.votes] == ["a2"]


async def test_the_deadline_ends_a_run_with_the_best_so_far_and_stops_the_others() -> None:
    host = new_host()
    records: list[Record] = []
    plan = plan_for(host, SECOND, {**SECOND, "delay_s": 30}, deadline_s=1)
    result = await play(plan, host, records)

    assert (result.status, result.winner) == ("best_so_far", "a1")
    assert len(of_type(records, DeadlinePassed)) == 1
    assert len(of_type(records, TurnCancelled)) == 1
    assert isinstance(records[-1].event, RunFinished)


async def test_a_cancelled_run_is_recorded_with_what_it_has() -> None:
    host = new_host()
    records: list[Record] = []
    plan = plan_for(host, {"delay_s": 30})
    with anyio.move_on_after(1) as scope:
        await play(plan, host, records)

    assert scope.cancelled_caught
    finished = of_type(records, RunFinished)
    assert [event.result.status for event in finished] == ["cancelled"]
    assert len(of_type(records, TurnCancelled)) == 1


# --- hooks ----------------------------------------------------------------------------------------


class Prompter:
    @hookimpl
    def bridge_turn_prepare(self, turn: Turn) -> Turn:
        return turn.model_copy(update={"messages": (system("Rhyme."), *turn.messages)})


async def test_a_hook_can_change_a_turn_and_the_record_shows_what_the_agent_got() -> None:
    host = new_host(Prompter())
    records: list[Record] = []
    await play(plan_for(host, {}), host, records)

    assert of_type(records, TurnStarted)[0].turn.messages[0].text == "Rhyme."


class Breaker:
    def __init__(self, error: Exception) -> None:
        self._error = error

    @hookimpl
    def bridge_turn_prepare(self, turn: Turn) -> Turn:
        assert turn.turn_id == "a1.1"
        raise self._error


@pytest.mark.parametrize(
    ("error", "kind"), [(RuntimeError("no"), "crash"), (RateLimited("no"), "rate_limit")]
)
async def test_a_hook_that_raises_loses_the_turn_and_is_named(error: Exception, kind: str) -> None:
    host = new_host(Breaker(error))
    records: list[Record] = []
    result = await play(plan_for(host, {}), host, records)

    assert result.status == "failed"
    (lost,) = of_type(records, TurnLost)
    assert lost.kind == kind
    assert "'plugin0'" in lost.message
    (told,) = result.errors
    assert (told.turn_id, told.kind, told.message) == ("a1.1", kind, lost.message)


class Censor:
    def __init__(self) -> None:
        self.seen: list[str] = []

    @hookimpl
    def bridge_answer(self, turn: Turn, agent_id: str, text: str) -> AnswerVerdict:
        assert turn.task is not None
        self.seen.append(f"{agent_id} {turn.turn_id} {turn.task.text}")
        return AnswerVerdict(accept="rude" not in text, reason="be polite")


async def test_a_rejected_answer_is_asked_for_again_with_the_reason() -> None:
    censor = Censor()
    host = new_host(censor)
    records: list[Record] = []
    result = await play(plan_for(host, {"answers": ["rude", "kind"]}), host, records)

    assert result.answer == "kind"
    assert censor.seen == ["a1 a1.1 Which?", "a1 a1.2 Which?"]
    repair = of_type(records, TurnStarted)[1]
    assert "be polite" in repair.turn.messages[-1].text


class LastWins:
    @hookimpl
    def bridge_tie_break(self, question: str, candidates: Sequence[AnswerInfo]) -> str:
        assert question == "Which?"
        return candidates[-1].label


async def test_a_tie_goes_to_the_order_of_the_seats_unless_a_plugin_decides() -> None:
    scripts = ({"votes": ["agent1"]}, {"votes": ["agent2"]})
    plain, decided = new_host(), new_host(LastWins())

    by_order = await play(plan_for(plain, *scripts), plain)
    by_hook = await play(plan_for(decided, *scripts), decided)
    assert (by_order.winner, by_order.tie_broken_by) == ("a1", "order")
    assert (by_hook.winner, by_hook.tie_broken_by) == ("a2", "plugin0")


async def test_votes_are_recorded_with_the_version_seen() -> None:
    host = new_host()
    records: list[Record] = []
    await play(plan_for(host, SECOND, SECOND), host, records)

    assert {(v.choice.label, v.choice.version) for v in of_type(records, Voted)} == {("agent2", 1)}


class Broken(Consensus):
    """A strategy that breaks down in the middle."""

    def step(self, state: ConsensusState, happening: Happening) -> Any:
        raise LookupError(f"no idea what {happening.type} means to {len(state.members)}")


async def test_a_strategy_that_breaks_ends_the_run_and_keeps_what_was_paid_for() -> None:
    host = new_host()
    records: list[Record] = []
    plan = replace(plan_for(host, {}, SECOND), strategy=Broken())
    with pytest.raises(LookupError):
        await play(plan, host, records)

    result = of_type(records, RunFinished)[0].result
    assert (result.status, result.calls) == ("failed", 2)
    assert "no idea" in result.message
