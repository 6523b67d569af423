"""Finds what breaks somebody between two listings, and whether it was declared."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from public_api.entry import Entry, alternatives
from public_api.listing import Entries, Listing

__all__ = ["Break", "Declared", "breaks", "declared", "problems", "unreleased"]

# By the first word of an entry's sort: who gives such a value, and who has to live with it.
_TAKEN = {"argument", "field", "key", "option", "parameter"}
_TAKES = _TAKEN | {"given result", "hook result"}
_GIVES = {"given parameter", "hook argument", "json", "property", "result"}
_MAY_GROW = re.compile(r"(list of )?(['\"].*|[A-Z]\w*)")
_MAY_BECOME = {
    ("parameter by name", "parameter"),
    ("parameter, without its name", "parameter"),
    ("field", "field by place"),
}


class Break(NamedTuple):
    """Something public that somebody may rely on and that is no longer so."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


class Declared(NamedTuple):
    """A break that is meant: in which version, and why."""

    path: str
    version: str
    reason: str


def breaks(old: Entries, new: Entries) -> list[Break]:
    """What was so and is no longer so; what is merely new is not listed."""
    found = [Break(path, what) for path in old for what in _changes(path, old, new)]
    found += [Break(path, what) for path in new.keys() - old for what in _news(path, old, new)]
    return sorted(found)


# --- one entry ---------------------------------------------------------------------------------


def _changes(path: str, old: Entries, new: Entries) -> Iterator[str]:
    was, now = old[path], new.get(path)
    if now is None:
        if was.sort != "bound" and not any(one in old and one not in new for one in _above(path)):
            yield f"the {_plain(was.sort)} is gone"
        return
    if was.sort != now.sort and (_without_place(was), _without_place(now)) not in _MAY_BECOME:
        yield f"was a {was.sort}, is a {now.sort}"
        return
    yield from _defaults(was, now)
    yield from _types(was, now)


def _defaults(was: Entry, now: Entry) -> Iterator[str]:
    kind = _kind(was)
    if kind not in {*_TAKEN, "constant"} or was.default is None:
        return
    if now.default is None:
        yield f"has to be given now; was {was.default}"
    elif was.default != now.default:
        yield f"was {was.default} by default, is {now.default}"


def _types(was: Entry, now: Entry) -> Iterator[str]:
    kind = _kind(was)
    before, after = alternatives(was.type), alternatives(now.type)
    lost, gained = sorted(before - after), sorted(after - before)
    if kind in {*_TAKES, "type"} and lost:
        yield f"no longer takes {' | '.join(lost)}"
    if kind == "json":  # sets of words and of models, such as events, may grow
        gained = [one for one in gained if not _MAY_GROW.fullmatch(one)]
    if kind in _GIVES and gained:
        yield f"may now be {' | '.join(gained)}"
    if kind == "field" and "None" in gained and not lost:
        yield "may now be None"


def _news(path: str, old: Entries, new: Entries) -> Iterator[str]:
    """Why something new breaks what was there before."""
    entry, above = new[path], next((one for one in _above(path) if one in new), None)
    if above not in old:
        return
    if entry.sort == "bound":
        yield "a bound that was not there"
    elif _kind(entry) in _TAKEN and entry.default is None:
        yield f"a new {_plain(entry.sort)} that has to be given"
    elif entry.sort.startswith("given ") and not path.endswith(" ->"):
        yield f"a new {_plain(entry.sort)} that implementations lack"


def _above(path: str) -> Iterator[str]:
    """The places that a place is within, from the nearest on."""
    while cut := max(path.rfind(mark) for mark in " .([") + 1:
        path = path[: cut - 1]
        yield path


def _kind(entry: Entry) -> str:
    words = entry.sort.split()
    return " ".join(words[: 2 if words[0] in {"given", "hook"} else 1]).rstrip(",")


def _without_place(entry: Entry) -> str:
    return re.sub(r" \d+", "", entry.sort)


def _plain(sort: str) -> str:
    return re.sub(r"^given | by (name|place)$| \d+.*$| \(.*\)$", "", sort)


# --- what was declared -------------------------------------------------------------------------


def declared(text: str) -> list[Declared]:
    """The breaks that a file in TOML declares."""
    return [Declared(**one) for one in tomllib.loads(text).get("break", ())]


def unreleased(changelog: str) -> str:
    """What a change log says of the next release."""
    return changelog.partition("## [Unreleased]")[2].partition("\n## ")[0]


def problems(
    found: Sequence[Break], meant: Sequence[Declared], released: Listing, notes: str
) -> list[str]:
    """What is left to do before these breaks may be released.

    Args:
        found: The breaks since the last release.
        meant: Those that are declared.
        released: What was public in the last release.
        notes: What the change log says of the next one.
    """
    paths = {one.path for one in meant}
    left = [str(one) for one in found if one.path not in paths]
    for one in meant:
        name = re.split(r"[ .(]", one.path.rstrip(")>- "))[-1]
        if one.path not in {real.path for real in found}:
            left.append(f"{one.path}: declared as broken, but it is not")
        if _numbers(one.version) <= _numbers(released.version):
            left.append(f"{one.path}: {one.version} is not after {released.version}")
        if not one.reason.strip():
            left.append(f"{one.path}: say why")
        if name not in notes:
            left.append(f"{one.path}: {name!r} is not in the change log's next release")
    return left


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3])
