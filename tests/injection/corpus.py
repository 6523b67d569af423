"""The corpus of `hostile_answers.json`: answers that try to be more than answers.

In their texts, `{mark}` stands for the mark of a turn that the author had itself: the most that it
can know. `repeat` makes a text long.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from massgen_bridge import ballots

OLD_MARK = ballots.mark_of("secret", "eve.1")


class Hostile(NamedTuple):
    """An answer, and what it tries."""

    name: str
    text: str


CORPUS = [
    Hostile(one["name"], one["text"].replace("{mark}", OLD_MARK) * one.get("repeat", 1))
    for one in json.loads(Path(__file__).with_name("hostile_answers.json").read_text())
]
each = pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
