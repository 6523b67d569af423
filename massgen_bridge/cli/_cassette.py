"""The options of `run` that record model calls, or let a recording answer them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._output import BadUsage
from massgen_bridge.runtime.cassette.executor import tape_of

if TYPE_CHECKING:
    from massgen_bridge.runtime.cassette.recording import Recording
    from massgen_bridge.runtime.cassette.replaying import Replay

__all__ = ["RecordTo", "ReplayFrom", "opened_tape", "recorded_hosts"]

RecordTo = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="FILE", help="Write all model calls to a new file, a cassette."
    ),
]
ReplayFrom = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        metavar="FILE",
        help="Let a cassette answer in place of all models, without keys and network.",
    ),
]


def opened_tape(
    record: Path | None, replay: Path | None, *, dry_run: bool, in_session: bool
) -> Recording | Replay | None:
    """The tape that a run is to have, if any.

    Raises:
        BadUsage: The options do not go together.
        CassetteError: The file to record to exists, or the one to replay cannot be read.
    """
    if record is None and replay is None:
        return None
    option = "--record" if replay is None else "--replay"
    if record is not None and replay is not None:
        raise BadUsage("--record and --replay: a run is recorded or replayed: use one of them")
    if in_session:
        raise BadUsage(
            f"{option} holds one question, without what was said before: leave --session out"
        )
    if dry_run and replay is not None:
        raise BadUsage("--replay asks no model, so there is nothing for --dry-run to tell of")
    return tape_of(record=record, replay=replay)


def recorded_hosts(tape: Recording | Replay | None) -> dict[str, str] | None:
    """Where the models of a cassette were, if one answers."""
    return getattr(tape, "hosts", None)
