"""Agents that ask models by ways of their own, which no tape hears."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from massgen_bridge.plugins import PluginHost

__all__ = ["Askers"]

_logger = logging.getLogger("massgen_bridge.runtime")


class Askers:
    """The agents that tell of model calls."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}

    def note(self, agent: str, kind: str) -> None:
        """An agent tells of a model call."""
        self._kinds.setdefault(agent, kind)

    def warn(self, host: PluginHost, taped: Collection[str], *, file: str) -> None:
        """Say whose calls a tape has not heard; kinds that use no model do not count."""
        unheard = [
            repr(agent)
            for agent, kind in sorted(self._kinds.items())
            if agent not in taped and host.adapter(kind).protocols
        ]
        if unheard:
            _logger.warning(
                "the cassette %r has none of the model calls of %s: they are made by a client of"
                " the agent's own",
                file,
                ", ".join(unheard),
            )
