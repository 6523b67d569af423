"""CrewAI's flows, before several threads make the first ones at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from crewai import Flow

__all__ = ["settle_flows"]

_CREWAI = Flow.__module__.partition(".")[0]
_SETTLING = threading.Lock()


def settle_flows() -> None:
    """Let CrewAI's own flows, of which its agents are, work out what they consist of; blocks.

    CrewAI leaves that to the first flow of a class, without a lock: it goes through the class and
    then writes into it, so that first flows in several threads fail.
    """
    with _SETTLING:
        for flow in set(_below(Flow)):
            # One in a function is what users' classes are derived from, and never made itself.
            if flow.__module__.partition(".")[0] == _CREWAI and "<locals>" not in flow.__qualname__:
                flow.flow_definition()


def _below(flow: type[Flow[Any]]) -> Iterator[type[Flow[Any]]]:
    for one in flow.__subclasses__():
        yield one
        yield from _below(one)
