"""Watch runs: says on stderr who takes part, who voted for whom, and what the run used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from massgen_bridge import Voted, hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge import Record, RunResult, RunStarted


@hookimpl
def bridge_run_started(run_id: str, started: RunStarted) -> None:
    """Tell who takes part."""
    seats = ", ".join(f"{seat.agent_id} ({seat.model or seat.kind})" for seat in started.seats)
    _say(run_id, f"{started.strategy} of {seats}")


@hookimpl
def bridge_events(run_id: str, records: Sequence[Record]) -> None:
    """Tell of each vote as it comes."""
    for record in records:
        if isinstance(record.event, Voted):
            _say(run_id, f"{record.event.agent_id} chose {record.event.choice.label}")


@hookimpl
def bridge_run_finished(run_id: str, result: RunResult) -> None:
    """Tell what the run used."""
    tokens = result.usage.input_tokens + result.usage.output_tokens
    _say(run_id, f"{result.status} after {result.calls} model calls, {tokens} tokens")


def _say(run_id: str, text: str) -> None:
    print(f"watch {run_id}: {text}", file=sys.stderr)
