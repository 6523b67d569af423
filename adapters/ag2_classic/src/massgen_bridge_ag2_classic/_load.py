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
        self.is_shared = isinstance(found, _OWN)
        self._source: Own | OwnFactory = (
            found
            if isinstance(found, _OWN)
            else OwnFactory(
                found,
                option=self._option,
                expected=f"{_WANTED}, or a function that makes one",
                makes="agents",
                takes=_OFFERED,
                offered=() if connection is None else _OFFERED,
            )
        )

    def get(self, turn: Turn) -> Own:
        """The agents of a turn; in the turn's thread, for a function may block.

        Raises:
            AgentCrashed: The function raised, or made something else.
        """
        if not isinstance(self._source, OwnFactory):
            return self._source
        offers = {}
        if self._connection is not None:
            connection = turn.connection_for(self._connection)
            offers = {name: partial(_offer, name, connection) for name in _OFFERED}
        made = self._source.make(offers)
        if not isinstance(made, _OWN):
            raise AgentCrashed(f"`{self._option}` returned {made!r}; expected {_WANTED}")
        return made


def _offer(name: str, connection: Connection) -> Any:
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
