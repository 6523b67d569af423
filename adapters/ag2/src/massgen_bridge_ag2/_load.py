"""What an import path leads to: there at once, or made by a function when it is first used."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import anyio.to_thread

from massgen_bridge import AgentContext, AgentCrashed, ConfigError

__all__ = ["called", "check_factory"]


def check_factory(context: AgentContext, found: object, *, option: str, expected: str) -> None:
    """Refuse what is no function that can be called without arguments.

    Args:
        context: What the agent is made of.
        found: What the import path leads to.
        option: The option and its import path.
        expected: What it should lead to, in words.

    Raises:
        ConfigError: It cannot be called so.
    """
    problem = None
    if not callable(found):
        problem = f"is a {type(found).__name__!r}"
    else:
        try:
            inspect.signature(found).bind()
        except (TypeError, ValueError) as error:
            problem = f"cannot be called without arguments: {error}"
    if problem is not None:
        raise ConfigError(f"agent {context.agent_id!r}: `{option}` {problem}; expected {expected}")


async def called(make: Callable[[], Any], *, option: str) -> Any:
    """What a user's function makes, async or not.

    Raises:
        AgentCrashed: It raised.
    """
    try:
        # In a thread, as making clients and whatever the function does may block.
        made = await anyio.to_thread.run_sync(make)
        return await made if inspect.isawaitable(made) else made
    except Exception as error:  # the user's own code may raise anything
        raise AgentCrashed(f"`{option}` raised {type(error).__name__}: {error}") from error
