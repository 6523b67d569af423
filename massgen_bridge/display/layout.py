"""How much of a terminal each agent gets, and how text is broken to fit into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["BORDERS", "SIDES", "Grid", "grid_of", "wrapped"]

BORDERS = 2
"""Lines of a panel that hold no text of the agent."""
SIDES = 4
"""Columns of a panel that hold no text."""

_LEAST_WIDTH = 38
_USEFUL_WIDTH = 60
_MOST_HEIGHT = 16
_LEAST_LINE = 30
_SKIN_TONES = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
_EMOJI_STYLE = "\ufe0f"


class Grid(NamedTuple):
    """Where the agents go: `height` 1 means a line an agent, more means panels."""

    columns: int
    height: int
    shown: int


def grid_of(agents: int, width: int, height: int) -> Grid:
    """The grid that shows most text of so many agents in so much room (in cells)."""
    best, most = Grid(1, 1, 0), 0.0
    for columns in range(1, max(1, width // _LEAST_WIDTH) + 1):
        rows = -(-agents // columns)
        tall = height // rows
        if tall > BORDERS and width // columns > SIDES:
            useful = min(width // columns - SIDES, _USEFUL_WIDTH)
            text = useful * (tall - BORDERS) * agents / (rows * columns)
            if text > most:
                best, most = Grid(columns, min(tall, _MOST_HEIGHT), agents), text
    if most:
        return best
    columns = max(1, min(-(-agents // max(height, 1)), width // _LEAST_LINE))
    room = columns * height
    return Grid(columns, 1, agents if agents <= room else max(room - columns, 0))


def wrapped(text: str, console: Console, width: int) -> list[str]:
    """Lines of at most `width` cells, broken between words where that is possible.

    Some terminals show a joined emoji as its parts, one after the other: there is room for that.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        measured = cell_len(line)
        loose = 0 if line.isascii() else max(0, _in_parts(line) - measured)
        if measured + loose <= width:
            lines.append(line)
        else:
            parts = Text(line).wrap(console, max(width - loose, width // 2, 1), overflow="fold")
            lines.extend(part.plain.rstrip() for part in parts)
    return lines


def _in_parts(line: str) -> int:
    widened = sum(2 if mark in _SKIN_TONES else mark == _EMOJI_STYLE for mark in line)
    return sum(map(cell_len, line)) + widened
