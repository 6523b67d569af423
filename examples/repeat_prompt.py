"""An agent that answers with what it was told: for looking at prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_bridge import Turn


def answer(turn: Turn) -> str:
    """Every message of the turn, each behind its role."""
    return "\n".join(f"{message.role}: {message.text}" for message in turn.messages)
