"""Secrets are taken out of records before anything else sees them."""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import ValidationError

from massgen_bridge.errors import JournalError
from massgen_bridge.events import (
    ReasoningDelta,
    Record,
    RunFinished,
    TextDelta,
    TurnCancelled,
    TurnDone,
    TurnFailed,
)
from massgen_bridge.runtime.deltas import Joined, Stream, stream_of, whole
from massgen_bridge.runtime.rewrite import encode, rewrite
from massgen_bridge.runtime.secret_forms import MASK, SecretForms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Redactor"]

# A beginning of a secret that is this long is masked where it cannot be held back any longer.
_TELLING = 4


class Redactor:
    """Replaces secrets in a sequence of records by `[secret]`, also where deltas split them.

    A delta that may end in the middle of a secret is held back until the next delta of its stream
    has come, or given out before the next other record of its turn; where that has to happen in
    the middle of what may be a secret, its beginning is masked from 4 characters on and the rest
    of it is recognised later. Texts move to a later `seq` at most, never to another place within
    their turn; a record given out late may have a smaller `seq` than one of another turn before it.

    One redactor serves one sequence of records. Without secrets it costs nothing.

    Args:
        secrets: The values to look for, as they are, in JSON, URLs and base64; values of fewer
            than 6 characters are not looked for.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms = SecretForms(secrets)
        self._tails: dict[Stream, _Tail] = {}
        self._turns: dict[str | None, set[Stream]] = {}
        self._clean: set[bytes] = set()

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._forms)

    def redact(self, records: Iterable[Record]) -> list[Record]:
        """The records that can be given out now, without secrets."""
        if not self._forms:
            return list(records)
        return [self._without_secrets(whole(item)) for item in self.join(records)]

    def flush(self) -> list[Record]:
        """The deltas that were held back, at the end of the sequence."""
        return [self._without_secrets(whole(item)) for item in self.join_rest()]

    def join(self, items: Iterable[Record | Joined]) -> list[Record | Joined]:
        """The first half of `redact`, for a writer of many: no secret is split any more."""
        given: list[Record | Joined] = []
        for item in items:
            record, text = (item, None) if isinstance(item, Record) else item
            event = record.event
            if isinstance(event, (TextDelta, ReasoningDelta)):
                text = event.text if text is None else text
                if record.turn_id not in self._turns and not self._forms.may_go_on(text):
                    given.append(item)
                else:
                    given += self._feed(record, text)
                continue
            if isinstance(event, RunFinished):
                given += self.join_rest()
            elif isinstance(event, (TurnDone, TurnFailed, TurnCancelled)):
                given += self._end_turn(record.turn_id)
            elif record.turn_id in self._turns:
                given += self._release(record.turn_id)
            given.append(item)
        return given

    def join_rest(self) -> list[Joined]:
        """The first half of `flush`."""
        return _in_order(item for turn_id in list(self._turns) for item in self._end_turn(turn_id))

    def encode(
        self, items: Sequence[Record | Joined], name: Callable[[bytes], str] | None = None
    ) -> list[str]:
        """The second half, with the records as JSON.

        Args:
            items: What the first half gave.
            name: Gives the names under which media stand; it masks them itself. Base64 without it.

        Raises:
            JournalError: A secret stands where the schema allows no other text.
        """
        encoded = [encode(item, name) for item in items]
        # One search through all of them is several times faster than one through each.
        if not self._forms.found_in("\n".join(encoded)):
            return encoded
        return [
            encode(self._rewritten(whole(item)), name) if self._forms.found_in(text) else text
            for item, text in zip(items, encoded, strict=True)
        ]

    def mask_data(self, data: bytes) -> bytes:
        """Media without secrets."""
        return self._forms.mask_data(data)

    def _without_secrets(self, record: Record) -> Record:
        text = self._strings(record)
        return self._rewritten(record) if self._forms.found_in(text) else record

    def _strings(self, record: Record) -> str:
        """All the text of a record, to be looked through; of a delta, the cheap way."""
        event = record.event
        if not isinstance(event, (TextDelta, ReasoningDelta)):
            return encode(record, self._text_of)
        ids = (record.run_id, record.agent_id or "", record.turn_id or "")
        return "\n".join((event.text, event.source or "", *ids))

    def _text_of(self, data: bytes) -> str:
        """Media as text to be looked through: nothing of those that are known to be clean."""
        digest = sha256(data).digest()
        if digest in self._clean:
            return ""
        if self._forms.mask_data(data) != data:
            return b64encode(data).decode()
        self._clean.add(digest)
        return ""

    def _rewritten(self, record: Record) -> Record:
        try:
            return self._rewrite(record, MASK)
        except ValidationError:
            pass  # names of tools may have no brackets
        try:
            return self._rewrite(record, MASK.strip("[]"))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise JournalError(
                f"record {record.seq} holds a secret that cannot be masked at {place!r}"
                f" ({first['msg']}); give that another name"
            ) from error

    def _rewrite(self, record: Record, mask: str) -> Record:
        return rewrite(
            record,
            partial(self._forms.mask, mask=mask),
            partial(self._forms.mask_data, mask=mask),
        )

    def _feed(self, record: Record, text: str) -> list[Joined]:
        stream = stream_of(record)
        given = self._release(stream.turn_id, but=stream)
        tail = self._tails.get(stream)
        if tail is None:
            tail = self._tails[stream] = _Tail(self._forms)
            self._turns.setdefault(stream.turn_id, set()).add(stream)
        out = tail.feed(record, text)
        if tail.is_clear:
            self._drop(stream)
        return [*given, out] if out is not None else given

    def _release(self, turn_id: str | None, but: Stream | None = None) -> list[Joined]:
        streams = (stream for stream in self._turns.get(turn_id, ()) if stream != but)
        given = (self._tails[stream].release() for stream in streams)
        return _in_order(item for item in given if item is not None)

    def _end_turn(self, turn_id: str | None) -> list[Joined]:
        given = self._release(turn_id)
        for stream in list(self._turns.get(turn_id, ())):
            self._drop(stream)
        return given

    def _drop(self, stream: Stream) -> None:
        del self._tails[stream]
        streams = self._turns[stream.turn_id]
        streams.remove(stream)
        if not streams:
            del self._turns[stream.turn_id]


def _in_order(items: Iterable[Joined]) -> list[Joined]:
    return sorted(items, key=lambda item: item.delta.seq)


class _Tail:
    """The end of one stream, as far as it may be the beginning of a secret.

    `_told` was given out before (masked if `_is_masked`), `_held` was not; together with what comes
    next they are looked through again.
    """

    def __init__(self, forms: SecretForms) -> None:
        self._forms = forms
        self._told = ""
        self._is_masked = False
        self._held: Joined | None = None

    @property
    def is_clear(self) -> bool:
        """Whether nothing of the stream so far can belong to a secret that goes on."""
        return self._held is None and not self._told

    def feed(self, delta: Record, text: str) -> Joined | None:
        """Take the next delta of the stream; give what is certain by now."""
        held = self._held
        text = self._told + (held.text if held is not None else "") + text
        start = self._forms.unfinished(text)
        spans = self._forms.spans(text)
        certain = max(len(self._told), start, _end_of_span(spans, start))
        if certain < len(text):
            if held is None or certain == len(self._told):
                # There is no second `seq` for the rest, so all of it waits.
                first = delta if held is None else held.delta
                self._held = Joined(first, text[len(self._told) :])
                return None
            self._held = Joined(delta, text[certain:])
        else:
            self._held = None
        first = delta if held is None else held.delta
        return self._give(first, text[:certain], spans, start)

    def release(self) -> Joined | None:
        """Give what is held, because another record follows."""
        held, self._held = self._held, None
        if held is None:
            return None
        text = self._told + held.text
        start = self._forms.unfinished(text)
        spans = self._forms.spans(text)
        if len(text) - start >= _TELLING:
            before = [span for span in spans if span[1] <= start]
            joined = spans[len(before)][0] if len(before) < len(spans) else start
            spans = [*before, (min(start, joined), len(text))]
        return self._give(held.delta, text, spans, start)

    def _give(
        self, delta: Record, text: str, spans: list[tuple[int, int]], start: int
    ) -> Joined | None:
        """`delta` with what `text` has beyond `_told`; from `start` on it is looked at again."""
        pieces: list[str] = []
        after = len(self._told)
        for first, last in spans:
            if last <= after or first >= len(text):
                continue
            if first >= after:
                pieces += (text[after:first], MASK)
            elif not self._is_masked:
                pieces.append(MASK)
            after = last
        pieces.append(text[after:])
        inherited = self._is_masked and start < len(self._told)
        self._is_masked = inherited or _end_of_span(spans, start) > start
        self._told = text[start:]
        out = "".join(pieces)
        return Joined(delta, out) if out else None


def _end_of_span(spans: list[tuple[int, int]], position: int) -> int:
    """The end of the span that covers `position`; 0 if none does."""
    return next((last for first, last in spans if first <= position < last), 0)
