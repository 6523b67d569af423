"""`massgen-bridge runs`: the runs of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_bridge.cli._app import COMMANDS
from massgen_bridge.cli._asking import confirm
from massgen_bridge.cli._durations import duration
from massgen_bridge.cli._options import AsJson, Debug, Output, RunId, new_app
from massgen_bridge.cli._output import BadUsage, Failure, failed_run, print_json, say
from massgen_bridge.cli._records import result_object
from massgen_bridge.cli._runs_export import export
from massgen_bridge.cli._runs_replay import replay
from massgen_bridge.cli._runs_resume import resume
from massgen_bridge.cli._tables import table
from massgen_bridge.display import render_summary
from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import count, dollars, moment
from massgen_bridge.events import RunFinished
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.runtime.journal_file import read_ends
from massgen_bridge.runtime.rewrite import encode, media_name

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.runtime.index import RunRow

__all__ = ["app", "list_runs", "prune", "show"]

app = new_app(COMMANDS["runs"])

_QUESTION = 60


@app.command("list")
def list_runs(
    *,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="The newest so many; 0 for all.")
    ] = 20,
    inner: Annotated[
        bool, typer.Option("--inner", help="Also what teams did within runs, each as its own.")
    ] = False,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """List runs, the newest first."""
    rows = RunIndex().list(limit or None, inner=inner)
    if as_json:
        print_json([_plain(row) for row in rows])
    elif rows:
        say(_listing(rows), nl=False)
    else:
        typer.echo("There are no runs.", err=True)


@app.command()
def show(
    run_id: RunId,
    *,
    output: Annotated[
        Output, typer.Option("--output", help="A summary, the result, or all records.")
    ] = Output.TEXT,
    _debug: Debug = False,
) -> None:
    """Show a run."""
    index = RunIndex()
    row = index.find(run_id)
    path = index.path(row.run_id)
    if output is Output.TEXT:
        say(render_summary(read_run(path)), nl=False)
    elif output is Output.JSONL:
        for record in read_run(path):
            print_json(encode(record, media_name))
    else:
        print_json(_result(row, path))


app.command()(resume)
app.command()(replay)
app.command()(export)


@app.command()
def prune(
    *,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="TIME", help="Such as 30d, 12h or 2w."),
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", min=0, metavar="N", help="Keep the newest N.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    _debug: Debug = False,
) -> None:
    """Delete runs for good; never one that is running."""
    if older_than is None and keep is None:
        raise BadUsage("say which runs to delete: --older-than 30d, --keep 100, or both")
    age = None if older_than is None else duration(older_than, "--older-than")
    index = RunIndex()
    rows = index.prune(older_than=age, keep=keep, dry_run=True)
    if not rows:
        typer.echo("There is nothing to delete.", err=True)
        return
    if dry_run or not yes:
        say(_listing(rows), nl=False)
    if dry_run:
        typer.echo(f"{count(len(rows), 'run')} would be deleted.", err=True)
        return
    if not yes and not confirm(f"Delete {count(len(rows), 'run')}?"):
        typer.echo("Nothing was deleted.", err=True)
        return
    deleted = index.prune(older_than=age, keep=keep)
    typer.echo(f"{count(len(deleted), 'run')} deleted.", err=True)


def _result(row: RunRow, path: Path) -> dict[str, Any]:
    ends = read_ends(path)
    if ends is not None and isinstance(ends[1].event, RunFinished):
        return result_object(ends[1].event.result)
    failure = Failure(row.status, "this run has no end: it still goes on, or was broken off")
    return failed_run(failure, run_id=row.run_id, status=row.status)


def _listing(rows: tuple[RunRow, ...]) -> str:
    lines = [
        (
            row.run_id,
            moment(row.started_at),
            row.status,
            row.winner or "-",
            str(row.calls),
            dollars(row.cost.usd, row.cost.unpriced_calls) if row.cost else "-",
            f"{row.duration_s:.1f} s",
            _asked(row),
        )
        for row in rows
    ]
    return table(("ID", "STARTED", "STATUS", "WINNER", "CALLS", "COST", "TIME", "QUESTION"), lines)


def _asked(row: RunRow) -> str:
    more = f" (+{count(row.media_in, 'file')})" if row.media_in else ""
    return f"{clip(one_line(row.question), _QUESTION)}{more}"


def _plain(row: RunRow) -> dict[str, Any]:
    return row.model_dump(mode="json", exclude={"owner"})
