"""What one model call gives, whatever the wire protocol."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from massgen_bridge.errors import ProtocolFailed
from massgen_bridge.messages import ToolCall, ToolResult, json_value, structured_value

if TYPE_CHECKING:
    from massgen_bridge.agent import Source, StopReason, Usage
    from massgen_bridge.messages import JsonValue, MediaPart

__all__ = ["NOT_CALLED", "ModelAnswer", "not_called", "structured_answer", "tool_call_from_json"]

NOT_CALLED = "not called: the turn had ended"
"""What the model is told of a call behind the one that ended the turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """What one model call gave; base of what an adapter needs to remember besides.

    Attributes:
        text: All of its text.
        calls: The tools that the model calls, in order.
        stop_reason: Why the model stopped.
        usage: What was counted; None where nobody did.
        media: Pictures and the like that the model made, in order.
        sources: What its text rests on, as the provider's own search told it.
        paused: Whether the model wants to go on where it stopped, without a tool's result.
    """

    text: str
    calls: tuple[ToolCall, ...]
    stop_reason: StopReason
    usage: Usage | None
    media: tuple[MediaPart, ...] = ()
    sources: tuple[Source, ...] = ()
    paused: bool = False


def not_called(call: ToolCall) -> ToolResult:
    """What stands for the result of a call behind the one that ended the turn."""
    return ToolResult(call_id=call.call_id, name=call.name, content=NOT_CALLED, is_error=True)


def tool_call_from_json(*, call_id: str, name: str, arguments: str) -> ToolCall:
    """A tool call, from the JSON that the model wrote for its arguments.

    Args:
        call_id: The call's id; an empty one is replaced by a new one.
        name: The tool's name.
        arguments: Blank for none; what is no JSON object becomes `malformed`.

    Raises:
        ProtocolFailed: There is no name.
    """
    if not name:
        raise ProtocolFailed("the model called a tool without a name")
    call_id = call_id or f"call_{uuid.uuid4().hex}"
    try:
        decoded = json_value(arguments) if arguments.strip() else {}
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict):
        return ToolCall(call_id=call_id, name=name, malformed=arguments)
    return ToolCall(call_id=call_id, name=name, arguments=decoded)


def structured_answer(
    text: str, *, stop_reason: StopReason, where: str, agent_id: str
) -> JsonValue:
    """The value that an answer held to an output schema stands for.

    Args:
        text: The whole answer.
        stop_reason: Why it ended.
        where: Names the connection and its model.
        agent_id: The agent whose answer it is.

    Raises:
        ProtocolFailed: It is no JSON.
    """
    return structured_value(
        text, what=f"{where}: the answer", is_cut=stop_reason == "length", agent_id=agent_id
    )
