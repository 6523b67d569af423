"""How an exported run is put into words: the same on the page and in Markdown."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import count, dollars, listing, seconds, tie_breaker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.agent import AnswerRef
    from massgen_bridge.events import Cost
    from massgen_bridge.export.model import GivenAnswer, RunExport, TurnPart, VoteCast, Wait

__all__ = [
    "answer_name",
    "authors",
    "before",
    "by_answer",
    "config_name",
    "cost",
    "dissent_title",
    "figures",
    "moment",
    "name",
    "options",
    "outcome",
    "retried",
    "tie",
    "verdict",
    "voter_of",
]

_NAME = 40
_STATUS = {
    "answered": "Answered",
    "best_so_far": "Best so far",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "unfinished": "Not finished",
}


def name(agent_id: str) -> str:
    """An agent's id, short enough for a table."""
    return clip(one_line(agent_id), _NAME) or "?"


def voter_of(vote: VoteCast) -> str:
    """Who voted, and what the vote weighs where that is not 1."""
    return name(vote.voter) if vote.weight == 1 else f"{name(vote.voter)} (weight {vote.weight:g})"


def authors(agent_ids: Iterable[str], label: str) -> str:
    """Who gave an answer."""
    names = [name(one) for one in agent_ids]
    return listing(names or [name(label)])


def before(run: RunExport) -> str:
    """What is told of the conversation before the question."""
    if run.forgotten:
        return f"The conversation before, without its {count(run.forgotten, 'oldest turn')}"
    return "The conversation before"


def answer_name(run: RunExport, ref: AnswerRef | GivenAnswer | VoteCast) -> str:
    """An answer by its authors, with its version where there are several of the label."""
    found = next((a for a in run.answers if (a.label, a.version) == (ref.label, ref.version)), None)
    whose = found.authors if found else getattr(ref, "authors", ())
    several = sum(1 for a in run.answers if a.label == ref.label) > 1 or ref.version > 1
    return authors(whose, ref.label) + (f", version {ref.version}" if several else "")


def by_answer(votes: Iterable[VoteCast]) -> dict[tuple[str, int], list[VoteCast]]:
    """Votes by the answer that they are for, the most first."""
    camps: dict[tuple[str, int], list[VoteCast]] = {}
    for vote in votes:
        camps.setdefault((vote.label, vote.version), []).append(vote)
    return dict(sorted(camps.items(), key=lambda item: -len(item[1])))


def config_name(run: RunExport) -> str | None:
    """The name of the configuration; where it lies is nobody's business."""
    return re.split(r"[/\\]", run.config_file)[-1] if run.config_file else None


def cost(value: Cost) -> str:
    """Dollars, as far as they are known."""
    return dollars(value.usd, value.unpriced_calls)


def moment(unix_time: float) -> str:
    """A moment, in UTC: the same wherever the run is exported."""
    return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def options(run: RunExport) -> str:
    """What the strategy was set to, as far as it was set to anything."""
    known = {
        key: value for key, value in run.strategy_options.items() if value not in (None, [], {})
    }
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in known.items()
    )


def outcome(turn: TurnPart) -> str:
    """What came of a turn, in a few words."""
    text = {"promised": "promised a better answer", "unfinished": "never ended"}
    return text.get(turn.outcome, turn.outcome)


def verdict(run: RunExport) -> str:
    """How the run ended, in a sentence."""
    winner = run.winner
    if winner is None:
        why = f": {one_line(run.message)}" if run.message else ""
        if run.status == "unfinished":
            why = ": it still went on when this was written, or was broken off"
        return f"{_STATUS[run.status]}{why}."
    who = authors(winner.authors, winner.label)
    text = f"{who} won" if run.votes else f"{who} gave the answer"
    if run.votes and run.votes[0].ranking:
        text += f", first on {winner.votes} of {count(len(run.votes), 'ballot')}"
        text += f" with {winner.score:.2f} points" if winner.score is not None else ""
    elif run.votes:
        is_united = winner.votes == len(run.votes) > 1
        all_of_them = f" with all {len(run.votes)} votes"
        some = f" with {winner.votes} of {count(len(run.votes), 'vote')}"
        text += all_of_them if is_united else some
    if len(winner.authors) > 1:
        text += "; they gave the same answer"
    if run.status == "best_so_far":
        text += f"; it is the best so far: {one_line(run.message or 'the run was ended early')}"
    if winner.stop_reason != "end":
        text += f"; the answer is not whole, since its model stopped ({winner.stop_reason})"
    return f"{text}."


def tie(run: RunExport) -> str | None:
    """Who broke a tie, in a sentence."""
    if run.tie is None:
        return None
    among = ""
    if len(run.tie.tied) > 1:
        among = f" between {listing(answer_name(run, one) for one in run.tie.tied)}"
    by = tie_breaker({agent.seat.agent_id for agent in run.agents}, run.tie.by)
    return f"The tie{among} was broken by {by or name(run.tie.by)}."


def dissent_title(run: RunExport) -> str:
    """What the section on dissent is called: after a tie nobody was a minority."""
    most = max((len(one.votes) for one in run.dissent), default=0)
    others = run.winner is not None and most >= run.winner.votes > 0
    return f"What the {'others' if others else 'minority'} saw differently"


def figures(run: RunExport) -> list[tuple[str, str]]:
    """The figures of a run, each with what it counts."""
    rounds = sum(1 for one in run.rounds if one.votes)
    votes = [(str(rounds), "round of votes" if rounds == 1 else "rounds of votes")]
    return [
        (str(len(run.agents)), "agent" if len(run.agents) == 1 else "agents"),
        (str(len(run.answers)), "answer" if len(run.answers) == 1 else "answers"),
        *(votes if rounds else ()),
        (seconds(run.duration_s), "duration"),
        (f"{run.calls:,}", "model call" if run.calls == 1 else "model calls"),
        (f"{run.usage.input_tokens + run.usage.output_tokens:,}", "tokens"),
        (cost(run.cost), "cost"),
    ]


def retried(wait: Wait) -> str:
    """What an agent did after a failed model call, and after which sort of failure."""
    failed = f"(attempt {wait.attempt} failed, {wait.kind})"
    if wait.fallback is not None:
        return f"asked its fallback {name(wait.fallback)} instead {failed}"
    return f"called its model again after {seconds(wait.end_s - wait.start_s)} {failed}"
