"""The page of kinds: what each framework can and cannot do here, from what its adapter claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from massgen_bridge import AdapterSpec, Capabilities, InputKind, ModelTraits
from massgen_bridge.plugins import PluginHost, catalogue
from pages.markdown import table

__all__ = ["ABILITIES", "abilities", "page"]

ABILITIES = (
    "streams",
    "tools",
    "schema",
    "history",
    "media",
    "media of tools",
    "group",
    "stopped",
)
"""The columns of a table of what kinds can do."""

_PAGE = """\
# Kinds of agents compared

What an agent of each kind can do, where its model can. An agent is never asked for more: what it
cannot carry is refused before a model is called, and it votes in a way that it knows.

{abilities}

- *Streams*: its text arrives while it is made. *Tools*: its model can call the tools that the
  configuration gives it. *Schema*: its answer can be held to a JSON Schema, as a ballot is.
- *History*: what was said before reaches the model as messages; elsewhere the question tells it.
- *Media*: what reaches the model unchanged. *Media of tools*: what of that reaches it from the
  results of tools, too; elsewhere a line of text stands for it.
- *Group*: the agent is made of several, whose words and tool calls are told with the member's name.
- *Stopped*: how a turn ends that is cancelled. *At once*: within the process that it runs in. *With
  its process*: what the framework has begun cannot be stopped in any other way.

## Versions

Where a framework is not installed beside massgen-bridge, or not in these versions, its agents run
in an environment of their own.

{versions}
"""

_ANYTHING = ModelTraits(inputs=frozenset(get_args(InputKind)))

_FORMS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "ag2": {
        "from a model": {},
        "a group chat": {"group": {"members": [{"name": "ann"}, {"name": "bob"}]}},
        "your agent": {"agent": "agents.py:agent"},
        "your network": {"network": "agents.py:make_network"},
    },
    "ag2_classic": {
        "from a model": {},
        "a group chat": {"group": {"members": [{"name": "ann"}, {"name": "bob"}]}},
        "your agent or group chat": {"chat": "agents.py:chat"},
    },
    "crewai": {
        "from a model": {},
        "your crew": {"crew": "crews.py:crew"},
        "your flow": {"flow": "flows.py:flow"},
    },
    "langchain": {
        "from a model": {},
        "your graph": {"graph": "graphs.py:graph"},
        "your graph, by text": {"graph": "graphs.py:graph", "input": "text"},
    },
}
"""Ways to use a kind that can do different things, by the options that make them."""


def page() -> str:
    """The page."""
    host = PluginHost()
    specs = [host.adapter(kind) for kind, one in catalogue().items() if one.status == "available"]
    rows = [row for spec in specs for row in _rows(spec)]
    return _PAGE.format(
        abilities=table(("kind", *ABILITIES), rows),
        versions=table(
            ("kind", "framework", "needs", "Python", "runs in"),
            [_versions(spec) for spec in specs if spec.requires],
        ),
    )


def _rows(spec: AdapterSpec) -> Iterator[tuple[str, ...]]:
    forms = _FORMS.get(spec.kind)
    if forms is None:
        yield f"`{spec.kind}`", *abilities(spec.capabilities)
        return
    for form, given in forms.items():
        options = spec.options.model_validate(given)
        able = spec.refine(options, _ANYTHING) if spec.refine else spec.capabilities
        yield f"`{spec.kind}`, {form}", *abilities(able)


def abilities(able: Capabilities) -> tuple[str, ...]:
    """What somebody can do, in the columns of `ABILITIES`."""
    flags = (able.streaming, able.tools, able.structured, able.history)
    return (
        *("yes" if flag else "no" for flag in flags),
        ", ".join(sorted(able.inputs)) or "none",
        ", ".join(sorted(able.tool_media)) or "none",
        "yes" if able.group else "no",
        "at once" if able.cancellation == "cooperative" else "with its process",
    )


def _versions(spec: AdapterSpec) -> tuple[str, ...]:
    return (
        f"`{spec.kind}`",
        f"`{spec.framework}`" if spec.framework else "",
        ", ".join(f"`{one}`" for one in spec.requires),
        f"`{spec.python}`",
        "a process of its own" if spec.own_process else "the run's process, where it is installed",
    )
