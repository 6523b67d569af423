"""A picture of a recorded run: `python -m massgen_bridge.display.picture RECORDS.jsonl RUN.svg`."""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from massgen_bridge.display.frame import Frame
from massgen_bridge.display.live import styled
from massgen_bridge.display.state import RunView
from massgen_bridge.display.summary import outcome, totals
from massgen_bridge.display.text import clean
from massgen_bridge.display.words import answer_words
from massgen_bridge.events import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["main", "picture"]

_WIDTH = 116
_HEIGHT = 24
# An image in a README may load nothing: the reader's own monospace font is used.
_FONT_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def picture(
    records: Iterable[Record], *, width: int = _WIDTH, height: int = _HEIGHT, title: str = ""
) -> str:
    """Draw a finished run as SVG: the panels as they stood at the end, the summary, the answer.

    The same records always give the same picture.

    Args:
        records: All records of a run, in order.
        width: Columns of the terminal in the picture.
        height: Lines that the panels share.
        title: Text in the window's title bar.
    """
    view = RunView(records)
    console = Console(
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        width=width,
        height=height,
        highlight=False,
        emoji=False,
    )
    console.print(Frame(view=view, now=view.last_at))
    console.print()
    for line in outcome(view):
        console.print(styled(line, console))
    if view.result is not None and view.result.answer is not None:
        console.print(Text(f"\n{clean(answer_words(view.result))}\n", overflow="fold"))
    console.print(styled(totals(view), console))
    svg = console.export_svg(title=title or "massgen-bridge", unique_id="run")
    return _FONT_FACES.sub("", svg)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read records, one JSON object a line, and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m massgen_bridge.display.picture")
    parser.add_argument("records", type=Path, help="records of a run, one JSON object a line")
    parser.add_argument("svg", type=Path, help="the picture to write")
    parser.add_argument("--width", type=int, default=_WIDTH, help="columns")
    parser.add_argument("--height", type=int, default=_HEIGHT, help="lines for the panels")
    parser.add_argument("--title", default="", help="text in the title bar")
    chosen = parser.parse_args(arguments)
    try:
        lines = chosen.records.read_text(encoding="utf-8").split("\n")
        records = [Record.model_validate_json(line) for line in lines if line.strip()]
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        parser.error(f"{str(chosen.records)!r} holds no records of a run: {error}")
    svg = picture(records, width=chosen.width, height=chosen.height, title=chosen.title)
    chosen.svg.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
