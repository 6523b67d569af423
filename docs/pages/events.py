"""The page of events: what a run records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from pydantic import BaseModel

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import (
    AnswerListed,
    Event,
    Happening,
    Record,
    RunFinished,
    RunResumed,
    RunStarted,
    StageClosed,
    ToolCallJudged,
    TurnCancelled,
    TurnDone,
    TurnEvent,
    TurnFailed,
    TurnStarted,
    Voted,
)
from massgen_bridge.messages import Part
from pages.markdown import docstring
from pages.types import fields, models_in

__all__ = ["page"]

_TURN: tuple[type[BaseModel], ...] = get_args(TurnEvent)
_HAPPENINGS: tuple[type[BaseModel], ...] = get_args(Happening)
_FRAME = (TurnStarted, ToolCallJudged, TurnDone, TurnFailed, TurnCancelled)
_RUN = (RunStarted, AnswerListed, StageClosed, RunResumed, RunFinished)
_PARTS: tuple[type[BaseModel], ...] = get_args(get_args(Part)[0])

_EXAMPLE = Record(
    run_id="20261122-120000-0a1b2c3d",
    seq=42,
    at=1795348800.25,
    agent_id="ada",
    turn_id="ada.2",
    event=Voted(
        agent_id="ada",
        turn_id="ada.2",
        choice=AnswerRef(label="agent2", version=1),
        reason="It names the source.",
    ),
)

_TOP = """\
# Events

A run is a sequence of records. The same records go to the journal, to the display, to
`massgen-bridge run --output jsonl`, to sinks, to the hook `bridge_events` and to `stream` in
Python. In JSON, a record is one object:

```json
{example}
```

A reader that does not know a value of `event.type` skips that record: further types may be added
within one version of the schema. In the journal, pieces of text that follow one another are joined,
so the numbers of some are left out there.

## Record

{text}

{fields}
"""

_GROUPS = (
    (
        "What an agent emits",
        (
            "In the order in which it happens, between `turn_started` and the one terminal event "
            "of the turn. Deltas are advisory: what counts is the result in `turn_done`."
        ),
        _TURN,
    ),
    (
        "The frame of a turn",
        (
            "Each turn that starts ends with exactly one of `turn_done`, `turn_failed` and"
            " `turn_cancelled`; `tool_call_judged` stands in between where plugins decide on calls."
        ),
        _FRAME,
    ),
    (
        "Happenings",
        (
            "The only input of a strategy. The same happenings in the same order give the same "
            "course and the same result."
        ),
        _HAPPENINGS,
    ),
    ("The frame of a run", "", _RUN),
)


def page() -> str:
    """The page."""
    text = _TOP.format(
        example=_EXAMPLE.model_dump_json(), text=docstring(Record).text, fields=fields(Record)
    )
    parts = [text]
    for title, said, models in _GROUPS:
        parts += [f"## {title}\n\n{said}", *(_event(model) for model in models)]
    values = _values((*_TURN, *_FRAME, *_HAPPENINGS, *_RUN))
    parts += ["## Values", *(_value(model) for model in values if model not in _PARTS)]
    parts += [
        "## Parts of a message\n\nThe field `type` says which one it is.",
        *(_value(model) for model in _PARTS),
    ]
    listed = {model for _, _, models in _GROUPS for model in models}
    known = set(get_args(get_args(Event)[0]))
    assert listed == known, f"no group for {known ^ listed}"  # noqa: S101 - a guard for authors
    return "\n\n".join(part.strip() for part in parts)


def _type(model: type[BaseModel]) -> str:
    return str(model.model_fields["type"].default)


def _event(model: type[BaseModel]) -> str:
    text = docstring(model).text
    return f"### {_type(model)}\n\n{text} In Python: `{model.__name__}`.\n\n{fields(model)}"


def _value(model: type[BaseModel]) -> str:
    name = f" Its `type` is `{_type(model)}`." if "type" in model.model_fields else ""
    return f"### {model.__name__}\n\n{docstring(model).text}{name}\n\n{fields(model)}"


def _values(models: Iterable[type[BaseModel]]) -> list[type[BaseModel]]:
    """The models in the fields of others, each once, in the order in which a reader meets them."""
    found: list[type[BaseModel]] = []
    pending = [one for model in models for one in models_in(model)]
    while pending:
        model = pending.pop(0)
        if model not in found:
            found.append(model)
            pending += models_in(model)
    return found
