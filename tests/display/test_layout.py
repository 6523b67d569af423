"""Agents share a terminal fairly; lines never get wider than they may."""

from __future__ import annotations

import io
import itertools

import pytest
from display.scenes import HOSTILE
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from massgen_bridge.display.layout import Grid, grid_of, wrapped
from massgen_bridge.display.text import steady

CONSOLE = Console(file=io.StringIO())


@pytest.mark.parametrize(
    ("agents", "width", "height", "grid"),
    [
        (1, 80, 22, Grid(1, 16, 1)),
        (2, 80, 22, Grid(2, 16, 2)),
        (3, 120, 38, Grid(3, 16, 3)),
        (4, 80, 22, Grid(2, 11, 4)),
        (3, 40, 11, Grid(1, 3, 3)),
        (12, 80, 22, Grid(2, 3, 12)),
        (12, 120, 38, Grid(3, 9, 12)),
        (12, 40, 11, Grid(1, 1, 10)),
        (12, 80, 11, Grid(2, 1, 12)),
        (1_000, 80, 22, Grid(2, 1, 42)),
        (3, 40, 0, Grid(1, 1, 0)),
    ],
)
def test_the_grid_fits_the_number_and_the_room(
    agents: int, width: int, height: int, grid: Grid
) -> None:
    assert grid_of(agents, width, height) == grid


@pytest.mark.parametrize("agents", [1, 2, 3, 5, 12, 40])
def test_a_grid_never_needs_more_room_than_there_is(agents: int) -> None:
    for width, height in itertools.product(range(10, 250, 7), range(1, 70, 3)):
        columns, tall, shown = grid_of(agents, width, height)
        rows = -(-shown // columns) + (shown < agents)
        assert rows * tall <= height or tall == rows == 1
        assert shown == agents or tall == 1
        assert columns * (width // columns) <= width


@given(st.text(st.sampled_from("ab c日é\u0301\n\U0001f44d"), max_size=200), st.integers(2, 40))
def test_wrapped_lines_fit_and_keep_all_but_white_space(text: str, width: int) -> None:
    lines = wrapped(text, CONSOLE, width)

    assert max(map(cell_len, lines)) <= width
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_word_longer_than_the_line_is_folded() -> None:
    lines = wrapped(steady(HOSTILE), CONSOLE, 36)

    assert max(map(cell_len, lines)) <= 36
    assert "".join(lines).count("x") == 300


def test_there_is_room_for_an_emoji_that_falls_into_its_parts() -> None:
    thumb, width = "\U0001f44d\U0001f3fd", 20

    assert wrapped(f"{'a ' * 8}{thumb}", CONSOLE, width) == [f"{'a ' * 8}{thumb}"]
    assert len(wrapped(f"{'a ' * 9}{thumb}", CONSOLE, width)) == 2
