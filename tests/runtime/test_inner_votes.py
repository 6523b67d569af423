"""How teams vote where the team around them does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from runtime.teams import config, kept, of, play, scripted, team

import massgen_bridge
from massgen_bridge import Team
from massgen_bridge.events import InnerRunStarted, TurnStarted

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge import RunResult

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))


def ballot(*voters: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """Two agents with an answer, and a team of voters that come to one, too."""
    return config(
        scripted("ann", votes=["agent1"]),
        scripted("ben", votes=["agent2"]),
        team("jury", *voters, **keys),
    )


def vote_of(result: RunResult, voter: str = "jury") -> tuple[str, str]:
    return next((one.label, one.reason) for one in result.votes if one.voter == voter)


async def test_a_team_votes_as_most_of_its_members_do_each_in_its_way() -> None:
    given = ballot(
        scripted("tool", votes=["agent1", "agent2"], reason="by tool"),
        scripted("schema", ballot="schema", votes=["agent1", "agent2"], reason="by schema"),
        scripted("text", ballot="text", votes=["agent1", "agent1"], reason="by text"),
    )
    result, records = await play(given)

    assert vote_of(result) == ("agent2", "tool: by tool; schema: by schema")
    assert result.winner == "ben"
    poll = next(one for one in of(records, InnerRunStarted) if one.purpose == "vote")
    inner = await kept(poll.run_id)
    ways = {event.turn.agent_id: event.ballot for event in of(inner, TurnStarted)}
    assert ways == {"tool": "tools", "schema": "schema", "text": "text"}


async def test_of_equal_camps_the_first_members_decides() -> None:
    given = ballot(
        scripted("one", votes=["agent1", "agent2"]), scripted("two", votes=["agent1", "agent1"])
    )
    result, _ = await play(given)
    assert vote_of(result)[0] == "agent2"


async def test_a_team_improves_where_most_of_its_members_want_to() -> None:
    given = config(
        scripted("ann", votes=["agent1", "agent2"]),
        team(
            "jury",
            scripted("one", answers=["first", "better"], votes=["improve", "agent2"]),
            strategy="single",
        ),
        scripted("ben", votes=["agent1", "agent2"]),
    )
    result, _ = await play(given)
    assert (result.winner, result.answer) == ("jury", "better")


async def test_a_ballot_that_no_member_fills_in_is_spoiled() -> None:
    async def prose(question: str) -> str:
        return "I like them all." if "ballot" in question else "an answer"

    inner = Team(strategy="single").add("poet", prose)
    outer = Team().add("ann", "scripted").add("jury", inner).add("ben", "scripted")
    result, records = await play(outer)

    assert result.winner == "ann"
    assert "jury" not in {vote.voter for vote in result.votes}
    problems = [one.problem for one in of(records, massgen_bridge.BallotSpoiled)]
    assert problems
    assert all("the team has no vote" in one and "poet: exactly one" in one for one in problems)


async def test_a_team_may_chair_a_conversation() -> None:
    given = config(
        scripted("ann", answers=["hello"]),
        team("chairs", scripted("c1", votes=["agent1", "end"]), strategy="single"),
        strategy={"type": "group", "chair": "chairs", "max_turns": 3},
    )
    result, records = await play(given)

    assert result.status == "answered"
    assert [one.label for one in of(records, massgen_bridge.SpeakerChosen)] == ["agent1", None]
