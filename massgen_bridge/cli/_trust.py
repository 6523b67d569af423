"""Asking a person whether a configuration may import code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from massgen_bridge.config import CodeReference

__all__ = ["asker"]


def asker(file: Path) -> Callable[[Sequence[CodeReference]], bool] | None:
    """What asks, where somebody is there to be asked; None elsewhere."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(references: Sequence[CodeReference]) -> bool:
        typer.echo(f"{file} imports code, which can do whatever you can do:", err=True)
        for one in references:
            typer.echo(f"  {one}", err=True)
            for path in one.files:
                typer.echo(f"    {path}", err=True)
        return typer.confirm("Allow it from now on, as long as nothing of it changes?", err=True)

    return ask
