"""Finding the recorded call that a request is, and saying where it differs from the nearest."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from massgen_bridge.runtime.cassette.bodies import body_of, canonical
from massgen_bridge.runtime.secret_forms import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.messages import JsonValue
    from massgen_bridge.models.tape import Caller
    from massgen_bridge.runtime.cassette.lines import Call

__all__ = ["Calls", "TapedStep", "fits"]

_AROUND = 30
_SHOWN = 60


@dataclass(eq=False, kw_only=True)
class TapedStep:
    """A recorded call: the number of its line, its place in the order, None where it was left."""

    call: Call
    line: int
    step: int | None
    is_used: bool = field(default=False)


class Calls:
    """The calls of a cassette.

    Args:
        calls: All of them.
    """

    def __init__(self, calls: Iterable[TapedStep]) -> None:
        self._all = sorted(calls, key=lambda one: (one.call.agent, one.call.call))
        self._by_body: dict[str, list[TapedStep]] = {}
        self._masked: list[tuple[re.Pattern[str], TapedStep]] = []
        for one in self._all:
            key = canonical(one.call.agent, one.call.path, one.call.request)
            self._by_body.setdefault(key, []).append(one)
            if MASK in key:
                self._masked.append((_pattern(key), one))

    def take(self, who: Caller, path: str, request: JsonValue) -> TapedStep | None:
        """The recorded call of a request, which then is used; of several alike the first.

        One of the same turn comes before one of another.
        """
        key = canonical(who.agent, path, request)
        alike = self._by_body.get(key, []) + [
            one for pattern, one in self._masked if pattern.fullmatch(key)
        ]
        free = [one for one in alike if not one.is_used]
        found = next((one for one in free if one.call.turn == who.turn), None)
        found = found or next(iter(free), None)
        if found is not None:
            found.is_used = True
        return found

    def unused(self) -> list[TapedStep]:
        """Calls that were made to their end in the recording, and not now."""
        return [one for one in self._all if not one.is_used and not one.call.left]

    def difference(self, who: Caller, path: str, request: JsonValue) -> str:
        """How a request that is not there differs from what is."""
        mine = [one for one in self._all if one.call.agent == who.agent]
        if not mine:
            return "the cassette has no call of this agent"
        free = [one for one in mine if not one.is_used]
        if not free:
            return f"all {len(mine)} recorded calls of this agent are used"
        asked = list(body_of(request))
        nearest = max(free, key=lambda one: (one.call.path == path, _alike(asked, one)))
        told = f"the nearest is call {nearest.call.call} (line {nearest.line})"
        if nearest.call.path != path:
            return f"{told}, which went to {nearest.call.path!r}, not to {path!r}"
        return f"{told}; {_first_difference(asked, list(body_of(nearest.call.request)))}"


def fits(recorded: str, given: str) -> bool:
    """Whether a text may be the recorded one, in which secrets were masked."""
    return recorded == given or (MASK in recorded and bool(_pattern(recorded).fullmatch(given)))


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, text.split(MASK))), re.DOTALL)


def _alike(asked: list[tuple[str, JsonValue]], one: TapedStep) -> tuple[int, int]:
    """How much of a request is the same: first its parts, then the beginnings of the others."""
    recorded = dict(body_of(one.call.request))
    same = sum(place in recorded and recorded[place] == value for place, value in asked)
    beginnings = sum(
        _common(value, recorded[place])
        for place, value in asked
        if isinstance(value, str) and isinstance(recorded.get(place), str)
    )
    return same, beginnings


def _first_difference(
    asked: list[tuple[str, JsonValue]], recorded: list[tuple[str, JsonValue]]
) -> str:
    for now, then in zip_longest(asked, recorded):
        if now == then:
            continue
        if then is None or (now is not None and now[0] < then[0]):
            return f"it has no {now[0]!r}: asked {_short(now[1])}"
        if now is None or now[0] != then[0]:
            return f"it has {then[0]!r}, which is not asked: recorded {_short(then[1])}"
        if isinstance(now[1], str) and isinstance(then[1], str):
            at = _common(now[1], then[1])
            start = max(0, at - _AROUND)
            return (
                f"the first difference is at character {at + 1} of {now[0]}: asked"
                f" {_cut(now[1], start)}, recorded {_cut(then[1], start)}"
            )
        return (
            f"the first difference is {now[0]}: asked {_short(now[1])}, recorded {_short(then[1])}"
        )
    return "it says the same"


def _common(first: str, second: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(first), len(second)))


def _cut(text: str, start: int) -> str:
    shown = text[start : start + 2 * _AROUND]
    before = "…" if start else ""
    after = "…" if len(text) > start + len(shown) else ""
    return repr(f"{before}{shown}{after}")


def _short(value: JsonValue) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
