"""Calling an agent, whose code is foreign: it may break the promises of its interface."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

import anyio

from massgen_bridge.agent import TurnResult
from massgen_bridge.errors import AgentCrashed

if TYPE_CHECKING:
    from massgen_bridge.agent import Agent, Emit, Turn

__all__ = ["NO_MODEL", "result_of"]

NO_MODEL: Final = "this agent has no model; give it one with `model:` in its backend"
"""What is wrong with a model call of an agent without a connection."""


async def result_of(agent: Agent, turn: Turn, emit: Emit) -> TurnResult:
    """Let an agent do a turn.

    Raises:
        AgentCrashed: Its `run` is no coroutine, gave no result, or cancelled itself.
    """
    try:
        asked: object = agent.run(turn, emit)
        if not isinstance(asked, Awaitable):
            raise AgentCrashed(f"an agent's `run` is `async def`; this one returned {_name(asked)}")
        result: object = await asked
    except anyio.get_cancelled_exc_class() as error:
        if not _is_cancelled():
            # A future that was cancelled somewhere in the agent; nobody cancelled the turn.
            raise AgentCrashed("the agent's own code cancelled itself") from error
        raise
    if not isinstance(result, TurnResult):
        raise AgentCrashed(f"an agent's `run` returns a TurnResult; this one gave {_name(result)}")
    return result


def _name(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__!r}"


def _is_cancelled() -> bool:
    """Whether this task is being cancelled, by a scope or by asyncio itself."""
    task = asyncio.current_task()
    return anyio.current_effective_deadline() == -math.inf or bool(task and task.cancelling())
