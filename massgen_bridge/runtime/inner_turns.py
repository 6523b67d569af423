"""What a team is asked in one turn of the run around it, and what it gives."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from massgen_bridge import ballots
from massgen_bridge.agent import TurnResult
from massgen_bridge.errors import AgentCrashed, ProtocolFailed, error_of_kind
from massgen_bridge.events import Conversation, Exchange, OuterTurn
from massgen_bridge.messages import (
    MEDIA_BY_NAME,
    MediaPart,
    Message,
    TextPart,
    assistant,
    structured_value,
    with_media,
)
from massgen_bridge.runtime.rewrite import media_name
from massgen_bridge.strategies.poll import POLL, Poll, majority_of, order_of

if TYPE_CHECKING:
    from massgen_bridge.agent import Turn, Usage
    from massgen_bridge.events import RunResult
    from massgen_bridge.messages import JsonValue
    from massgen_bridge.runtime.plan import PlannedAgent
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.strategy import StartTurn

__all__ = [
    "answer_of",
    "conversation_of",
    "deadline_within",
    "for_turn",
    "question_of",
    "vote_of",
]

# So long before its turn would be cut off, a team has to come to an end by itself: a tenth of the
# turn, within bounds.
_SHARE = 0.1
_SHORTEST_MARGIN_S = 0.25
_LONGEST_MARGIN_S = 1.0
_SHORTEST_S = 0.001


def for_turn(prepared: Prepared, turn: Turn, asked: StartTurn | None, spent_s: float) -> Prepared:
    """What the team does in one turn: its own strategy, or a poll where it is to choose."""
    plan = prepared.plan
    within = OuterTurn(run_id=turn.run_id, agent_id=turn.agent_id, turn_id=turn.turn_id)
    plan = replace(
        plan,
        within=within,
        deadline_s=deadline_within(plan.deadline_s, turn.limits.wall_s, -spent_s),
        agents=tuple(_told(agent, turn) for agent in plan.agents),
    )
    if asked is not None:
        about = asked.model_dump(
            mode="json",
            include={"purpose", "shown", "speakers"},
            context={MEDIA_BY_NAME: media_name},
        )
        plan = replace(plan, strategy=Poll(asked), strategy_name=POLL, strategy_options=about)
    return replace(prepared, plan=plan)


def _told(agent: PlannedAgent, turn: Turn) -> PlannedAgent:
    """A member, told what the team as a whole is told before every task."""
    system = [message.text for message in turn.messages if message.role == "system"]
    own = [agent.system_message] if agent.system_message else []
    return replace(agent, system_message="\n\n".join((*system, *own)))


def deadline_within(
    own_s: float | None, turn_s: float | None, active_s: float = 0.0
) -> float | None:
    """The end of an inner run: its own, or in time before that of its turn.

    Args:
        own_s: How long it may be active in all.
        turn_s: How long its turn may take.
        active_s: How long it was active before the turn began; negative where it begins later.
    """
    if turn_s is None:
        return own_s
    margin_s = max(_SHORTEST_MARGIN_S, min(_LONGEST_MARGIN_S, turn_s * _SHARE))
    left = max(_SHORTEST_S, active_s + turn_s - min(turn_s / 2, margin_s))
    return left if own_s is None else min(own_s, left)


def question_of(turn: Turn, asked: StartTurn | None) -> Message:
    """What the team is asked: the last message of the user, and what was said before it."""
    if asked is not None and turn.task is not None:
        return turn.task  # the ballot itself is put together for each member
    said = _said(turn)[turn.earlier :]
    last = max((i for i, one in enumerate(said) if one.role == "user"), default=None)
    parts = said[last].parts if last is not None else ()
    earlier = [f"{one.role}: {one.text}" for one in said[:last] if one.text]
    media = [part for one in said[:last] for part in one.parts if isinstance(part, MediaPart)]
    if earlier or media:
        before = "What was said before:\n\n" + "\n\n".join(earlier)
        parts = (TextPart(text=before), *media, TextPart(text="\n\nNow:\n\n"), *parts)
    if turn.output_schema is not None:
        wish = "\n\nReply with JSON alone that satisfies this schema:\n"
        parts = (*parts, TextPart(text=wish + json.dumps(turn.output_schema)))
    return Message(role="user", parts=parts)


def conversation_of(turn: Turn) -> Conversation | None:
    """The conversation with the user, which the members are shown as any agent is."""
    told = _said(turn)[: turn.earlier]
    earlier = tuple(
        Exchange(run_id=turn.run_id, question=question, answer=answer.text)
        for question, answer in zip(told[::2], told[1::2], strict=False)
    )
    return Conversation(earlier=earlier) if earlier else None


def _said(turn: Turn) -> list[Message]:
    return [message for message in turn.messages if message.role != "system"]


# --- what a team gives ----------------------------------------------------------------------------


def answer_of(turn: Turn, result: RunResult, usage: Usage) -> TurnResult:
    """The team's answer as that of an agent.

    Raises:
        AgentError: It has none.
    """
    if result.answer is None:
        raise _failure(result)
    value = None
    if turn.output_schema is not None:
        value = structured_value(result.answer, what="the team's answer")
    won = next(a for a in result.answers if (a.label, a.version) == _ref(result))
    message = with_media(assistant(result.answer), result.media)
    return TurnResult(
        message=message,
        new_messages=(message,),
        stop_reason=won.stop_reason,
        structured=value,
        usage=usage,
    )


def _ref(result: RunResult) -> tuple[str, int] | None:
    return None if result.winning is None else (result.winning.label, result.winning.version)


def vote_of(turn: Turn, result: RunResult, usage: Usage, members: frozenset[str]) -> TurnResult:
    """The vote or the ranking of most members, with their reasons.

    Raises:
        AgentError: Nobody voted.
    """
    most = majority_of(result.votes)
    if most is None:
        if members <= {error.agent_id for error in result.errors}:
            raise _failure(result)
        raise ProtocolFailed(f"the team has no vote: {result.message or 'nobody voted'}")
    schema: Any = turn.output_schema
    choice: dict[str, JsonValue] = {"vote": most.label}
    votes = most.votes
    if ballots.RANKING in schema["properties"]:
        choice, votes = {ballots.RANKING: list(order_of(result.votes))}, result.votes
    reasons = [f"{vote.voter}: {vote.reason}" for vote in votes if vote.reason]
    longest = schema["properties"]["reason"].get("maxLength")
    value = {**choice, "reason": _shortened("; ".join(reasons), longest)}
    message = assistant(json.dumps(value))
    return TurnResult(message=message, new_messages=(message,), structured=value, usage=usage)


def _shortened(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…"


def _failure(result: RunResult) -> Exception:
    """Why the team came to nothing, as the error of its turn; of one kind if all have one."""
    said = "; ".join(f"{one.agent_id}: {one.message}" for one in result.errors)
    text = f"the team came to no answer: {said or result.message or result.status}"
    kinds = {one.kind for one in result.errors}
    return error_of_kind(kinds.pop())(text) if len(kinds) == 1 else AgentCrashed(text)
