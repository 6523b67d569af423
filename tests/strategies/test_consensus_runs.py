"""Consensus in real runs: what it costs, what it waits for, and what agents are told again."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from massgen_bridge import Team, run
from massgen_bridge.agent import Capabilities, Turn, TurnResult
from massgen_bridge.events import TextDelta
from massgen_bridge.messages import ToolCall, assistant
from massgen_bridge.runtime.course import past_of
from massgen_bridge.strategies.consensus import Consensus, ConsensusOptions

if TYPE_CHECKING:
    from massgen_bridge.agent import Emit
    from massgen_bridge.events import Record, RunResult

NAMES = ("ada", "bob", "cyd")


def config(*delays: float, **agents: dict[str, Any]) -> dict[str, Any]:
    """Agents that answer and vote for the second; what else there is to one, under its name."""
    listed = []
    for name, delay in zip(NAMES, delays or (0.0,) * 3, strict=True):
        own = dict(agents.get(name, {}))
        backend: dict[str, Any] = {
            "type": "scripted",
            "answers": [f"by {name}"],
            "votes": ["agent2"],
        }
        backend |= {"delay_s": delay, **own.pop("backend", {})}
        listed.append({"id": name, "backend": backend, **own})
    return {"version": 1, "agents": listed}


def watched(data: dict[str, Any], **strategy: Any) -> tuple[RunResult, list[Record]]:
    records: list[Record] = []
    if strategy:
        data = {**data, "strategy": {"type": "consensus", **strategy}}
    result = run(data, "Which?", keep=False, on_record=records.append)
    return result, records


def kinds(records: list[Record]) -> Counter[str]:
    return Counter(record.event.type for record in records)


def test_equal_agents_take_two_calls_each_in_twenty_runs_alike() -> None:
    results = [run(config(), "Which?", keep=False) for _ in range(20)]

    assert {result.calls for result in results} == {6}
    assert {(result.winner, result.answer) for result in results} == {("bob", "by bob")}
    assert {len(result.votes) for result in results} == {3}


def test_no_vote_is_thrown_away_when_agents_differ_in_speed() -> None:
    result, records = watched(config(0.03, 0.05, 0.08))

    assert result.calls == 6
    assert kinds(records)["voted"] == len(result.votes) == 3
    assert kinds(records)["turn_cancelled"] == 0


def test_an_agent_without_a_key_costs_one_call_and_delays_nobody() -> None:
    result, _ = watched(config(cyd={"backend": {"fails": "auth"}}))

    assert result.status == "answered"
    assert result.calls == 5
    assert [error.agent_id for error in result.errors] == ["cyd"]


def test_an_agent_that_hangs_ends_at_its_idle_limit() -> None:
    started = time.monotonic()
    result, _ = watched(config(0.0, 0.0, 60.0, cyd={"limits": {"idle_s": 0.3}}))

    assert result.status == "answered"
    assert len(result.votes) == 2
    assert time.monotonic() - started < 20


def test_an_agent_that_hangs_is_left_behind_once_the_quorum_is_there() -> None:
    result, records = watched(config(0.0, 0.0, 60.0), quorum=2, straggler_idle_s=0.2)

    assert (result.status, result.winner, len(result.votes)) == ("answered", "bob", 2)
    assert kinds(records)["turn_idle"] == 1
    assert not result.errors


def test_the_same_text_of_all_ends_without_a_vote() -> None:
    same: dict[str, Any] = {"backend": {"answers": ["42"]}}
    result, _ = watched(config(ada=same, bob=same, cyd=same))

    assert (result.calls, result.answer) == (3, "42")
    assert result.answers[0].authors == NAMES


def test_when_all_fail_each_reason_is_told() -> None:
    broken: dict[str, Any] = {"backend": {"fails": "auth"}}
    result, _ = watched(config(ada=broken, bob=broken, cyd=broken))

    assert result.status == "failed"
    assert result.answer is None
    assert sorted(error.agent_id for error in result.errors) == list(NAMES)
    assert {error.kind for error in result.errors} == {"auth"}


def test_roles_and_weights_come_from_the_configuration() -> None:
    data = config(
        ada={"roles": ["propose"]},
        cyd={"roles": ["vote"], "weight": 2, "backend": {"votes": ["agent1"]}},
    )
    result, records = watched(data)

    assert (result.winner, result.calls) == ("ada", 4)
    assert [(vote.voter, vote.weight) for vote in result.votes] == [("bob", 1.0), ("cyd", 2.0)]
    assert [answer.score for answer in result.answers] == [2.0, 1.0]
    assert kinds(records)["answer_listed"] == 2


@pytest.mark.parametrize("way", ["tools", "schema", "text"])
def test_an_agent_breaks_a_tie_by_any_way_to_vote(way: str) -> None:
    data = config(
        ada={"backend": {"votes": ["agent1"]}}, cyd={"roles": ["break_ties"], "ballot": way}
    )
    result, _ = watched(data)

    assert (result.winner, result.tie_broken_by) == ("bob", "cyd")
    assert result.status == "answered"


def test_the_winner_presents_and_what_was_voted_for_is_kept() -> None:
    data = config(bob={"backend": {"answers": ["by bob", "as presented"]}})
    result, _ = watched(data, presentation="always")

    assert (result.answer, result.presented, result.calls) == ("as presented", True, 7)
    assert [answer.text for answer in result.answers] == ["by ada", "by bob", "by cyd"]


# --- what an agent is told that goes on -----------------------------------------------------------


class Improver:
    """Gives a better answer once, and votes for its own from then on."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        del emit
        self.turns.append(turn)
        if not turn.shown:
            return TurnResult(message=assistant("first"))
        if len(self.turns) == 2:
            return TurnResult(message=assistant("better"))
        return await voted(turn, "agent1")

    async def aclose(self) -> None: ...


class Interrupted(Improver):
    """Has begun to speak of the answers when it is stopped, and votes then."""

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.turns.append(turn)
        if not turn.shown:
            return TurnResult(message=assistant("another"))
        if len(self.turns) == 2:
            await emit(TextDelta(text="I think that"))
            await anyio.sleep_forever()
        return await voted(turn, "agent1")


async def voted(turn: Turn, label: str) -> TurnResult:
    call = ToolCall(call_id="c", name="vote", arguments={"label": label, "reason": "clear"})
    await turn.call_tool(call)
    return TurnResult(message=assistant(""), stop_reason="tool")


def gone_on(*, history: bool) -> tuple[Improver, Interrupted, list[Record]]:
    able = Capabilities(tools=True, history=history)
    ada, bob = Improver(), Interrupted()
    records: list[Record] = []
    team = Team(strategy={"type": "consensus"})
    team.add("ada", ada, capabilities=able)
    team.add("bob", bob, capabilities=able)
    result = team.run("Which?", keep=False, on_record=records.append)
    assert (result.winner, result.answer, len(result.votes)) == ("ada", "better", 2)
    return ada, bob, records


def test_an_agent_goes_on_from_what_it_was_asked_and_said() -> None:
    ada, bob, _ = gone_on(history=True)

    first, again = ada.turns[1:3]
    assert again.messages[:-1] == (*first.messages, assistant("better"))
    assert "agent1" in again.messages[-1].text
    assert "better" in again.messages[-1].text
    assert "another" not in again.messages[-1].text

    first, again = bob.turns[1:3]
    assert again.messages[:-1] == (*first.messages, assistant("I think that"))
    assert again.messages[-1].text.startswith("Your reply was stopped")


def test_an_agent_without_history_is_told_what_is_new() -> None:
    ada, bob, _ = gone_on(history=False)

    for turn in (ada.turns[2], bob.turns[2]):
        assert len(turn.messages) == 1
        assert "another" in turn.messages[0].text
        assert "New since you were last asked: agent1." in turn.messages[0].text


def test_what_is_gone_on_from_stands_in_the_journal() -> None:
    ada, bob, records = gone_on(history=True)
    past = past_of(records, Consensus(ConsensusOptions()))

    for agent in (ada, bob):
        asked, again = agent.turns[1:3]
        told = past.histories.of(asked.turn_id)
        assert told is not None
        assert told.before == again.messages[:-1]
    # Wherever the records break off, what was stopped is not taken up again.
    for length in range(1, len(records)):
        course = past_of(records[:length], Consensus(ConsensusOptions())).course
        assert course.finish is not None or course.open
        assert "bob.2" not in course.open or "bob.3" not in course.known
    follows = [r.event.follows for r in records if r.event.type == "turn_started"]
    assert follows == [None, None, None, None, "ada.2", "bob.2"]
