"""Change prompts: every agent is told the date and a rule of the house, in every turn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from massgen_bridge import hookimpl, system

if TYPE_CHECKING:
    from massgen_bridge import Turn

RULE = "Give measures in SI units."


@hookimpl
def bridge_turn_prepare(turn: Turn) -> Turn:
    """Put the date and the rule behind the agent's own system message."""
    today = datetime.now(tz=UTC).date().isoformat()
    own = [message for message in turn.messages if message.role == "system"]
    told = "\n".join([*(message.text for message in own), f"Today is {today}.", RULE])
    rest = tuple(message for message in turn.messages if message.role != "system")
    return turn.model_copy(update={"messages": (system(told), *rest)})
