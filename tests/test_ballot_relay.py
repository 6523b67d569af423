"""A ballot that a team puts to its members: nothing of what may be chosen is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge import ballots
from massgen_bridge.agent import ShownAnswer, Turn
from massgen_bridge.messages import user
from massgen_bridge.strategy import Speaker, StartTurn
from massgen_bridge.testing.agents import collect
from massgen_bridge.testing.teams import team_and_abilities

SHOWN = (
    ShownAnswer(label="agent2", version=1, text="Two."),
    ShownAnswer(label="agent1", version=3, text="One."),
)
SPEAKERS = (Speaker(label="agent1"), Speaker(label="agent2"))
REASONS = "m0: It is the best one.; m1: It is the best one.; m2: It is the best one."
ASKED: dict[str, dict[str, Any]] = {
    "vote": {"purpose": "evaluate"},
    "vote or improve": {"purpose": "evaluate", "may_improve": True},
    "judge": {"purpose": "judge"},
    "rank": {"purpose": "rank"},
    "chair": {"purpose": "chair", "speakers": SPEAKERS},
    "chair or end": {"purpose": "chair", "speakers": SPEAKERS, "may_end": True},
}


def turn_of(**asked: Any) -> tuple[Turn, ballots.Paper]:
    """The turn of a team that votes, as the host makes it, and its ballot paper."""
    command = StartTurn(turn_id="t.1", agent_id="t", shown=SHOWN, **asked)
    draft = ballots.compose(command, user("Which?"), system="", way="schema", mark="0123abcd")
    assert draft.paper is not None
    turn = Turn(
        run_id="run-1",
        turn_id="t.1",
        agent_id="t",
        messages=draft.messages,
        output_schema=draft.output_schema,
        task=user("Which?"),
        shown=SHOWN,
    )
    return turn, draft.paper


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("way", ["tools", "schema", "text"])
def test_members_may_choose_from_what_the_team_may(asked: dict[str, Any], way: Any) -> None:
    turn, paper = turn_of(**asked)
    command = ballots.relayed(turn)
    assert command is not None
    draft = ballots.compose(command, user("Which?"), system="", way=way, mark="0123abcd")
    assert draft.paper == paper.model_copy(update={"way": way})
    assert command.shown == SHOWN


def test_a_question_and_another_schema_are_no_ballot() -> None:
    turn, _ = turn_of(purpose="evaluate")
    assert ballots.relayed(turn.model_copy(update={"output_schema": None})) is None
    other = {"type": "object", "properties": {"vote": {"type": "string"}}}
    assert ballots.relayed(turn.model_copy(update={"output_schema": other})) is None


@pytest.mark.anyio
async def test_a_team_ranks_as_its_members_do_together() -> None:
    orders = (["agent1", "agent2"], ["agent2", "agent1"], ["agent1", "agent2"])
    members = [
        {"id": f"m{n}", "backend": {"type": "scripted", "rankings": [order]}}
        for n, order in enumerate(orders)
    ]
    team, _ = team_and_abilities({"agents": members})
    turn, paper = turn_of(purpose="rank")
    result = await team.run(turn, collect())
    await team.aclose()

    assert result.structured == {"ranking": ["agent1", "agent2"], "reason": REASONS}
    cast = ballots.read(paper, result)
    assert isinstance(cast, ballots.RankingCast)
    assert [ref.version for ref in cast.ranking] == [3, 1]
