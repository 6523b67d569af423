"""The sink `your_name`: every record of a run as one line of JSON in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from massgen_bridge import NoOptions, Record, Sink, SinkSpec, hookimpl
from pydantic import Field

__all__ = ["LinesOptions", "LinesSink", "bridge_sinks"]


class LinesOptions(NoOptions):
    """The keys that stand beside `type: your_name`; any other key is an error with its line."""

    path: Path = Field(description="The file to append to; relative to the working directory.")


class LinesSink:
    """Lives in a thread of its own, so it may block; a run never waits for it."""

    def __init__(self, options: LinesOptions) -> None:
        self._file = options.path.open("a", encoding="utf-8")

    def write(self, records: Sequence[Record]) -> None:
        """Take records, in order; deltas may be missing where the sink was too slow for them."""
        self._file.writelines(f"{record.model_dump_json()}\n" for record in records)

    def close(self) -> None:
        """Give everything back; called once, at the end of the run."""
        self._file.close()


def _create(options: LinesOptions) -> Sink:
    return LinesSink(options)


@hookimpl
def bridge_sinks() -> list[SinkSpec]:
    """Register the sink `your_name`."""
    return [
        SinkSpec(
            name="your_name",
            summary="Every record as one line of JSON.",
            create=_create,
            options=LinesOptions,
        )
    ]
