"""`massgen-bridge runs resume`: go on with a run that was stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._asking import asker
from massgen_bridge.cli._offer import BuildMissing, offer_environments
from massgen_bridge.cli._options import Debug, Output, RunId, Trust
from massgen_bridge.cli._output import DONE
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._running import Running, with_people
from massgen_bridge.cli._shown import ShownAs, new_display
from massgen_bridge.cli._weights import note_local_model
from massgen_bridge.config import open_config
from massgen_bridge.config.trust import content_hash
from massgen_bridge.runtime import execution
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.runtime.sessions import Session
from massgen_bridge.runtime.stopped import StoppedRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from massgen_bridge.config import RunConfig
    from massgen_bridge.events import Record, RunResult
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.runtime.setup import RunSetup

__all__ = ["resume"]


def resume(
    run_id: RunId,
    *,
    output: Annotated[
        Output,
        typer.Option("--output", help="On stdout: the answer, one JSON object, or new records."),
    ] = Output.TEXT,
    display: ShownAs = None,
    trust: Trust = False,
    yes: BuildMissing = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="The configuration, where the run does not hold it (any more).",
        ),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Take the run from another machine that is known to be gone."
        ),
    ] = False,
    _debug: Debug = False,
) -> int:
    """Go on with a run that was killed or interrupted.

    Turns that were finished are not repeated; one that was under way is started again. Exit codes
    are those of `run`.
    """
    index = RunIndex()
    stopped = StoppedRun.find(index.path(index.find(run_id).run_id), elsewhere=take_over)
    source = config or stopped.source()
    host = plugin_host()
    asked_about = config or Path(stopped.started.config_file or f"the run {stopped.run_id}")
    opened = open_config(source, host, trust=trust, ask=asker(asked_about))
    if config is None and stopped.setup is not None:
        _note_changes(stopped.setup, opened, host)
    prepared = prepare_run(opened, host=host, environ=os.environ, attach=False)
    offer_environments(prepared, yes=yes)
    shown = new_display(
        display.value if display else opened.ui.display, answer=output is Output.TEXT
    )
    prepared = with_people(prepared, shown)

    def job(listeners: Sequence[Callable[[Record], None]]) -> Awaitable[RunResult]:
        return execution.resume(prepared, stopped, listeners=listeners)

    for record in read_run(stopped.path):
        shown.listen(record)
    note_local_model(prepared)
    code = Running(prepared, job, shown, output, run_id=stopped.run_id).execute()
    if code == DONE:
        _note_session(stopped)
    return code


def _note_session(run: StoppedRun) -> None:
    """Say that the answer has become part of a conversation."""
    name = run.started.conversation.session if run.started.conversation else None
    if name is not None and any(turn.run_id == run.run_id for turn in Session(name).turns):
        typer.echo(f"note: the answer is part of the session {name!r} now", err=True)


def _note_changes(setup: RunSetup, config: RunConfig, host: PluginHost) -> None:
    """Say what is no longer as it was when the run began."""
    for file in setup.changed:
        typer.echo(
            f"note: {file} has changed since; the run goes on with what it said before",
            err=True,
        )
    if setup.content != content_hash(config, host):
        typer.echo(
            "note: code that the configuration imports has changed since; the run goes on with it"
            " as it is now",
            err=True,
        )
