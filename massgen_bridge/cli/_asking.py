"""Asking a person: on stderr, since stdout belongs to the answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from massgen_bridge.config import CodeReference

__all__ = ["asker", "confirm"]

_ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def confirm(question: str) -> bool:
    """Ask until the answer is yes or no; no is what silence means.

    Raises:
        typer.Abort: There is nobody to answer.
    """
    while True:
        typer.echo(f"{question} [y/N] ", err=True, nl=False)
        line = sys.stdin.readline()
        if not line:
            raise typer.Abort
        answer = _ANSWERS.get(line.strip().lower())
        if answer is not None:
            return answer


def asker(file: Path) -> Callable[[Sequence[CodeReference]], bool] | None:
    """What asks whether a configuration may import code; None where nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(references: Sequence[CodeReference]) -> bool:
        typer.echo(f"{file} imports code, which can do whatever you can do:", err=True)
        for one in references:
            typer.echo(f"  {one}", err=True)
            for path in one.files:
                typer.echo(f"    {path}", err=True)
        return confirm("Allow it from now on, as long as nothing of it changes?")

    return ask
