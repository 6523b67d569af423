"""What teams did in their turns: their members' answers and votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.agent import AnswerRef
from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import count, listing, seconds
from massgen_bridge.export._markup import Html, el, join
from massgen_bridge.export._words import answer_name, name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.events import AnswerInfo, VoteInfo
    from massgen_bridge.export.model import RunExport, TeamWork, TurnPart

__all__ = ["team_votes", "teams", "title_of", "with_teams"]

_SAID = 300


def with_teams(run: RunExport) -> Iterator[tuple[TurnPart, TeamWork]]:
    """The turns of agents that are teams, each with what the team did."""
    for turn in run.turns:
        if turn.team is not None:
            yield turn, turn.team


def title_of(turn: TurnPart, team: TeamWork) -> str:
    """A team's turn in one line."""
    members = listing([name(seat.agent_id) for seat in team.seats])
    how = "voted" if team.purpose == "vote" else f"worked by {one_line(team.strategy)}"
    took = seconds(turn.end_s - turn.start_s)
    return f"{name(turn.agent_id)} ({members}) {how} in round {turn.round}, {took}"


def team_votes(run: RunExport, team: TeamWork) -> Iterator[tuple[str, str, str]]:
    """Each vote within a team: the member, whose answer it is for, and why."""
    for vote in team.result.votes if team.result else ():
        yield name(vote.voter), _choice(run, team, vote), clip(one_line(vote.reason), _SAID)


def _choice(run: RunExport, team: TeamWork, vote: VoteInfo) -> str:
    """Whose answer a vote is for: a member's, or in a poll somebody's in the run around."""
    if team.purpose == "vote":
        if any(one.label == vote.label for one in run.answers):
            return answer_name(run, AnswerRef(label=vote.label, version=vote.version))
        return one_line(vote.label)
    return name(vote.author)


def teams(run: RunExport) -> Html | None:
    """What each team did in each of its turns."""
    parts = [_team(run, turn, team) for turn, team in with_teams(run)]
    return join(parts) if parts else None


def _team(run: RunExport, turn: TurnPart, team: TeamWork) -> Html:
    result = team.result
    ballots = [
        el("li", el("strong", voter), f" for {choice}{f': {why}' if why else ''}")
        for voter, choice, why in team_votes(run, team)
    ]
    # In a poll, the answers are those of the run around it, which shows them itself.
    given = () if result is None or team.purpose == "vote" else result.answers
    return el(
        "details",
        el("summary", title_of(turn, team)),
        *(_answer(one) for one in given),
        el("ul", *ballots) if ballots else None,
        el("p", _end(team), class_="note"),
    )


def _answer(one: AnswerInfo) -> Html:
    whose = listing([name(author) for author in one.authors] or [name(one.label)])
    votes = f", {count(one.votes, 'vote')}" if one.votes else ""
    return join((el("p", el("strong", whose), votes), el("pre", one.text, dir="auto")))


def _end(team: TeamWork) -> str:
    if team.result is None:
        return f"It came to no end. Its run is {team.run_id}."
    why = f" ({one_line(team.result.message)})" if team.result.message else ""
    calls = count(team.result.calls, "model call")
    return f"{team.result.status}{why}, {calls}. Its run is {team.run_id}."
