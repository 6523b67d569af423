"""A person as an agent: answers, votes and breaks ties where the host can ask."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, assert_never

from massgen_bridge.agent import Turn, TurnResult
from massgen_bridge.events import PersonAsked, PersonReplied
from massgen_bridge.kinds.human_options import ABLE
from massgen_bridge.messages import TextPart, assistant, structured_value
from massgen_bridge.people import Better, Chosen, Declined, Ordered, Question, Reply, Written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.agent import Emit
    from massgen_bridge.kinds.human_options import HumanOptions
    from massgen_bridge.messages import JsonValue
    from massgen_bridge.people import Asking

__all__ = ["HumanAgent"]

_IMPROVE = "improve"
_END = "end"
_RANKING = "ranking"
_NUMBERS = re.compile(r"(\d+)")


class HumanAgent:
    """Asks a person for each turn.

    Args:
        options: The time limit, and what happens without a reply.
        ask: Asks; None where nobody can be asked: what happens without a reply happens at once.
    """

    def __init__(self, options: HumanOptions, ask: Asking | None = None) -> None:
        self._options = options
        self._ask = ask

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Ask the person for what the turn wants.

        Raises:
            ProtocolFailed: The turn wants JSON other than a vote, and the reply is none.
        """
        ABLE.check(turn)
        default = self._default(turn)
        limit_s = self._options.time_limit_s
        question = _question(turn).model_copy(
            update={"time_limit_s": limit_s, "default": _in_words(default)}
        )
        if self._ask is None:
            return await self._by_default(turn, default, "there is nobody to ask", emit)
        await emit(PersonAsked(time_limit_s=limit_s, default=question.default))
        reply = await self._ask(question)
        if reply is None:
            reason = f"no reply within {limit_s:g} s" if limit_s else "no reply"
            return await self._by_default(turn, default, reason, emit)
        await emit(PersonReplied())
        return _result(turn, reply)

    async def aclose(self) -> None:
        """Nothing to give back."""

    async def _by_default(self, turn: Turn, default: Reply, reason: str, emit: Emit) -> TurnResult:
        await emit(PersonReplied(by_default=True, reason=reason))
        told = f"{reason}: default"
        if isinstance(default, Chosen | Declined):
            default = default.model_copy(update={"reason": told})
        return _result(turn, default)

    def _default(self, turn: Turn) -> Reply:
        """What a turn gives without a reply."""
        offered = _offered(turn)
        if _ranks(turn):
            return Declined()
        if offered is None:
            text = self._options.default_answer
            return Declined() if text is None or turn.output_schema else Written(text=text)
        wanted = self._options.default
        if wanted is None or wanted == "abstain":
            return Declined()
        if wanted == "first":
            wanted = tuple(sorted(_labels(offered), key=_in_order))
        found = next((label for label in wanted if label in offered), None)
        return Declined() if found is None else Chosen(label=found)


# --- what is asked --------------------------------------------------------------------------------


def _offered(turn: Turn) -> tuple[str, ...] | None:
    """What the turn's ballot lets choose from; None where it is no ballot."""
    schema = turn.output_schema or {}
    properties = schema.get("properties")
    vote = properties.get("vote") if isinstance(properties, dict) else None
    if isinstance(properties, dict) and _ranks(turn):
        ranking = properties[_RANKING]
        vote = ranking.get("items") if isinstance(ranking, dict) else None
    offered = vote.get("enum") if isinstance(vote, dict) else None
    return tuple(map(str, offered)) if isinstance(offered, list) else None


def _ranks(turn: Turn) -> bool:
    """Whether the turn wants all answers in order."""
    schema = turn.output_schema or {}
    properties = schema.get("properties")
    ballot = schema.get("title") == "Ballot" and isinstance(properties, dict)
    return ballot and _RANKING in (properties or {})


def _labels(offered: Iterable[str]) -> tuple[str, ...]:
    """Without what is no label; the end of a conversation can be chosen like one."""
    return tuple(label for label in offered if label != _IMPROVE)


def _in_order(label: str) -> tuple[bool, list[int | str]]:
    """Labels in the order of the configuration, the end of a conversation last."""
    parts = [int(part) if part.isdigit() else part for part in _NUMBERS.split(label)]
    return label == _END, parts


def _question(turn: Turn) -> Question:
    offered = _offered(turn)
    system = [message.text for message in turn.messages if message.role == "system"]
    before = len(system)
    asked = {
        "run_id": turn.run_id,
        "turn_id": turn.turn_id,
        "agent_id": turn.agent_id,
        "task": turn.task,
        "instruction": "\n".join(system),
        "earlier": turn.messages[before : before + turn.earlier],
        "shown": turn.shown,
    }
    if offered is None:
        return Question(kind="answer", wish=_wish(turn), **asked)
    if _ranks(turn):
        wish = "Put the answers in order, the best one first."
        return Question(kind="order", wish=wish, choices=offered, **asked)
    return Question(
        kind="choice",
        wish="Who speaks next?" if _is_chair(turn) else "Which answer solves the task best?",
        choices=_labels(offered),
        may_improve=_IMPROVE in offered,
        **asked,
    )


def _is_chair(turn: Turn) -> bool:
    return (turn.output_schema or {}).get("description") == "Who speaks next."


def _wish(turn: Turn) -> str:
    """What the turn asks for beside the task and the answers; empty for a plain answer."""
    parts = turn.messages[-1].parts if turn.messages else ()
    task = turn.task.parts if turn.task is not None else ()
    if turn.shown:
        # The answers come before, between marks; what is asked comes last.
        rest = parts[-1:]
    else:
        rest = parts[len(task) :] if task and parts[: len(task)] == task else parts
    return "\n".join(part.text for part in rest if isinstance(part, TextPart)).strip()


def _in_words(default: Reply) -> str:
    match default:
        case Written():
            return "the answer stated in the configuration is given"
        case Chosen(label=label):
            return f"the vote goes to {label}"
        case Declined() | Better() | Ordered():
            return "you abstain"
    assert_never(default)


# --- what comes of it -----------------------------------------------------------------------------


def _result(turn: Turn, reply: Reply) -> TurnResult:
    match reply:
        case Written(text=text):
            if turn.output_schema is None:
                return _said(text)
            return _said(text, structured_value(text, what="the reply"))
        case Chosen(label=label, reason=reason):
            return _ballot({"vote": label, "reason": reason})
        case Ordered(labels=labels, reason=reason):
            return _ballot({_RANKING: list(labels), "reason": reason})
        case Better():
            return _ballot({"vote": _IMPROVE, "reason": ""})
        case Declined(reason=reason):
            return _said("").model_copy(update={"abstained": reason})
    assert_never(reply)


def _ballot(ballot: dict[str, JsonValue]) -> TurnResult:
    return _said(json.dumps(ballot, ensure_ascii=False), ballot)


def _said(text: str, structured: JsonValue | None = None) -> TurnResult:
    message = assistant(text)
    return TurnResult(message=message, new_messages=(message,), structured=structured)
