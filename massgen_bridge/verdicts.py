"""What decision hooks return."""

from __future__ import annotations

from typing import Literal

from massgen_bridge.messages import Frozen, JsonValue

__all__ = ["AnswerVerdict", "ToolVerdict"]


class ToolVerdict(Frozen):
    """A decision on a tool call.

    `ask` leaves it to a person; where nobody can be asked, it denies. `edit` allows the call with
    `arguments` in place of the model's. The host fills in `by`: the plugin that gave it.
    """

    action: Literal["deny", "ask", "edit", "allow"]
    reason: str = ""
    arguments: dict[str, JsonValue] | None = None
    by: str | None = None


class AnswerVerdict(Frozen):
    """A decision on an answer; the reason of a rejection is told to its author."""

    accept: bool
    reason: str = ""
