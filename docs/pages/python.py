"""The page of Python: the docstrings of what users and authors import, set by mkdocstrings."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from massgen_bridge import adapting
from massgen_bridge.testing import agents, exceptions, fixtures, hosting, warm

__all__ = ["page"]

_TOP = """\
# Python

The names that `massgen_bridge` offers. How to use them:
[Call it from Python](../how-to/call-it-from-python.md). What records and results hold:
[events](events.md). What is raised: [errors](errors.md). What hooks take and give:
[hooks](hooks.md).
"""

_SECTIONS = (
    ("Running", "", ("api.run", "api.arun", "api.stream", "team.Team: add, run, arun, stream")),
    (
        "What was used",
        "See [limits and costs](../how-to/limits-and-costs.md#what-was-used-and-what-it-cost).",
        ("events.Use", "events.AgentUse", "events.Cost"),
    ),
    (
        "Conversations",
        "See [keep a conversation](../how-to/keep-a-conversation.md).",
        (
            "runtime.sessions.Session: turns, all_turns, used, exists, kept, delete",
            "runtime.sessions.SessionTurn",
        ),
    ),
    (
        "People",
        "See [sit in the team yourself](../how-to/sit-in-the-team.md).",
        (
            *("people.Question", "people.Written", "people.Chosen", "people.Ordered"),
            *("people.Better", "people.Declined", "people.Ask: __call__"),
            *("people.Asking: __call__", "people.Desk: __call__"),
        ),
    ),
    (
        "Agents",
        "What an adapter, or an agent of your own, implements: see [the contract](contract.md).",
        (
            *("agent.Agent", "agent.Emit: __call__", "agent.Turn: question, call_tool"),
            *("agent.Capabilities: check", "connection.ModelCaller: __call__"),
        ),
    ),
    ("Plugins", "", ("models.prices.price_of",)),
    (
        "Strategies",
        "`examples/hooks/fastest_strategy.py` is a small strategy. Its state is a `Frozen` value.",
        (
            *("strategy.Strategy", "strategy.StartTurn", "strategy.CancelTurn"),
            *("strategy.BreakTie", "strategy.Announce", "strategy.Finish"),
        ),
    ),
    ("Sinks", "", ("specs.Sink",)),
)
"""Names below `massgen_bridge`, with the members to be shown where not all are."""

_MODULES = (
    (
        adapting,
        "Adapters of model APIs",
        "For models behind an SDK: see [wrap a framework](../how-to/wrap-a-framework.md).",
    ),
    (
        agents,
        "Tests of an agent",
        "For tests beside [the suites](contract.md) and [model servers](model-servers.md).",
    ),
    (hosting, "An agent behind its host", "For tests in which tools and plugins matter."),
    (
        warm,
        "Processes that start at once",
        "For tests that start many workers, where the framework takes long to import.",
    ),
    (exceptions, "Exceptions of an SDK", "For tests that none is left without a kind."),
    (fixtures, "Fixtures", "Fixtures for pytest. A `conftest.py` imports them."),
)
"""Modules of which everything public is shown."""


def page() -> str:
    """The page."""
    parts = [_TOP]
    for title, said, names in _SECTIONS:
        parts += [f"## {title}", said]
        for entry in names:
            name, _, members = entry.partition(": ")
            parts.append(_block(f"massgen_bridge.{name}", members))
    for module, title, said in _MODULES:
        parts += [f"## {title}", f"{said} Import these from `{module.__name__}`."]
        parts += _blocks(module)
    return "\n\n".join(part.strip() for part in parts if part)


def _blocks(module: types.ModuleType) -> Iterator[str]:
    for name in sorted(module.__all__, key=str.lower):
        thing = getattr(module, name)
        if inspect.getdoc(thing) or not callable(thing):
            yield _block(f"{module.__name__}.{name}", ", ".join(_members(thing)))


def _members(thing: Any) -> list[str]:
    """What a class offers itself; fields stand in its docstring."""
    if not inspect.isclass(thing):
        return []
    kinds = (types.FunctionType, property, cached_property, staticmethod, classmethod)
    members = vars(thing).items()
    return [name for name, one in members if not name.startswith("_") and isinstance(one, kinds)]


def _block(path: str, members: str) -> str:
    return f"::: {path}" + (f"\n    options:\n      members: [{members}]" if members else "")
