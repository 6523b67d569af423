"""How many model calls a run takes, by its strategy."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from massgen_bridge.events import Seat
from massgen_bridge.strategies.designs import ballots_of, most_ballots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_USUAL = Seat(agent_id="", label="", kind="")

__all__ = ["Expected", "expected_calls", "team_turn", "with_teams"]


class Expected(NamedTuple):
    """How many model calls a run takes, one for each turn of an agent."""

    least: int
    usual: int
    most: int


def expected_calls(
    strategy: str, options: Mapping[str, Any], ways: Sequence[str], seats: Sequence[Seat] = ()
) -> Expected | None:
    """How many model calls a run takes, if nothing is retried and no tool is called.

    An agent whose answer or vote is refused may try once more; that is in the most.

    Args:
        strategy: Its name.
        options: Its options.
        ways: How each agent votes.
        seats: The roles and abilities of the agents; by default each proposes and votes.

    Returns:
        None for a strategy that a plugin brings.
    """
    agents = len(ways)
    match strategy:
        case "single":
            return Expected(1, 1, 2 * agents)
        case "consensus":
            return _consensus(options, ways, seats or [_USUAL] * agents)
        case "sequential":
            least = 1 if options["on_failure"] == "stop" else agents
            return Expected(least, agents, 2 * agents)
        case "map_reduce":
            return Expected(agents - 1, agents, 2 * agents)
        case "debate":
            return _debate(options, agents)
        case "group":
            return _group(options, agents)
    return None


def team_turn(strategy: str, answer: Expected, voters: int) -> Expected:
    """How many model calls a turn of a team takes.

    Args:
        strategy: That of the run around it.
        answer: What an answer of the team takes.
        voters: How many of its members vote.
    """
    if strategy != "consensus":  # there, half of the turns are votes
        return answer
    return Expected(
        min(answer.least, voters), ceil((answer.usual + voters) / 2), max(answer.most, 2 * voters)
    )


def with_teams(turns: Expected, teams: Sequence[Expected], agents: int) -> Expected:
    """How many model calls so many turns take, where some of the agents are teams."""
    if not teams:
        return turns
    each = [*teams, *[Expected(1, 1, 1)] * (agents - len(teams))]
    return Expected(
        turns.least * min(one.least for one in each),
        ceil(turns.usual * sum(one.usual for one in each) / agents),
        turns.most * max(one.most for one in each),
    )


def _consensus(options: Mapping[str, Any], ways: Sequence[str], seats: Sequence[Seat]) -> Expected:
    both = [{"propose", "vote"} <= set(seat.roles) for seat in seats]
    proposers = [seat for seat in seats if "propose" in seat.roles]
    voters = [
        (way, improves)
        for seat, way, improves in zip(seats, ways, both, strict=True)
        if "vote" in seat.roles
    ]
    always = options["presentation"] == "always"
    able = [options["presentation"] == "auto" and seat.has_tools for seat in proposers]
    surely, maybe = always or all(able), always or any(able)
    if len(proposers) == 1:
        return Expected(1 + surely, 1 + surely, 2 + maybe)
    # A round without a better answer is the last one.
    better = sum(both) * (options["max_answers_per_agent"] - 1)
    rounds = min(options["max_rounds"], 1 + better)
    # By schema, a better answer is promised in one turn and written in another.
    promised = min(rounds, options["max_rounds"] - 1) if better else 0
    if options["quorum"] != "all" and options["straggler_idle_s"] is not None:
        # Each that was left behind can come back with an answer.
        rounds += len(proposers) - 1
    most = 2 * len(proposers) + sum(
        2 * rounds + (promised if way == "schema" and improves else 0) for way, improves in voters
    )
    usual = len(proposers) + len(voters)
    size = options["ballot_size"]
    if size is not None and len(proposers) > size and voters:
        counts = (len(proposers), len(voters), size)
        usual = len(proposers) + ballots_of(*counts)
        # Equal answers merge, and what is left may fit one ballot.
        most = max(most, 2 * (len(proposers) + most_ballots(*counts)))
    ties = sum("break_ties" in seat.roles for seat in seats)
    return Expected(len(proposers) + surely, usual + surely, most + 2 * ties + maybe)


def _debate(options: Mapping[str, Any], agents: int) -> Expected:
    judge = 0 if options["judge"] is None else 1
    debaters = agents - judge
    if debaters == 1:  # its answer stands alone
        return Expected(1, 1, 2)
    positions = debaters * (1 + options["rounds"])
    # All say the same at once; or the judge fails, and those who debate vote.
    return Expected(debaters, positions + (judge or debaters), 2 * (positions + judge + debaters))


def _group(options: Mapping[str, Any], agents: int) -> Expected:
    turns = options["max_turns"]
    if options["chair"] is None:
        least = turns if options["stop_phrase"] is None else 1
        return Expected(least, turns, 2 * turns)
    # A lone speaker's first turn needs no decision.
    named = turns - (agents - 1 == 1)
    least = 2 + named if turns == 1 else 4 - (turns - named)
    return Expected(least, turns + named + 1, 2 * (turns + named + 1))
