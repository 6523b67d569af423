"""Watch runs: says on stderr who voted for whom, and what the run used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from massgen_bridge import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge import Record, RunResult


@hookimpl
def bridge_events(records: Sequence[Record]) -> None:
    """Tell of each vote as it comes."""
    for record in records:
        if record.event.type == "voted":
            vote = record.event
            print(f"watch: {vote.agent_id} chose {vote.choice.label}", file=sys.stderr)


@hookimpl
def bridge_run_finished(run_id: str, result: RunResult) -> None:
    """Tell what the run used."""
    print(f"watch: {run_id} {result.status} after {result.calls} calls", file=sys.stderr)
