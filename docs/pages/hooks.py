"""The page of hooks: every hook and the values that hooks take and give."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from pydantic import BaseModel

from massgen_bridge import hookspecs, specs, verdicts
from massgen_bridge.agent import Capabilities, ToolDefinition
from massgen_bridge.connection import (
    Connection,
    ImageLimits,
    ModelTraits,
    Quirks,
    RetryPolicy,
    Sampling,
)
from pages.markdown import docstring, linked, table
from pages.types import fields, of_code

__all__ = ["page"]

_GROUPS = (
    (
        "Registrations",
        (
            "Each plugin is asked once; every result counts. Two plugins that register one name "
            "are an error when that name is used. Nothing heavy is imported here."
        ),
        ("adapters", "tools", "strategies", "sinks", "providers"),
    ),
    (
        "Decisions",
        (
            "Called in a worker thread, so that one which blocks never stalls the other agents. "
            "What is decided becomes part of the run's records."
        ),
        ("turn_prepare", "tool_call", "answer", "tie_break", "classify_error"),
    ),
    (
        "Observers",
        (
            "Each plugin has a thread of its own, which the run never waits for. One that raises is"
            " reported and goes on; one that is too slow loses records, deltas first."
        ),
        ("run_started", "events", "run_finished"),
    ),
)

_GUIDES = {
    "adapters": ("Add a kind of agent", "add-a-kind-of-agent"),
    "answer": ("Filter answers", "filter-answers"),
    "classify_error": ("Name an unknown error", "name-an-unknown-error"),
    "events": ("Watch a run", "watch-a-run"),
    "providers": ("Add a provider", "add-a-provider"),
    "run_finished": ("Watch a run", "watch-a-run"),
    "run_started": ("Watch a run", "watch-a-run"),
    "sinks": ("Post records to a webhook", "post-records-to-a-webhook"),
    "strategies": ("Add a strategy", "add-a-strategy"),
    "tie_break": ("Break ties", "break-ties"),
    "tool_call": ("Guard tool calls", "guard-tool-calls"),
    "tools": ("Add a tool", "add-a-tool"),
    "turn_prepare": ("Change prompts", "change-prompts"),
}
"""For each hook the title and the file of its how-to guide."""

_TOP = """\
# Hooks

A plugin is a module, or an object, with functions marked `massgen_bridge.hookimpl`. It is found by
an entry point in the group `massgen_bridge`, by `plugins:` in the YAML, or by `plugins=` of a
[`Team`](python.md). How to write one: [Write your own hooks](../how-to/hooks/index.md).

Hooks are plain functions, never `async`; what is asynchronous lives on the objects that they
return. An implementation takes any of the hook's arguments, by name. A hook that is misspelt, has
an argument that does not exist, or lacks the mark makes its plugin an error that says so.
"""

_DATA = (
    verdicts.ToolVerdict,
    verdicts.AnswerVerdict,
    specs.AdapterSpec,
    specs.AgentContext,
    specs.ToolSpec,
    specs.StrategySpec,
    specs.SinkSpec,
    specs.ProviderSpec,
    Capabilities,
    ToolDefinition,
    Connection,
    ModelTraits,
    ImageLimits,
    Quirks,
    Sampling,
    RetryPolicy,
)


def page() -> str:
    """The page."""
    parts = [_TOP]
    for title, said, names in _GROUPS:
        parts += [f"## {title}\n\n{said}", *(_hook(f"bridge_{name}") for name in names)]
    parts.append("## What hooks take and give")
    parts.append(
        "Turns, tool calls, records and results are described under [events](events.md#values)."
    )
    parts += [_value(one) for one in _DATA]
    listed = {f"bridge_{name}" for _, _, names in _GROUPS for name in names}
    known = {name for name in hookspecs.__all__ if name.startswith("bridge_")}
    assert listed == known, f"no group for {known ^ listed}"  # noqa: S101 - a guard for authors
    return "\n\n".join(part.strip() for part in parts)


def _hook(name: str) -> str:
    function = getattr(hookspecs, name)
    signature = inspect.signature(function)
    told = docstring(function)
    title, guide = _GUIDES[name.removeprefix("bridge_")]
    gives = f"Returns {_type(signature.return_annotation)}: {_lower(told.returns)}"
    parts = [
        f"### {name}",
        f"`{name}({', '.join(signature.parameters)})`",
        told.text,
        table(
            ("argument", "type", "meaning"),
            [
                (f"`{one.name}`", of_code(str(one.annotation)), told.items.get(one.name, ""))
                for one in signature.parameters.values()
            ],
        )
        if signature.parameters
        else "",
        gives if told.returns else "",
        f"How to: [{title}](../how-to/hooks/{guide}.md).",
    ]
    return "\n\n".join(part for part in parts if part)


def _type(annotation: str) -> str:
    for one in _DATA:
        plain = annotation.removesuffix(" | None")
        if plain in {one.__name__, f"Iterable[{one.__name__}]"}:
            outer = "an iterable of " if plain.startswith("Iterable") else ""
            return f"{outer}{linked(one.__name__)}{' or `None`' if plain != annotation else ''}"
    return of_code(annotation)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[:2].istitle() or text[1:2] == " " else text


def _value(one: type[Any]) -> str:
    if issubclass(one, BaseModel):
        return f"### {one.__name__}\n\n{docstring(one).text}\n\n{fields(one)}"
    told = docstring(one)
    rows = [
        (
            f"`{field.name}`",
            _type(str(field.type)),
            "" if _is_required(field) else "no",
            told.items.get(field.name, ""),
        )
        for field in dataclasses.fields(one)
    ]
    head = ("field", "type", "required", "meaning")
    return f"### {one.__name__}\n\n{told.text}\n\n{table(head, rows)}"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
