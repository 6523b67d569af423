"""Options that several commands have, and what they take."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.core import TyperGroup

__all__ = ["AsJson", "Debug", "Output", "RunId", "Timeout", "Trust", "new_app"]


class Output(StrEnum):
    """What goes to stdout."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


# `_failures` looks for it among the arguments: it counts even where those cannot be parsed.
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
RunId = Annotated[
    str, typer.Argument(metavar="ID", help="A run's id, its beginning, or 'last' for the newest.")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="SECONDS", help="Longest run; then the best answer so far counts."
    ),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Allow the code that the configuration imports.")
]


def new_app(summary: str | None = None, *, cls: type[TyperGroup] | None = None) -> typer.Typer:
    """The Typer of a command's file, set up like all others.

    Args:
        summary: What a group is for; it does nothing without a command.
        cls: The class of a group.
    """
    return typer.Typer(
        cls=cls,
        help=summary,
        no_args_is_help=summary is not None,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
