"""The page of what the suite catches: the wrong agents that its own tests are made with."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import massgen_bridge
from pages.contract import proofs, suites, title_of
from pages.markdown import anchor, table

__all__ = ["WrongAgent", "page", "wrong_agents"]

# These are files of the checkout, wherever this page is written from.
_TESTS = Path(massgen_bridge.__file__).parents[1] / "tests"

_TOP = """\
# What the suite catches

A test is worth something if it fails where it should. So the [suites](contract.md) are run on
wrong agents, too: each breaks a promise on purpose, some in the way in which a framework broke it,
and each has to be found by the tests that are named here. An agent that uses a model is found on
every wire protocol that there is a model server for.

The rules for specifications and for the tests of adapters are tried elsewhere, on false ones.

A wrong agent that no test finds is a hole in the suite, and welcome as an issue.
"""


class WrongAgent(NamedTuple):
    """An agent that breaks a promise, what it does, and the tests that find it."""

    name: str
    text: str
    caught_by: tuple[str, ...]


def page() -> str:
    """The page."""
    parts = [_TOP]
    tried: set[str] = set()
    for title, found in wrong_agents():
        tried |= {test.partition("[")[0] for one in found for test in one.caught_by}
        rows = [(_words(one.name), one.text, _links(one.caught_by)) for one in found]
        parts.append(f"## {title}")
        parts.append(table(("the agent", "how", "what finds it"), rows))
    if rest := tuple(name for name in _of_agents() if name not in tried):
        parts.append(f"## No wrong agent yet\n\nNothing here breaks: {_links(rest)}.")
    return "\n\n".join(part.strip() for part in parts)


def _of_agents() -> Iterator[str]:
    """The tests of agents; those of specifications are tried on false specifications."""
    names = {
        name: None
        for suite in suites()
        for part, name, _ in proofs(suite)
        if not part.__module__.endswith("rules")
    }
    yield from names


def wrong_agents() -> Iterator[tuple[str, list[WrongAgent]]]:
    """Every wrong agent, file by file; a file's docstring is the title."""
    if str(_TESTS) not in sys.path:
        sys.path.append(str(_TESTS))
    for file in sorted((_TESTS / "testing" / "planted_bugs").glob("wrong_*.py")):
        module = __import__(f"testing.planted_bugs.{file.stem}", fromlist=["WRONG"])
        found = [
            WrongAgent(one.__name__, _joined(inspect.getdoc(one)), one.caught_by)
            for one in module.WRONG
        ]
        yield _joined(module.__doc__).rstrip("."), found


def _links(tests: tuple[str, ...]) -> str:
    """The guarantees that the tests prove, each with the cases that find the agent."""
    cases: dict[str, list[str]] = {}
    for test in tests:
        name, _, case = test.rstrip("]").partition("[")
        cases.setdefault(name, []).extend([case] if case else [])
    return "; ".join(
        f"[{title_of(name)}](contract.md#{anchor(title_of(name))})"
        + (f" ({', '.join(f'`{one}`' for one in found)})" if found else "")
        for name, found in cases.items()
    )


def _words(name: str) -> str:
    """`DropsPictures` as `drops pictures`."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


def _joined(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").strip()
