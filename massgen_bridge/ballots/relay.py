"""A ballot that its voter puts to others, because the voter is a team."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.ballots.asking import SPEAKER
from massgen_bridge.ballots.papers import BALLOT, END, IMPROVE, RANKING
from massgen_bridge.strategy import Speaker, StartTurn

if TYPE_CHECKING:
    from massgen_bridge.agent import Turn

__all__ = ["relayed"]


def relayed(turn: Turn) -> StartTurn | None:
    """The choice that a turn asks for by its output schema, to be put to others.

    Returns:
        A command for which only the agent and the turn have to be filled in; None where the turn
        asks for no choice.
    """
    schema = turn.output_schema
    properties: Any = {} if schema is None else schema.get("properties")
    if schema is None or schema.get("title") != BALLOT:
        return None
    who: dict[str, str] = {"turn_id": turn.turn_id, "agent_id": turn.agent_id}
    if RANKING in properties:
        return StartTurn(**who, purpose="rank", shown=turn.shown)
    labels: list[str] = properties["vote"]["enum"]
    if schema.get("description") == SPEAKER:
        speakers = tuple(Speaker(label=label) for label in labels if label != END)
        return StartTurn(
            **who, purpose="chair", shown=turn.shown, speakers=speakers, may_end=END in labels
        )
    shown = tuple(answer for answer in turn.shown if answer.label in labels)
    return StartTurn(**who, purpose="evaluate", shown=shown, may_improve=IMPROVE in labels)
