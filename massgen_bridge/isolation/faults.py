"""Exceptions on the wire."""

from __future__ import annotations

from massgen_bridge.errors import (
    AgentCrashed,
    AgentError,
    BridgeError,
    error_of_kind,
    error_words,
)
from massgen_bridge.isolation.wire import ErrorObject, Fault

__all__ = ["ForeignError", "error_from", "fault_from"]


class ForeignError(Exception):
    """Something that no adapter foresaw, from another process; its class has the same name."""


def fault_from(error: Exception) -> ErrorObject:
    """An exception, ready to cross: its class by name, its words, and no traceback."""
    fault = Fault(type=type(error).__name__)
    if isinstance(error, AgentError):
        fault = Fault(
            kind=error.kind,
            type=type(error).__name__,
            is_ours=True,
            agent_id=error.agent_id,
            retry_after_s=error.retry_after_s,
        )
    elif isinstance(error, BridgeError):
        fault = Fault(type=type(error).__name__, is_ours=True)
    words = error_words(error).encode(errors="replace").decode()
    return ErrorObject(message=words, data=fault)


def error_from(error: ErrorObject) -> Exception:
    """The exception as it is raised on this side."""
    fault = error.data
    if fault.kind is not None:
        made = error_of_kind(fault.kind)
        return made(error.message, agent_id=fault.agent_id, retry_after_s=fault.retry_after_s)
    if fault.is_ours:
        return AgentCrashed(error.message, agent_id=fault.agent_id)
    foreign: type[Exception] = type(fault.type, (ForeignError,), {})
    return foreign(error.message)
