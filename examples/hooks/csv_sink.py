"""A sink: one line of CSV for each turn, with its tokens."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from massgen_bridge import NoOptions, Sink, SinkSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_bridge import Record


class CsvOptions(NoOptions):
    """The keys beside `type: csv`."""

    path: Path = Field(description="The file to append to; relative to the working directory.")


class CsvSink:
    """Lives in a thread of its own, so it may block."""

    def __init__(self, options: CsvOptions) -> None:
        self._file = options.path.open("a", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)

    def write(self, records: Sequence[Record]) -> None:
        """Write a line for each turn that is done."""
        for record in records:
            if record.event.type == "turn_done":
                usage = record.event.result.usage
                tokens = (usage.input_tokens, usage.output_tokens) if usage else ("", "")
                self._rows.writerow((record.run_id, record.agent_id, record.turn_id, *tokens))

    def close(self) -> None:
        """Write what is left."""
        self._file.close()


def _create(options: CsvOptions) -> Sink:
    return CsvSink(options)


@hookimpl
def bridge_sinks() -> Iterable[SinkSpec]:
    """Register the sink `csv`."""
    return [
        SinkSpec(name="csv", summary="One line of CSV a turn.", create=_create, options=CsvOptions)
    ]
