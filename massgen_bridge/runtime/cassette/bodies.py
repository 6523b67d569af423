"""What is sent and what comes back, as it stands in a cassette: readable, and without secrets."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from massgen_bridge.runtime.cassette.lines import Reply
from massgen_bridge.runtime.secret_forms import MASK, SecretForms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from massgen_bridge.messages import JsonValue

__all__ = ["Cleaner", "body_of", "canonical", "is_whole", "reply_of"]

_RUN = "[run]"
_HEADERS = ("content-type", "retry-after", "retry-after-ms", "x-should-retry")
_MEDIA = re.compile(r"(data:[^,]{1,100};base64,)?([A-Za-z0-9+/_-]{1000,}={0,2})")
_BLANK = re.compile(r"(\r\n\r\n|\n\n|\r\r)")
_TELLING = 4  # a beginning of a secret that is this long is masked where a stream breaks off


class Cleaner:
    """Takes out what must not stand in a cassette, or would differ in each run.

    These are secrets, the run's id, and what is sent of media: by its hash it is known again.

    Args:
        forms: The secrets.
        run_id: The id of the run; None before it has one.
    """

    def __init__(self, forms: SecretForms, run_id: str | None) -> None:
        self._forms = forms
        self._run_id = run_id

    def text(self, text: str) -> str:
        """A text that may stand in the cassette."""
        clean = self._forms.mask(text)
        return clean.replace(self._run_id, _RUN) if self._run_id else clean

    def value(self, value: JsonValue, *, media: bool = True) -> JsonValue:
        """A JSON value that may stand in the cassette.

        Args:
            value: The value.
            media: Whether data in base64 is kept, and not only its hash.
        """
        match value:
            case str():
                data = None if media else _MEDIA.fullmatch(value)
                return self.text(value) if data is None else _digest(data)
            case dict():
                return {
                    self.text(name): self.value(one, media=media) for name, one in value.items()
                }
            case list():
                return [self.value(one, media=media) for one in value]
            case bool() | None:
                return value
            case _:
                return MASK if self._forms.found_in(json.dumps(value)) else value

    def request(self, content: bytes) -> JsonValue:
        """The body of a request."""
        try:
            return self.value(json.loads(content), media=False)
        except ValueError:  # no JSON, or no UTF-8
            data = self._forms.mask_data(content)
            return f"[{len(data)} bytes, sha256 {sha256(data).hexdigest()}]"

    def reply(
        self, status: int, headers: Mapping[str, str], content: bytes, *, whole: bool
    ) -> Reply:
        """What came back, as it stands in the cassette.

        Args:
            status: The HTTP status.
            headers: All its headers, their names in lower case.
            content: The body.
            whole: Whether nothing of it is missing.
        """
        kept = {name: self.text(headers[name]) for name in _HEADERS if name in headers}
        try:
            text = content.decode()
        except UnicodeDecodeError:
            data = self._forms.mask_data(content)
            return Reply(status=status, headers=kept, base64=b64encode(data).decode())
        if "event-stream" in kept.get("content-type", ""):
            events = self._events(text, whole=whole)
            return Reply(status=status, headers=kept, events=tuple(events))
        try:
            return Reply(status=status, headers=kept, body=self.value(json.loads(text)))
        except ValueError:
            if not whole:
                text = self._without_beginning(text)
            return Reply(status=status, headers=kept, text=self.text(text))

    def _events(self, text: str, *, whole: bool) -> list[JsonValue]:
        parts = _BLANK.split(text)
        ends = [*parts[1::2], ""]
        blocks = zip(parts[::2], ends, strict=True)
        events = [_event(block, end) for block, end in blocks if block or end]
        pieces: dict[tuple[Any, ...], list[tuple[Any, Any]]] = {}
        for event in events:
            if isinstance(event, dict):
                for key, place in _leaves(event["data"], ()):
                    pieces.setdefault(key, []).append(place)
        for places in pieces.values():
            self._mask_split(
                [place for place in places if isinstance(place[0][place[1]], str)], whole=whole
            )
        return [self.value(event) for event in events]

    def _mask_split(self, places: Sequence[tuple[Any, Any]], *, whole: bool) -> None:
        """Mask what stands in several pieces of one text."""
        texts = [holder[name] for holder, name in places]
        joined = "".join(texts)
        spans = self._forms.spans(joined)
        start = len(joined) if whole else self._forms.unfinished(joined)
        if len(joined) - start >= _TELLING:
            spans = [*(span for span in spans if span[1] <= start), (start, len(joined))]
        if not spans:
            return
        after = 0
        for (holder, name), text in zip(places, texts, strict=True):
            holder[name] = _masked_piece(text, after, spans)
            after += len(text)

    def _without_beginning(self, text: str) -> str:
        start = self._forms.unfinished(text)
        return text[:start] + MASK if len(text) - start >= _TELLING else text


def canonical(agent: str, path: str, request: JsonValue) -> str:
    """What tells one request from another; the order of names does not count."""
    return json.dumps([agent, path, request], sort_keys=True, ensure_ascii=False)


def is_whole(headers: Mapping[str, str], content: bytes) -> bool:
    """Whether a stream has its end marker: what comes after it, nobody needs to read."""
    if "event-stream" not in headers.get("content-type", ""):
        return False
    tail = content[-2000:]
    return b"data: [DONE]" in tail or b'"message_stop"' in tail


def reply_of(reply: Reply, run_id: str) -> bytes:
    """The body of a recorded reply, for another run."""
    if reply.base64 is not None:
        return b64decode(reply.base64)
    if reply.events is not None:
        text = "".join(map(_event_text, reply.events))
    elif reply.text is not None:
        text = reply.text
    else:
        text = json.dumps(reply.body)
    return text.replace(_RUN, run_id).encode()


def body_of(value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """The parts of a request's body with their places, such as `messages[0].content`."""
    yield from _places(value, "")


def _places(value: JsonValue, place: str) -> Iterator[tuple[str, JsonValue]]:
    match value:
        case dict() if value:
            for name in sorted(value):
                yield from _places(value[name], f"{place}.{name}" if place else name)
        case list() if value:
            for position, one in enumerate(value):
                yield from _places(one, f"{place}[{position}]")
        case _:
            yield place, value


def _digest(media: re.Match[str]) -> str:
    data = media[2]
    digest = sha256(data.encode()).hexdigest()
    return f"{media[1] or ''}[{len(data)} characters, sha256 {digest}]"


def _event(block: str, end: str) -> JsonValue:
    """An event of a stream: parsed where it is the usual one, else as it came."""
    lines = block.split("\n")
    name = lines[0].removeprefix("event: ") if lines[0].startswith("event: ") else None
    data = lines[1:] if name is not None else lines
    if end == "\n\n" and len(data) == 1 and data[0].startswith("data: {"):
        try:
            parsed = json.loads(data[0].removeprefix("data: "))
        except ValueError:
            return block + end
        return {"data": parsed} if name is None else {"event": name, "data": parsed}
    return block + end


def _event_text(event: JsonValue) -> str:
    if isinstance(event, str):
        return event
    # In ASCII: half a character, which JSON can hold and UTF-8 cannot, comes through.
    data = f"data: {json.dumps(event['data'])}\n\n"
    return f"event: {event['event']}\n{data}" if "event" in event else data


def _leaves(
    value: JsonValue, key: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, Any]]]:
    """The places of all texts, each with what those of other events have that continue it."""
    if isinstance(value, dict):
        if isinstance(value.get("index"), int):
            key = (*key, ("index", value["index"]))
        for name, one in value.items():
            if isinstance(one, str):
                yield (*key, name), (value, name)
            else:
                yield from _leaves(one, (*key, name))
    elif isinstance(value, list):
        for position, one in enumerate(value):
            if isinstance(one, str):
                yield (*key, position), (value, position)
            elif isinstance(one, dict) and isinstance(one.get("index"), int):
                yield from _leaves(one, key)
            else:
                yield from _leaves(one, (*key, position))


def _masked_piece(text: str, after: int, spans: Sequence[tuple[int, int]]) -> str:
    """A piece that begins at `after` of a text with secrets at `spans`."""
    pieces: list[str] = []
    told = 0
    for start, end in spans:
        first, last = max(start - after, 0), min(end - after, len(text))
        if first >= len(text) or last <= 0:
            continue
        pieces.append(text[told:first])
        if start >= after:
            pieces.append(MASK)
        told = last
    return "".join((*pieces, text[told:]))
