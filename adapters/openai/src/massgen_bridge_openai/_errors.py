"""Every exception that the SDK raises or lets through, as an error of massgen-bridge."""

from __future__ import annotations

import json

from massgen_bridge import AgentCrashed, AgentError, NetworkFailed, ProtocolFailed
from massgen_bridge.adapting import error_text, sdk_error

__all__ = ["agent_error"]


def agent_error(error: Exception, *, where: str, agent_id: str) -> AgentError:
    """The one error of massgen-bridge that stands for what came out of a model call.

    Args:
        error: What the SDK raised or let through.
        where: Names the connection and its model.
        agent_id: The agent that made the call.
    """
    known = sdk_error(error, where=where, agent_id=agent_id, packages={"openai"})
    if known is not None:
        return known
    text = error_text(error)
    if isinstance(error, json.JSONDecodeError):
        text = f"an event of the stream is no JSON: {text}"
    return _kind(error)(f"{where}: {text}", agent_id=agent_id)


def _kind(error: Exception) -> type[AgentError]:
    """The kind of an exception that is none of the SDK's own."""
    if isinstance(error, OSError):
        return NetworkFailed
    if isinstance(error, ValueError):  # no JSON, or no UTF-8
        return ProtocolFailed
    return AgentCrashed
