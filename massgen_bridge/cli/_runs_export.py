"""`massgen-bridge runs export`: a run as a file to keep, to send or to read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._options import Debug, RunId
from massgen_bridge.cli._output import BadUsage
from massgen_bridge.cli._stdout import stdout
from massgen_bridge.display.words import count
from massgen_bridge.export import as_html, as_markdown, export_of, pictures_of
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.export import RunExport

__all__ = ["ExportFormat", "export"]


class ExportFormat(StrEnum):
    """What a run is written as."""

    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


_BY_SUFFIX = {
    ".json": ExportFormat.JSON,
    ".md": ExportFormat.MARKDOWN,
    ".markdown": ExportFormat.MARKDOWN,
    ".html": ExportFormat.HTML,
    ".htm": ExportFormat.HTML,
}


def export(
    run_id: RunId,
    *,
    form: Annotated[
        ExportFormat | None,
        typer.Option(
            "--format",
            help="Default: what the name of --output ends with; markdown on stdout.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", metavar="FILE", help="Where to write it, replacing what is there."
        ),
    ] = Path("-"),
    _debug: Debug = False,
) -> None:
    """Write a run as JSON, as Markdown, or as one page of HTML to read in a browser."""
    to_stdout = str(output) == "-"
    chosen = form or (ExportFormat.MARKDOWN if to_stdout else _form_of(output))
    index = RunIndex()
    row = index.find(run_id)
    run = export_of(read_run(index.path(row.run_id)))
    # A page holds its pictures itself. Beside text on stdout there is no place for any.
    beside = pictures_of(run) if chosen is ExportFormat.MARKDOWN and not to_stdout else {}
    folder = output.with_name(f"{output.stem}-pictures")
    text = _written(run, chosen, folder.name if beside else None).encode(errors="replace")
    if to_stdout:
        out = stdout()
        out.flush()
        out.buffer.write(text)
        out.buffer.flush()
        return
    try:
        output.write_bytes(text)
        _keep(beside, folder)
    except OSError as error:
        raise BadUsage(
            f"--output: {str(error.filename or output)!r} cannot be written:"
            f" {error.strerror or error}"
        ) from error
    more = f", with {count(len(beside), 'picture')} in {folder}" if beside else ""
    typer.echo(f"Run {row.run_id} is in {output} ({len(text):,} bytes){more}.", err=True)


def _keep(pictures: Mapping[str, bytes], folder: Path) -> None:
    if pictures:
        folder.mkdir(exist_ok=True)
    for name, data in pictures.items():
        (folder / name).write_bytes(data)


def _form_of(output: Path) -> ExportFormat:
    found = _BY_SUFFIX.get(output.suffix.lower())
    if found is None:
        known = ", ".join(_BY_SUFFIX)
        raise BadUsage(
            f"--output: {output.name!r} does not say which format it is: let it end with one of"
            f" {known}, or give --format"
        )
    return found


def _written(run: RunExport, form: ExportFormat, folder: str | None) -> str:
    match form:
        case ExportFormat.JSON:
            return run.model_dump_json(indent=2) + "\n"
        case ExportFormat.MARKDOWN:
            return as_markdown(run, folder=folder)
        case ExportFormat.HTML:
            return as_html(run)
