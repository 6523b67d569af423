"""`massgen-bridge simulate`: how well teams of a size would vote in stages, and at what price."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._options import Debug, new_app
from massgen_bridge.cli._output import print_json, say
from massgen_bridge.cli._tables import table
from massgen_bridge.display.markdown import markdown_table
from massgen_bridge.strategies.simulation import simulate as simulated

if TYPE_CHECKING:
    from massgen_bridge.strategies.simulation import Found, TeamFigures

__all__ = ["SimulateOutput", "app", "simulate"]

app = new_app()

_HEAD = (
    "AGENTS",
    "STAGES",
    "BEST WINS",
    "BEST, ALL RANK",
    "BEST, ALL VOTE",
    "TOP 3 WINS",
    "TOP 3, ALL RANK",
    "TOP 3, ALL VOTE",
    "TOKENS",
    "TOKENS, ALL VOTE",
    "RATIO",
)
_SIZES = [5, 10, 30, 100, 300]
_EVERY = 50


class SimulateOutput(StrEnum):
    """The form of what goes to stdout."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command()
def simulate(
    *,
    agents: Annotated[
        list[int] | None,
        typer.Option(
            "--agents",
            metavar="N",
            min=2,
            help="A team's size; repeatable. Default: 5, 10, 30, 100 and 300.",
        ),
    ] = None,
    ballot_size: Annotated[
        int,
        typer.Option("--ballot-size", metavar="N", min=3, help="Answers on one ballot at most."),
    ] = 7,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Made-up teams of each size.")
    ] = 1000,
    answer_tokens: Annotated[
        int, typer.Option("--answer-tokens", metavar="N", min=1, help="Tokens of one answer.")
    ] = 400,
    output: Annotated[
        SimulateOutput, typer.Option("--output", help="On stdout: a table, or one object a size.")
    ] = SimulateOutput.TEXT,
    _debug: Debug = False,
) -> None:
    """Show how well a vote in stages finds the best answer, and what it costs.

    Teams are made up: true quality and each voter's error are drawn from the same normal
    distribution. What deals, counts and decides is the code of real runs. No model is asked.

    Exit codes: 0 done, 2 bad usage, 130 interrupted.
    """
    found = []
    for size in agents or _SIZES:
        for figures in simulated(
            size, ballot_size=ballot_size, seeds=seeds, answer_tokens=answer_tokens
        ):
            _tell(figures, seeds)
        found.append(figures)
    if output is SimulateOutput.JSON:
        print_json([_plain(one) for one in found])
        return
    rows = [_row(one) for one in found]
    if output is SimulateOutput.MARKDOWN:
        say(markdown_table([one.capitalize() for one in _HEAD], rows, numbers=True))
    else:
        say(table(_HEAD, rows), nl=False)


def _tell(figures: TeamFigures, seeds: int) -> None:
    """How far it is, where a person waits for it."""
    if sys.stderr.isatty() and (figures.seeds % _EVERY == 0 or figures.seeds == seeds):
        end = "\n" if figures.seeds == seeds else ""
        sys.stderr.write(f"\r{figures.agents} agents: {figures.seeds} of {seeds} teams{end}")
        sys.stderr.flush()


def _plain(one: TeamFigures) -> dict[str, object]:
    named = {
        name: value._asdict() if hasattr(value, "_asdict") else value
        for name, value in one._asdict().items()
    }
    return {**named, "ratio": round(one.tokens / one.tokens_all, 4)}


def _row(one: TeamFigures) -> tuple[str, ...]:
    kinds = (one.staged, one.all_ranked, one.all_voted)
    return (
        str(one.agents),
        " → ".join(map(str, one.fields)),
        *(_share(kind, "best") for kind in kinds),
        *(_share(kind, "top3") for kind in kinds),
        f"{one.tokens:,}",
        f"{one.tokens_all:,}",
        f"{one.tokens / one.tokens_all:.2f}",
    )


def _share(found: Found, name: str) -> str:
    return f"{getattr(found, name):.3f}"
