"""How the question reaches a crew or a flow: by which of its inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from crewai import Crew, Flow
from pydantic import BaseModel

from massgen_bridge import AgentCrashed, JsonValue

__all__ = ["crew_inputs", "flow_inputs"]

_QUESTION = "massgen_bridge_question"
_USUAL = ("task", "question", "topic", "input", "query", "prompt", "message")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


def crew_inputs(
    crew: Crew, question: str, *, given: Mapping[str, JsonValue], key: str | None, where: str
) -> dict[str, Any]:
    """The inputs of a crew.

    A crew that asks for no input gets the question at the end of its first task.

    Args:
        crew: The crew; it is changed, if it asks for none.
        question: What the turn is about.
        given: The other inputs.
        key: The input that gets the question; None: it is found.
        where: Names the crew, for errors.

    Raises:
        AgentCrashed: It is not clear which input gets the question, or one has no value.
    """
    asked = {name for name in crew.fetch_inputs() if _NAME.fullmatch(name)} - given.keys()
    if key is None and not asked:
        first = crew.tasks[0]
        first.description = f"{first.description}\n\n{{{_QUESTION}}}"
        return {**given, _QUESTION: question}
    key = key or _chosen(asked, where=where)
    if missing := asked - {key}:
        raise AgentCrashed(
            f"{where} asks for {_names(missing)}, too; give what it needs by `inputs`"
        )
    if key not in asked:
        raise AgentCrashed(
            f"{where} asks for no {key!r}, as `input_key` says; it asks for "
            f"{_names(asked) or 'nothing'}"
        )
    return {**given, key: question}


def flow_inputs(
    flow: Flow[Any], question: str, *, given: Mapping[str, JsonValue], key: str | None, where: str
) -> dict[str, Any]:
    """The inputs of a flow, which go into its state.

    Args:
        flow: The flow.
        question: What the turn is about.
        given: The other inputs.
        key: The field that gets the question; None: it is found.
        where: Names the flow, for errors.

    Raises:
        AgentCrashed: The state has no such field, or it is not clear which.
    """
    fields = _fields(flow)
    if fields is None:  # a plain dictionary takes anything
        return {**given, key or _USUAL[0]: question}
    if unknown := given.keys() - fields:
        raise AgentCrashed(f"{where}: its state has no {_names(unknown)}, as `inputs` says")
    key = key or _chosen(fields - given.keys(), where=where)
    if key not in fields:
        raise AgentCrashed(
            f"{where}: its state has no {key!r}, as `input_key` says; it has {_names(fields)}"
        )
    return {**given, key: question}


def _fields(flow: Flow[Any]) -> set[str] | None:
    state = flow._state  # noqa: SLF001 - `state` is a proxy that hides its class
    return set(type(state).model_fields) - {"id"} if isinstance(state, BaseModel) else None


def _chosen(names: set[str], *, where: str) -> str:
    if len(names) == 1:
        return next(iter(names))
    usual = [name for name in _USUAL if name in names]
    if len(usual) == 1:
        return usual[0]
    raise AgentCrashed(
        f"{where} has several inputs: {_names(names)}; say by `input_key` which one gets the "
        "question, and give the others by `inputs`"
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
