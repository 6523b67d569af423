"""Deltas of many turns, put together again: which one continues which, and how they merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from massgen_bridge.events import ReasoningDelta, Record, TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Joined", "Stream", "coalesce", "seq_of", "stream_of", "whole"]


class Stream(NamedTuple):
    """What deltas belong to: one kind of text of one source in one turn."""

    turn_id: str | None
    kind: type[TextDelta | ReasoningDelta]
    source: str | None


class Joined(NamedTuple):
    """A delta with another text than its own: several in one, or what is left of one.

    Making a `Record` of it costs more than writing it, so that is left to whoever needs one.
    """

    delta: Record
    text: str


def stream_of(delta: Record) -> Stream:
    """The stream that a delta belongs to."""
    event = cast("TextDelta | ReasoningDelta", delta.event)
    return Stream(delta.turn_id, type(event), event.source)


def seq_of(item: Record | Joined) -> int:
    """The number under which the item is stored."""
    return (item if isinstance(item, Record) else item.delta).seq


def whole(item: Record | Joined) -> Record:
    """The item as a record of its own."""
    if isinstance(item, Record):
        return item
    event = item.delta.event.model_copy(update={"text": item.text})
    return item.delta.model_copy(update={"event": event})


def coalesce(records: Iterable[Record]) -> list[Record | Joined]:
    """The same records with fewer deltas.

    A delta joins the one before it in its stream unless another record of its turn stands between
    them; the joined one keeps the `seq` and the `at` of the first. So within a turn nothing changes
    its place, and `seq` still increases, with holes.
    """
    kept: list[Record | Joined] = []
    runs: list[tuple[int, list[str]]] = []
    # By turn, the kind, the source and the texts of the deltas that came last.
    last: dict[str | None, tuple[type, str | None, list[str]] | None] = {}
    for record in records:
        event = record.event
        if isinstance(event, (TextDelta, ReasoningDelta)):
            before = last.get(record.turn_id)
            if before is not None and before[0] is type(event) and before[1] == event.source:
                before[2].append(event.text)
                continue
            texts = [event.text]
            last[record.turn_id] = (type(event), event.source, texts)
            runs.append((len(kept), texts))
        else:
            last[record.turn_id] = None
        kept.append(record)
    for index, texts in runs:
        if len(texts) > 1:
            kept[index] = Joined(whole(kept[index]), "".join(texts))
    return kept
