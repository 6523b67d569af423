"""From what an import path leads to, to agents of AG2."""

from __future__ import annotations

from functools import partial
from typing import Any

from autogen import ConversableAgent, GroupChat, GroupChatManager
from autogen.agentchat.group.patterns.pattern import Pattern

from massgen_bridge import AgentCrashed, Connection, Turn
from massgen_bridge.adapting import OwnFactory

__all__ = ["Own", "Source"]

Own = ConversableAgent | GroupChat | GroupChatManager | Pattern
"""What can be brought along."""

_OWN = (ConversableAgent, GroupChat, Pattern)
_WANTED = "an agent, a GroupChat, a GroupChatManager or a group pattern of AG2"
_OFFERED = ("connection", "llm_config")


class Source:
    """A user's own agents at an import path: there at once, or made by a function for each turn.

    Args:
        found: What the import path leads to.
        path: The import path, for errors.
        connection: The agent's model, for a function that asks for it.

    Attributes:
        is_shared: Whether all turns have the same agents.

    Raises:
        ConfigError: It is nothing of AG2 and makes nothing, or needs something that there is not.
    """

    def __init__(self, found: object, *, path: str, connection: Connection | None) -> None:
        self._option = f"chat: {path}"
        self._connection = connection
        self._own = found if isinstance(found, _OWN) else None
        self.is_shared = self._own is not None
        self._factory: OwnFactory | None = None
        if self._own is None:
            self._factory = OwnFactory(
                found,
                option=self._option,
                expected=f"{_WANTED}, or a function that makes one",
                makes="agents",
                takes=_OFFERED,
                offered=() if connection is None else _OFFERED,
            )

    def get(self, turn: Turn) -> Own:
        """The agents of a turn; in the turn's thread, for a function may block.

        Raises:
            AgentCrashed: The function raised, or made something else.
        """
        if self._own is not None:
            return self._own
        assert self._factory is not None  # noqa: S101 - narrows: there are no agents yet
        made = self._factory.make({name: partial(self._offer, name, turn) for name in _OFFERED})
        if not isinstance(made, _OWN):
            raise AgentCrashed(f"`{self._option}` returned {made!r}; expected {_WANTED}")
        return made

    def _offer(self, name: str, turn: Turn) -> Any:
        assert self._connection is not None  # noqa: S101 - narrows: it was looked at before
        connection = turn.connection_for(self._connection)
        if name == "connection":
            return connection
        key = connection.api_key
        entry = {
            "api_type": "openai",
            "model": connection.model,
            "base_url": connection.base_url,
            "api_key": key.get_secret_value() if key else "none",
            "max_retries": connection.retry.attempts - 1,
        }
        return {"config_list": [entry], "cache_seed": None}
