"""`massgen-bridge runs replay`: see a run again, from its records alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._options import Debug, Output, RunId
from massgen_bridge.cli._output import DONE, FAILED, BadUsage, Failure, failed_run, print_json
from massgen_bridge.cli._records import result_object
from massgen_bridge.cli._shown import DisplayChoice, new_display
from massgen_bridge.events import RunFinished, RunResumed
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.runtime.rewrite import encode, media_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from massgen_bridge.display import Display
    from massgen_bridge.events import Record, RunResult

__all__ = ["replay"]

_LONGEST_PAUSE_S = 5.0


def replay(
    run_id: RunId,
    *,
    speed: Annotated[
        float, typer.Option("--speed", metavar="N", help="N times as fast as it was.")
    ] = 1.0,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Whether to take time at all.")
    ] = True,
    output: Annotated[
        Output,
        typer.Option("--output", help="On stdout: the answer, one JSON object, or all records."),
    ] = Output.TEXT,
    display: Annotated[
        DisplayChoice, typer.Option("--display", help="How the run is shown on stderr.")
    ] = DisplayChoice.AUTO,
    _debug: Debug = False,
) -> int:
    """Show a run again as it went, without any agent.

    No model is called: its records are all that is used. Pauses are cut to 5 seconds. Exit codes:
    0 answered, 1 no answer.
    """
    if speed <= 0:
        raise BadUsage(f"--speed: expected a number above 0, found {speed:g}")
    index = RunIndex()
    row = index.find(run_id)
    pace = _Pace(index.path(row.run_id), speed if wait else None)
    shown = new_display(display.value, answer=output is Output.TEXT, clock=pace.now)
    result = _show(pace, shown, output)
    if result is None:
        return _without_end(row.run_id, output)
    shown.finish(result)
    if output is Output.JSON:
        print_json(result_object(result))
    return DONE if result.answer is not None else FAILED


def _show(pace: _Pace, shown: Display, output: Output) -> RunResult | None:
    """Show all records; the result, None where the run has none."""
    result = None
    with shown:
        for record in pace.records():
            shown.listen(record)
            if output is Output.JSONL:
                print_json(encode(record, media_name))
            if isinstance(record.event, RunFinished):
                result = record.event.result
            elif isinstance(record.event, RunResumed):
                result = None
    return result


def _without_end(run_id: str, output: Output) -> int:
    said = f"this run has no end; `massgen-bridge runs resume {run_id}` goes on with it"
    typer.echo(f"Error: {said}", err=True)
    if output is Output.JSON:
        failure = Failure("interrupted", said)
        print_json(failed_run(failure, run_id=run_id, status="interrupted"))
    return FAILED


class _Pace:
    """Gives out the records of a run in the time that they took.

    Args:
        path: Its journal.
        speed: How many times as fast; None takes no time at all.
    """

    def __init__(self, path: Path, speed: float | None) -> None:
        self._path = path
        self._speed = speed
        self._at = 0.0
        self._since = time.monotonic()

    def now(self) -> float:
        """What the clock of the run says, in Unix time."""
        return self._at + (time.monotonic() - self._since) * (self._speed or 0.0)

    def records(self) -> Iterator[Record]:
        """The records, each when it is due."""
        for record in read_run(self._path):
            if self._speed is not None and self._at and not isinstance(record.event, RunResumed):
                gap_s = max(0.0, record.at - self._at)
                due = self._since + min(gap_s, _LONGEST_PAUSE_S) / self._speed
                time.sleep(max(0.0, due - time.monotonic()))
            self._at, self._since = record.at, time.monotonic()
            yield record
