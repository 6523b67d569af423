"""The tool by which a member of a group chat gives the word to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from massgen_bridge.agent import ToolDefinition

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HAND_OFF", "hand_off_tool"]

HAND_OFF: Final = "hand_off"
"""The tool by which a member of a group gives the word to another."""


def hand_off_tool(targets: Sequence[str], *, ends_turn: bool = False) -> ToolDefinition:
    """The tool by which a member gives the word to one of `targets`.

    Args:
        targets: Who can have it.
        ends_turn: Whether the member's turn ends with it.
    """
    return ToolDefinition(
        name=HAND_OFF,
        description="Let another member of the group speak next, in place of whose turn it is.",
        input_schema={
            "type": "object",
            "properties": {
                "to": {"type": "string", "enum": list(targets), "description": "Who speaks next."},
                "reason": {"type": "string", "description": "Why, for that member."},
            },
            "required": ["to"],
            "additionalProperties": False,
        },
        ends_turn=ends_turn,
    )
